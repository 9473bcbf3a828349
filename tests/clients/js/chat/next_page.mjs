// The existing Next.js page with its own login, which uses the `underscore` dialect: its current and its earlier version.
//
// It behaves as the contract describes: it proves nothing but a cookie, joins on a click, never leaves, and does not join
// again after a reconnect.
import { createElement as h, useEffect, useRef, useState } from 'react';
import { io } from 'socket.io-client';

const TYPING_MS = 2_000;

/** `origin` is empty on the page's own origin. */
async function call(origin, method, path, body) {
  const options = { method, credentials: origin ? 'include' : 'same-origin' };
  if (body) Object.assign(options, { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
  const answer = await fetch(`${origin}/api/chat${path}`, options);
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.error);
  return json;
}

function usePage({ user, transports, origin, isEarlier }) {
  const [entries, setEntries] = useState([]);
  const [selected, setSelected] = useState(null);
  const [messages, setMessages] = useState([]);
  const [draft, setDraft] = useState('');
  const [isConnected, setConnected] = useState(false);
  const [connections, setConnections] = useState(0);
  const [online, setOnline] = useState([]);
  const [isTyping, setTyping] = useState(false);
  const [toasts, setToasts] = useState([]);
  const [sounds, setSounds] = useState(0);
  const [error, setError] = useState(null);
  const socket = useRef(null);
  const conversation = useRef(null);

  const appendOnce = (message) =>
    setMessages((shown) => (shown.some(({ id }) => id === message.id) ? shown : [...shown, message]));
  const announce = (text) => {
    setToasts((shown) => [...shown, text]);
    setSounds((count) => count + 1);
  };

  const load = async () => {
    if (!isEarlier) {
      const { chatList } = await call(origin, 'GET', '/list');
      return setEntries(chatList);
    }
    const [{ experts }, { conversations }] = await Promise.all(
      ['/experts', '/conversations'].map((path) => call(origin, 'GET', path)),
    );
    const known = conversations.map((one) => ({
      user: one.participants.find(({ userId }) => userId !== user.id).user,
      conversation: one,
      lastMessage: one.messages[0] ?? null,
    }));
    const others = experts.filter(({ id }) => !known.some((entry) => entry.user.id === id));
    return setEntries([...known, ...others.map((one) => ({ user: one, conversation: null, lastMessage: null }))]);
  };

  useEffect(() => {
    load().catch((problem) => setError(problem.message));
    const options = { path: '/api/socket', auth: { userId: user.id }, transports, withCredentials: Boolean(origin) };
    const opened = origin ? io(origin, options) : io(options);
    socket.current = opened;
    opened.on('connect', () => {
      setConnections((count) => count + 1);
      opened.emit('user_online', { userId: user.id });
    });
    opened.on('connected', () => setConnected(true));
    opened.on('disconnect', () => setConnected(false));
    opened.on('connect_error', (problem) => setError(problem.message));
    opened.on('error', ({ message }) => setError(message));
    opened.on('new_message', (message) => {
      const isOwn = message.sender.id === user.id;
      if (isEarlier) {
        if (!isOwn) setMessages((shown) => [...shown, message]);
      } else if (message.conversationId === conversation.current?.id) {
        appendOnce(message);
      }
      if (!isOwn) announce(`${message.sender.name}: ${message.content.substring(0, 50)}`);
    });
    opened.on('notification', ({ type, message }) => announce(`${type}: ${message.content.substring(0, 50)}`));
    opened.on('user_typing', (payload) => {
      if (payload.conversationId === conversation.current?.id && payload.userId !== user.id) setTyping(payload.isTyping);
    });
    opened.on('user_status_changed', ({ userId, isOnline }) =>
      setOnline((shown) => [...shown.filter((id) => id !== userId), ...(isOnline ? [userId] : [])]));
    opened.on('messages_read', ({ conversationId, userId }) => {
      if (conversationId !== conversation.current?.id) return;
      setMessages((shown) => shown.map((message) => ({ ...message, readReceipts: [...message.readReceipts, { userId }] })));
    });
    return () => {
      opened.emit('user_offline', { userId: user.id });
      opened.close();
    };
  }, []);

  const select = async (entry) => {
    try {
      const opened = entry.conversation ?? (await call(origin, 'POST', '/conversations', { participantId: entry.user.id })).conversation;
      conversation.current = opened;
      setSelected({ ...entry, conversation: opened });
      setMessages((await call(origin, 'GET', `/conversations/${opened.id}/messages`)).messages);
      socket.current.emit('join_conversation', { conversationId: opened.id, userId: user.id });
    } catch (problem) {
      setError(problem.message);
    }
  };

  const send = async () => {
    const content = draft;
    const receiverId = selected.user.id;
    const conversationId = selected.conversation.id;
    setDraft('');
    if (!isEarlier) {
      socket.current.emit('send_message', { conversationId, senderId: user.id, receiverId, content, messageType: 'TEXT' });
    }
    try {
      const body = { content, receiverId, messageType: 'TEXT' };
      const { message } = await call(origin, 'POST', `/conversations/${conversationId}/messages`, body);
      if (isEarlier) setMessages((shown) => [...shown, message]);
      else appendOnce(message);
    } catch (problem) {
      setDraft(content);
      setError(problem.message);
    }
  };

  const change = (text) => {
    setDraft(text);
    if (!conversation.current) return;
    const payload = { conversationId: conversation.current.id, userId: user.id };
    socket.current.emit('typing', { ...payload, isTyping: true });
    setTimeout(() => socket.current.emit('typing', { ...payload, isTyping: false }), TYPING_MS);
  };

  const upload = async (file) => {
    const form = new FormData();
    form.append('file', file);
    form.append('receiverId', selected.user.id);
    const conversationId = selected.conversation.id;
    const path = `${origin}/api/chat/conversations/${conversationId}/upload`;
    const answer = await fetch(path, { method: 'POST', body: form, credentials: origin ? 'include' : 'same-origin' });
    const json = await answer.json();
    if (!answer.ok) return setError(json.error);
    setMessages((shown) => [...shown, json.message]);
    const payload = { conversationId, senderId: user.id, receiverId: selected.user.id, message: json.message };
    return socket.current.emit('file_uploaded', payload);
  };

  const shown = { entries, selected, messages, draft, isConnected, connections, online, isTyping, toasts, sounds, error };
  return { ...shown, select, send, change, upload };
}

function Attachment({ fileName, fileType, fileUrl }) {
  if (fileType.startsWith('image/')) return h('img', { src: fileUrl, alt: fileName });
  return h('a', { href: fileUrl, download: fileName }, fileName);
}

export function NextPage(props) {
  const page = usePage(props);
  const { user } = props;
  const entry = (one) => h(
    'li',
    {
      key: one.user.id,
      'data-entry': one.user.id,
      'data-online': page.online.includes(one.user.id) || Boolean(one.user.isOnline),
      onClick: () => page.select(one),
    },
    h('b', null, one.user.name),
    h('i', null, one.lastMessage ? one.lastMessage.content.substring(0, 30) : ''),
  );
  const row = (message, index) => h(
    'li',
    {
      key: index,
      'data-message': message.id,
      'data-own': message.sender.id === user.id,
      'data-type': message.messageType,
      'data-read': message.readReceipts.some(({ userId }) => userId !== user.id),
    },
    h('b', { 'data-sender': true }, message.sender.name),
    h('span', { 'data-content': true }, message.content),
    message.attachments.map((one) => h(Attachment, { key: one.id, ...one })),
  );
  const submit = (event) => {
    event.preventDefault();
    page.send();
  };
  return h(
    'main',
    {
      'data-connected': page.isConnected,
      'data-connections': page.connections,
      'data-toasts': page.toasts.length,
      'data-sounds': page.sounds,
    },
    page.error && h('p', { role: 'alert' }, page.error),
    h('ul', null, page.entries.map(entry)),
    page.selected && h(
      'section',
      { 'data-conversation': page.selected.conversation.id },
      h('ol', null, page.messages.map(row)),
      page.isTyping && h('p', { 'data-typing': true }, 'typing'),
      h('form', { onSubmit: submit },
        h('input', { name: 'text', value: page.draft, onChange: ({ target }) => page.change(target.value) }),
        h('input', { type: 'file', onChange: ({ target }) => page.upload(target.files[0]) }),
        h('button', { disabled: page.draft === '' }, 'Send')),
    ),
  );
}
