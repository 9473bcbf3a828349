// The existing React hook with peer-addressed events of the `root` dialect, and the chat window that uses it.
//
// It behaves as the contract describes: it drops messages of other pairs and duplicates, renders errors as they come, and
// after a connection loss opens a new socket beside the old one, which reconnects too.
import { createElement as h, useCallback, useEffect, useRef, useState } from 'react';
import { io } from 'socket.io-client';

const TYPING_MS = 3_000;
const PRESENCE_MS = 30_000;

/** `onSocket` gets each socket that the hook opens. */
export function useChat({ url, token, transports, user, otherUser, onSocket }) {
  const [messages, setMessages] = useState([]);
  const [isConnected, setConnected] = useState(false);
  const [isOtherOnline, setOtherOnline] = useState(false);
  const [isOtherTyping, setOtherTyping] = useState(false);
  const [error, setError] = useState(null);
  const current = useRef(null);
  const typing = useRef(null);

  useEffect(() => {
    let isMounted = true;
    const sockets = [];
    const isOther = ({ userId }) => userId === otherUser.id;
    const isBetween = ({ senderId, recipientId }) =>
      (senderId === user.id && recipientId === otherUser.id) || (senderId === otherUser.id && recipientId === user.id);
    const update = (id, change) =>
      setMessages((shown) => shown.map((message) => (message.id === id ? { ...message, ...change } : message)));
    const events = {
      'auth:success': () => setError(null),
      'auth:error': (sentence) => setError(sentence),
      error: (sentence) => setError(sentence),
      'message:new': (message) => {
        if (!isBetween(message)) return;
        setMessages((shown) => (shown.some(({ id }) => id === message.id) ? shown : [...shown, message]));
        if (message.senderId === otherUser.id) current.current.emit('message:mark_read', { messageId: message.id });
      },
      'message:delivered': ({ messageId, deliveredAt }) => update(messageId, { deliveredAt }),
      'message:read': ({ messageId, readAt }) => update(messageId, { readAt, isRead: true }),
      'typing:start': (payload) => isOther(payload) && setOtherTyping(true),
      'typing:stop': (payload) => isOther(payload) && setOtherTyping(false),
      'user:online': (payload) => isOther(payload) && setOtherOnline(true),
      'user:offline': (payload) => isOther(payload) && setOtherOnline(false),
    };
    const open = () => {
      const socket = io(url, { auth: { token }, transports });
      sockets.push(socket);
      current.current = socket;
      onSocket?.(socket);
      socket.on('connect', () => {
        setConnected(true);
        for (const [name, listener] of Object.entries(events)) socket.on(name, listener);
        socket.emit('conversation:join', { conversationWith: otherUser.id });
      });
      socket.on('disconnect', () => {
        setConnected(false);
        socket.removeAllListeners();
        if (isMounted) open();
      });
    };
    open();
    const history = `${url}/api/messages?conversationWith=${encodeURIComponent(otherUser.id)}`;
    fetch(history, { headers: { Authorization: `Bearer ${token}` } })
      .then((answer) => answer.json())
      .then(({ data }) => {
        if (!isMounted || !data) return;
        const isStored = ({ id }) => data.messages.some((message) => message.id === id);
        setMessages((shown) => [...data.messages, ...shown.filter((message) => !isStored(message))]);
      })
      .catch((problem) => isMounted && setError(String(problem)));
    const presence = setInterval(() => current.current.emit('presence:update'), PRESENCE_MS);
    return () => {
      isMounted = false;
      clearInterval(presence);
      clearTimeout(typing.current);
      for (const socket of sockets) socket.removeAllListeners().close();
    };
  }, [url, token, transports, user.id, otherUser.id, onSocket]);

  const send = useCallback(
    (content) => current.current.emit('message:send', { recipientId: otherUser.id, content, type: 'TEXT' }),
    [otherUser.id],
  );
  const markRead = useCallback((messageId) => current.current.emit('message:mark_read', { messageId }), []);
  const startTyping = useCallback(() => {
    if (typing.current) return;
    current.current.emit('typing:start', { conversationWith: otherUser.id });
    typing.current = setTimeout(() => {
      typing.current = null;
      current.current.emit('typing:stop', { conversationWith: otherUser.id });
    }, TYPING_MS);
  }, [otherUser.id]);

  return { messages, isConnected, isOtherOnline, isOtherTyping, error, send, markRead, startTyping };
}

function statusOf({ readAt, deliveredAt, status }) {
  if (readAt) return 'read';
  return deliveredAt ? 'delivered' : (status ?? 'sent');
}

function Message({ message, isOwn, onVisible }) {
  const element = useRef(null);
  const isUnread = !isOwn && !message.readAt;
  useEffect(() => {
    if (!isUnread) return undefined;
    const observer = new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) onVisible(message.id);
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [isUnread, message.id, onVisible]);
  return h(
    'li',
    { ref: element, 'data-message': message.id, 'data-own': isOwn, 'data-status': statusOf(message) },
    h('b', { 'data-sender': true }, message.sender.displayName),
    message.attachmentUrl && h('img', { src: message.attachmentUrl, alt: message.content }),
    h('span', { 'data-content': true }, message.content),
  );
}

export function HookChat(props) {
  const { user, otherUser } = props;
  const chat = useChat(props);
  const [draft, setDraft] = useState('');
  const submit = (event) => {
    event.preventDefault();
    chat.send(draft);
    setDraft('');
  };
  return h(
    'section',
    { 'data-connected': chat.isConnected },
    h('h1', { 'data-online': chat.isOtherOnline }, otherUser.displayName),
    chat.error && h('p', { role: 'alert' }, chat.error),
    h('ol', null, chat.messages.map((message) =>
      h(Message, { key: message.id, message, isOwn: message.senderId === user.id, onVisible: chat.markRead }))),
    chat.isOtherTyping && h('p', { 'data-typing': true }, `${otherUser.displayName} is typing`),
    h('form', { onSubmit: submit },
      h('input', { value: draft, onChange: ({ target }) => { setDraft(target.value); chat.startTyping(); } }),
      h('button', { disabled: draft === '' }, 'Send')),
  );
}
