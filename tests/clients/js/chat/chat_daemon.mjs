// A daemon with operator chat: tokens of its users, and inboxes of simulated devices.
import assert from 'node:assert/strict';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { encode } from '@auth/core/jwt';
import { Daemon, until } from '../daemon.mjs';

export const COOKIE = 'authjs.session-token';
const TOKEN_SECONDS = 600;
export const WAIT_MS = 20_000;

const IDENTITIES = [
  // Both front ends of the `root` dialect, and the client of the `namespace` dialect with plain ids.
  { name: 'desk', jwt_secret: '${DESK_SECRET}' },
  // The gateway: a user is the pair of type and id.
  { name: 'gateway', jwt_secret: '${GATEWAY_SECRET}', dialects: ['namespace'], user_claim: ['id'] },
  // The page with its own login.
  {
    name: 'page',
    authjs_secret: '${PAGE_SECRET}',
    cookie: COOKIE,
    user_claim: ['id', 'sub'],
    dialects: ['underscore'],
  },
];

const base64url = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');

export class ChatDaemon {
  #secrets = Object.fromEntries(['DESK', 'GATEWAY', 'PAGE'].map((name) => [name, randomBytes(24).toString('hex')]));

  static async start(env = {}) {
    const chat = new ChatDaemon();
    const secrets = Object.fromEntries(Object.entries(chat.#secrets).map(([name, value]) => [`${name}_SECRET`, value]));
    chat.daemon = await Daemon.start({
      WHARF__CHAT__ENABLED: 'true',
      // Automatic assignment adds a system message to the first reply.
      WHARF__CHAT__ASSIGN: 'none',
      WHARF__CHAT__IDENTITIES: JSON.stringify(IDENTITIES),
      ...secrets,
      ...env,
    });
    for (const secret of Object.values(secrets)) chat.daemon.secret(secret);
    return chat;
  }

  get url() {
    return this.daemon.url;
  }

  stop() {
    return this.daemon.stop();
  }

  body(begin) {
    return this.daemon.body(begin);
  }

  #sign(secret, claims) {
    const exp = Math.floor(Date.now() / 1000) + TOKEN_SECONDS;
    const body = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ exp, ...claims })}`;
    return this.daemon.secret(`${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`);
  }

  /** A token of a user of `desk`. */
  token(user, claims = {}) {
    return this.#sign(this.#secrets.DESK, { sub: String(user), name: nameOf(user), ...claims });
  }

  /** A token of a user of `gateway`. */
  gatewayToken(id, userType) {
    return this.#sign(this.#secrets.GATEWAY, { id, userType, username: `${userType}_${id}` });
  }

  /** A session cookie of a user of `page`, as Auth.js makes it. */
  async cookie(user) {
    const token = { sub: `login-of-${user}`, id: user, name: nameOf(user), email: `${user}@example.com`, role: 'ADMIN' };
    const value = await encode({ token, secret: this.#secrets.PAGE, salt: COOKIE, maxAge: TOKEN_SECONDS });
    return { name: COOKIE, value: this.daemon.secret(value) };
  }

  /** A REST call of a user with a token; must succeed. */
  async rest(token, method, path, body) {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await this.daemon.request(method, path, { key: null, headers, body });
    assert.ok(answer.status >= 200 && answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.text ? answer.json : undefined;
  }

  /** A user exists once a token of it was seen. */
  async introduce(...tokens) {
    for (const token of tokens) {
      await this.rest(token, 'GET', '/api/chat/unread-count').catch(() => this.rest(token, 'GET', '/api/chat/list'));
    }
  }

  /** The conversation of two users of `desk`, with a first message from `from`. Its id is a text of digits. */
  async conversation(from, to) {
    const body = { recipientId: to, content: this.body('first'), type: 'text' };
    return (await this.rest(this.token(from), 'POST', '/api/messages', body)).data.conversationId;
  }

  /**
   * A bridged device whose inbox these grantees may use. Acknowledgements come from the test, one by one; with
   * `ackServerMs` null also that of the network, so that a message stays queued, and later ones wait for it.
   */
  async inbox(grantees, { ackServerMs = 20 } = {}) {
    const device = await this.daemon.linked({ ackServerMs, ackDeviceMs: null, ackReadMs: null });
    await this.daemon.call('PATCH', `/devices/${device}`, { settings: { chat: { bridge: 'people' } } });
    const operators = grantees.map((who) => (typeof who === 'string' ? { who } : who));
    await this.daemon.call('PUT', `/devices/${device}/operators`, { operators });
    return new Inbox(this.daemon, device);
  }
}

export const nameOf = (user) => `${String(user)[0].toUpperCase()}${String(user).slice(1)} Example`;

/** The inbox of a simulated device with one contact. */
class Inbox {
  phone = `1555${String(Math.floor(Math.random() * 9_000_000) + 1_000_000)}`;

  constructor(daemon, device) {
    this.daemon = daemon;
    this.device = device;
  }

  /** The contact writes. */
  async say(text, more) {
    await this.daemon.incoming(this.device, this.phone, text, more);
    return text;
  }

  /** What the contact received of this text: how many copies the network got, and how many the contact saw. */
  async received(text) {
    const { sent } = await this.daemon.network(this.device);
    return sent.filter(({ body }) => body === text);
  }

  async receivedTexts() {
    return (await this.daemon.network(this.device)).sent.map(({ body }) => body);
  }

  /** The device's own message with this text. */
  async message(text) {
    const path = `/devices/${this.device}/chats/${this.phone}@c.us/messages?limit=50`;
    return (await this.daemon.call('GET', path)).find(({ body }) => body === text);
  }

  /** The network acknowledges the message with this text. */
  async acknowledge(text, ack) {
    const { id } = await this.message(text);
    await this.daemon.simulate(this.device, 'receipt', { messageId: id, ack });
  }

  /** The contact received this text exactly once. */
  async arrived(text) {
    const copies = await until(async () => {
      const found = await this.received(text);
      return found.length && found;
    }, 'the reply arrives at the contact', WAIT_MS);
    assert.equal(copies.length, 1, JSON.stringify(copies));
    assert.equal(copies[0].shown, 1, JSON.stringify(copies));
    assert.ok(String(copies[0].to).startsWith(this.phone), JSON.stringify(copies[0]));
  }
}
