// Operator chat with the real socket.io-client: the behaviour of the two existing clients of the `root` dialect.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { io } from 'socket.io-client';
import { Daemon, until } from '../daemon.mjs';

const SECRET = randomBytes(24).toString('hex');
const IDENTITIES = JSON.stringify([{ name: 'desk', jwt_secret: '${DESK_JWT_SECRET}' }]);

let daemon;
/** All sockets: one that a failed test leaves open would connect again without end. */
const sockets = [];
before(async () => {
  daemon = await Daemon.start({
    WHARF__CHAT__ENABLED: 'true',
    WHARF__CHAT__IDENTITIES: IDENTITIES,
    DESK_JWT_SECRET: SECRET,
  });
  daemon.secret(SECRET);
});
after(() => {
  for (const socket of sockets) socket.close();
  return daemon.stop();
});

function token(user, claims = {}) {
  const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 600;
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, name: user, exp, ...claims })}`;
  return daemon.secret(`${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`);
}

function connect(options) {
  const socket = io(daemon.url, { ...options, forceNew: true });
  sockets.push(socket);
  return socket;
}

/** The React hook with peer-addressed events: joins on each connect, deduplicates by id, reads what it gets. */
class Hook {
  messages = new Map();
  errors = [];
  online = new Set();
  typing = new Set();

  constructor(me, other, transport) {
    this.me = me;
    this.other = other;
    this.socket = connect({ auth: { token: token(me) }, transports: [transport] });
    this.socket.on('connect', () => this.socket.emit('conversation:join', { conversationWith: other }));
    this.socket.on('message:new', (message) => this.#receive(message));
    this.socket.on('message:delivered', ({ messageId, deliveredAt }) => this.#update(messageId, { deliveredAt }));
    this.socket.on('message:read', ({ messageId, readAt }) => this.#update(messageId, { readAt, isRead: true }));
    this.socket.on('typing:start', ({ userId }) => this.typing.add(userId));
    this.socket.on('typing:stop', ({ userId }) => this.typing.delete(userId));
    this.socket.on('user:online', ({ userId }) => this.online.add(userId));
    this.socket.on('error', (sentence) => this.errors.push(sentence));
  }

  #receive(message) {
    const between = [message.senderId, message.recipientId].sort().join();
    if (between !== [this.me, this.other].sort().join()) return;
    if (!this.messages.has(message.id)) this.messages.set(message.id, message);
    if (message.senderId === this.other) this.socket.emit('message:mark_read', { messageId: message.id });
  }

  #update(id, change) {
    const message = this.messages.get(id);
    if (message) Object.assign(message, change);
  }

  send(content) {
    this.socket.emit('message:send', { recipientId: this.other, content: daemon.secret(content), type: 'TEXT' });
  }

  contents() {
    return [...this.messages.values()].map((message) => message.content);
  }
}

describe('operator chat', () => {
  for (const transport of ['websocket', 'polling']) {
    // covers: root conversation:join
    // covers: root message:new
    test(`two peer-addressed clients chat by ${transport}`, async () => {
      const [a, b] = [`a-${transport}`, `b-${transport}`];
      // A user exists once its token was seen.
      for (const user of [a, b]) {
        const first = connect({ auth: { token: token(user) }, transports: [transport] });
        await new Promise((done) => first.on('auth:success', done));
        first.close();
      }
      const [anna, ben] = [new Hook(a, b, transport), new Hook(b, a, transport)];
      await until(() => anna.online.has(b) && ben.socket.connected, 'both are online');
      const texts = [daemon.body('one'), daemon.body('two'), daemon.body('three')];
      for (const text of texts) anna.send(text);
      await until(() => ben.messages.size === 3 && anna.messages.size === 3, 'both have the messages');
      assert.deepEqual(ben.contents(), texts);
      assert.deepEqual(anna.contents(), texts);
      await until(() => [...anna.messages.values()].every(({ isRead }) => isRead), 'all are read');
      ben.socket.emit('typing:start', { conversationWith: a });
      await until(() => anna.typing.has(b), 'typing');
      ben.socket.emit('typing:stop', { conversationWith: a });
      await until(() => !anna.typing.has(b), 'typing stops');
      assert.deepEqual([anna.errors, ben.errors], [[], []]);
      anna.socket.close();
      ben.socket.close();
    });
  }

  // covers: root conversation:get-online-users
  test('a conversation-addressed client joins and counts by polling', async () => {
    const open = (user) => connect({ auth: { token: token(user) } });
    const [cleo, dora] = [open('cleo'), open('dora')];
    await Promise.all([cleo, dora].map((socket) => new Promise((done) => socket.on('auth:success', done))));
    const headers = { Authorization: `Bearer ${token('cleo')}` };
    const body = { recipientId: 'dora', content: daemon.body(), type: 'text' };
    const sent = await daemon.request('POST', '/api/messages', { key: null, headers, body });
    assert.equal(sent.status, 201, sent.text);
    const { conversationId } = sent.data;
    assert.deepEqual(await dora.emitWithAck('join:conversation', conversationId), { success: true });
    assert.deepEqual(await dora.emitWithAck('conversation:get-online-users', conversationId), ['cleo']);
    const got = new Promise((done) => dora.on('message:new', done));
    await cleo.emitWithAck('message:send', { conversationId, content: daemon.body() });
    assert.equal((await got).conversationId, conversationId);
    const count = await daemon.request('GET', '/api/messages/unread-count', {
      key: null,
      headers: { Authorization: `Bearer ${token('dora')}` },
    });
    assert.deepEqual(count.json, { unreadCount: 2 });
    cleo.close();
    dora.close();
  });

  // covers: root refusal of tokens
  test('a wrong token is an Authentication error', async () => {
    const socket = connect({ auth: { token: 'anna' }, transports: ['websocket'] });
    const error = await new Promise((done) => socket.on('connect_error', done));
    assert.equal(error.message, 'Authentication error');
    socket.close();
  });

  // covers: root auth:error
  test('a client of websocket reconnects after its token expired', async () => {
    const exp = Math.floor(Date.now() / 1000) - 3;
    let next = token('emma', { exp });
    const socket = connect({
      auth: (pass) => pass({ token: next }),
      transports: ['websocket'],
      reconnectionDelay: 50,
    });
    const errors = [];
    let connections = 0;
    socket.on('auth:success', () => (connections += 1));
    socket.on('auth:error', (sentence) => errors.push(sentence));
    await until(() => connections === 1, 'connected');
    next = token('emma');
    await until(() => connections === 2, 'connected again', 10_000);
    assert.deepEqual(errors, ['Token expired']);
    socket.close();
  });
});
