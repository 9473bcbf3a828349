// The existing React client with conversation-addressed events of the `root` dialect: one socket for the application, a
// conversation, and counts of notifications.
//
// It behaves as the contract describes: it appends every message without a check of its conversation or id, and does not
// join again after a reconnect.
import axios from 'axios';
import { createContext, createElement as h, useContext, useEffect, useMemo, useRef, useState } from 'react';
import { io } from 'socket.io-client';

const TYPING_MS = 2_000;
const Connection = createContext(null);

/** Opens the application's one socket; `onSocket` gets it. */
export function SocketProvider({ url, token, transports, onSocket, children }) {
  const [socket, setSocket] = useState(null);
  const [isConnected, setConnected] = useState(false);
  const api = useMemo(() => axios.create({ baseURL: url, headers: { Authorization: `Bearer ${token}` } }), [url, token]);
  useEffect(() => {
    const opened = io(url, { auth: { token }, transports, forceNew: true });
    onSocket?.(opened);
    opened.on('auth:success', () => setConnected(true));
    opened.on('disconnect', () => setConnected(false));
    setSocket(opened);
    return () => {
      opened.removeAllListeners();
      opened.close();
    };
  }, [url, token, transports, onSocket]);
  const value = useMemo(() => ({ socket, isConnected, api }), [socket, isConnected, api]);
  return h(Connection, { value }, children);
}

function useEvents(socket, events) {
  const latest = useRef(events);
  latest.current = events;
  useEffect(() => {
    if (!socket) return undefined;
    const added = Object.keys(latest.current).map((name) => [name, (...args) => latest.current[name](...args)]);
    for (const [name, listener] of added) socket.on(name, listener);
    return () => {
      for (const [name, listener] of added) socket.off(name, listener);
    };
  }, [socket]);
}

function useConversation(conversationId, userId) {
  const { socket, isConnected, api } = useContext(Connection);
  const [messages, setMessages] = useState([]);
  const [online, setOnline] = useState([]);
  const [typists, setTypists] = useState([]);
  const [error, setError] = useState(null);
  const [isJoined, setJoined] = useState(false);
  const hasJoined = useRef(false);

  useEffect(() => {
    let isMounted = true;
    const params = { conversationId, limit: 100 };
    api.get('/api/messages', { params })
      .then(({ data }) => isMounted && setMessages(data.data.messages))
      .catch((problem) => isMounted && setError(problem.response?.data?.error ?? problem.message));
    return () => (isMounted = false);
  }, [api, conversationId]);

  // Joins once for each mount: a later connection of the same socket does not join again.
  useEffect(() => {
    if (!socket || !isConnected || hasJoined.current) return;
    hasJoined.current = true;
    socket.emit('join:conversation', conversationId);
    socket.emit('conversation:get-online-users', conversationId, (users) => {
      setOnline(users);
      setJoined(true);
    });
  }, [socket, isConnected, conversationId]);
  useEffect(() => {
    if (!socket) return undefined;
    return () => {
      hasJoined.current = false;
      socket.emit('leave:conversation', conversationId);
    };
  }, [socket, conversationId]);

  useEvents(socket, {
    error: (sentence) => setError(sentence),
    'message:new': (message) => setMessages((shown) => [...shown, message]),
    'message:deleted': ({ messageId }) => setMessages((shown) => shown.filter(({ id }) => id !== messageId)),
    'messages:read': ({ messageIds, readAt, readBy }) => setMessages((shown) => shown.map((message) =>
      (messageIds.includes(message.id) && message.senderId !== readBy ? { ...message, isRead: true, readAt } : message))),
    'typing:start': ({ userId: id, displayName }) => setTypists((shown) => [...shown.filter((one) => one.id !== id), { id, displayName }]),
    'typing:stop': ({ userId: id }) => setTypists((shown) => shown.filter((one) => one.id !== id)),
    'user:status-changed': ({ userId: id, status }) => setOnline((shown) => {
      const others = shown.filter((one) => one !== id);
      return status === 'online' ? [...others, id] : others;
    }),
  });

  const send = (content) => api.post('/api/messages', { conversationId, content, type: 'text' });
  const markRead = () => api.put('/api/messages/read', { conversationId });
  const remove = (id) => api.delete(`/api/messages/${id}`);
  const typing = (name) => socket.emit(name, { conversationId });
  return { messages, isJoined, online, typists, error, userId, send, markRead, remove, typing };
}

/** The counts of the bell: they change with events only. */
function Bell() {
  const { socket } = useContext(Connection);
  const [count, setCount] = useState(0);
  const [shown, setShown] = useState([]);
  useEvents(socket, {
    'notification:new': (notification) => {
      setCount((before) => before + 1);
      setShown((before) => [notification, ...before]);
    },
    'notification:read': () => setCount((before) => Math.max(0, before - 1)),
    'notifications:read-all': () => setCount(0),
  });
  const read = (id) => {
    socket.emit('notification:read', id);
    setCount((before) => Math.max(0, before - 1));
  };
  const readAll = () => {
    socket.emit('notifications:read-all');
    setCount(0);
  };
  return h('aside', { 'data-notifications': count },
    h('button', { onClick: readAll }, 'Read all'),
    h('ul', null, shown.map(({ id, title }) => h('li', { key: id, 'data-notification': id, onClick: () => read(id) }, title))));
}

function Conversation({ conversationId, userId }) {
  const chat = useConversation(conversationId, userId);
  const [draft, setDraft] = useState('');
  const timer = useRef(null);
  useEffect(() => () => clearTimeout(timer.current), []);
  const change = ({ target }) => {
    setDraft(target.value);
    if (!timer.current) chat.typing('typing:start');
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      timer.current = null;
      chat.typing('typing:stop');
    }, TYPING_MS);
  };
  const submit = (event) => {
    event.preventDefault();
    chat.send(draft);
    setDraft('');
  };
  const row = (message, index) => h(
    'li',
    { key: index, 'data-message': message.id, 'data-own': message.senderId === userId, 'data-status': message.isRead ? 'read' : 'sent' },
    h('b', { 'data-sender': true }, message.sender.displayName),
    h('span', { 'data-content': true }, message.content),
    h('button', { type: 'button', 'data-delete': true, onClick: () => chat.remove(message.id) }, 'Delete'),
  );
  return h(
    'section',
    { onFocus: chat.markRead, 'data-joined': chat.isJoined, 'data-online': chat.online.join(' ') },
    chat.error && h('p', { role: 'alert' }, chat.error),
    h('ol', null, chat.messages.map(row)),
    h('p', { 'data-typists': true }, chat.typists.map(({ displayName }) => displayName).join()),
    h('form', { onSubmit: submit }, h('input', { value: draft, onChange: change }), h('button', { disabled: draft === '' }, 'Send')),
  );
}

export function ClientApp({ conversationId, userId, ...connection }) {
  const conversation = conversationId && h(Conversation, { key: conversationId, conversationId, userId });
  return h(SocketProvider, connection, h(Bell), conversation);
}
