// The two existing clients of a NestJS gateway, which use the `namespace` dialect.
//
// The gateway client renders its own messages before they are stored, and appends every message that it gets. The console
// client waits for its message to come back.
import { io } from 'socket.io-client';

const TYPING_MS = 2_000;

export class GatewayClient {
  messages = [];
  notifications = [];
  errors = [];
  online = new Set();
  isTyping = false;
  #typing;

  constructor({ url, token, userId, userType, conversationId, transports }) {
    Object.assign(this, { userId, userType, conversationId });
    this.socket = io(`${url}/chat`, { auth: { token }, transports, forceNew: true });
    this.socket.on('connection:success', ({ userId: id, userType: type }) => {
      this.user = { userId: id, userType: type };
      this.socket.emit('conversation:join', { conversationId });
    });
    this.socket.on('conversation:joined', ({ room }) => (this.room = room));
    this.socket.on('message:new', (message) => this.messages.push(message));
    this.socket.on('message:sent', ({ tempId, message }) => {
      const shown = this.messages.find((one) => one.tempId === tempId);
      if (shown) Object.assign(shown, message, { isPending: false });
    });
    this.socket.on('message:error', ({ error, tempId }) => {
      this.errors.push(error);
      this.messages = this.messages.filter((message) => message.tempId !== tempId);
    });
    this.socket.on('message:notification', (notification) => this.notifications.push(notification));
    this.socket.on('message:read', ({ messageId }) => {
      for (const message of this.messages) if (message.id <= messageId) message.isRead = true;
    });
    this.socket.on('typing:start', ({ user }) => user.userId !== this.userId && (this.isTyping = true));
    this.socket.on('typing:stop', ({ user }) => user.userId !== this.userId && (this.isTyping = false));
    this.socket.on('user:online', (user) => this.online.add(`${user.userType} ${user.userId}`));
    this.socket.on('user:offline', (user) => this.online.delete(`${user.userType} ${user.userId}`));
    this.socket.on('user:online:status', ({ userId: id, userType: type, isOnline }) =>
      this.online[isOnline ? 'add' : 'delete'](`${type} ${id}`));
    this.socket.on('error', ({ message }) => this.errors.push(message));
  }

  isOwn(message) {
    return message.senderType === this.userType;
  }

  contents() {
    return this.messages.map(({ content }) => content);
  }

  message(content) {
    return this.messages.find((message) => message.content === content);
  }

  send(content) {
    const tempId = Date.now();
    const sender = { id: this.userId };
    this.messages.push({ id: tempId, tempId, content, sender, senderType: this.userType, isRead: false, isPending: true });
    const { conversationId } = this;
    this.socket.emit('message:send', { conversationId, content, messageType: 'text', tempId });
  }

  key() {
    const { conversationId } = this;
    this.socket.emit('typing:start', { conversationId });
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.socket.emit('typing:stop', { conversationId }), TYPING_MS);
  }

  markRead() {
    this.socket.emit('message:read', { conversationId: this.conversationId });
  }

  ask(userId, userType) {
    this.socket.emit('user:check:online', { userId, userType });
  }

  close() {
    clearTimeout(this.#typing);
    this.socket.close();
  }
}

export class ConsoleClient {
  messages = [];

  constructor({ url, token, conversationId, transports }) {
    this.conversationId = conversationId;
    this.socket = io(`${url}/chat`, { auth: { token: `Bearer ${token}` }, transports, forceNew: true });
    this.socket.on('connection:success', () => this.socket.emit('conversation:join', { conversationId }));
    this.isJoined = new Promise((done) => this.socket.once('conversation:joined', done));
    this.socket.on('message:new', (message) => this.messages.push(message));
  }

  /** Resolves to the message once it came back. */
  async send(content, ms = 20_000) {
    await this.isJoined;
    return new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error('the message did not come back')), ms);
      const receive = (message) => {
        if (message.content !== content) return;
        clearTimeout(late);
        this.socket.off('message:new', receive);
        done(message);
      };
      this.socket.on('message:new', receive);
      this.socket.emit('message:send', { conversationId: this.conversationId, content });
    });
  }

  close() {
    this.socket.close();
  }
}
