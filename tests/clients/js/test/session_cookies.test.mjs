// Session cookies made by the encoders of Auth.js 5 and NextAuth 4, as the existing page of the `underscore` dialect
// presents them: `auth` has only `userId`, and the browser adds the cookie and the origin.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { encode } from '@auth/core/jwt';
import nextAuth from 'next-auth/jwt';
import { io } from 'socket.io-client';
import { Daemon, until } from '../daemon.mjs';

const PAGE_SECRET = randomBytes(24).toString('hex');
const OLD_SECRET = randomBytes(24).toString('hex');
const user_claim = ['id', 'sub'];
const IDENTITIES = JSON.stringify([
  { name: 'page', authjs_secret: '${PAGE_SECRET}', cookie: 'authjs.session-token', user_claim, dialects: ['underscore'] },
  { name: 'old', authjs_secret: '${OLD_SECRET}', cookie: 'next-auth.session-token', user_claim, dialects: ['underscore'] },
]);
const CHUNK_BYTES = 3936;

let daemon;
/** All sockets: one that a failed test leaves open would connect again without end. */
const sockets = [];
before(async () => {
  daemon = await Daemon.start({ WHARF__CHAT__ENABLED: 'true', WHARF__CHAT__IDENTITIES: IDENTITIES, PAGE_SECRET, OLD_SECRET });
  daemon.secret(PAGE_SECRET);
  daemon.secret(OLD_SECRET);
});
after(() => {
  for (const socket of sockets) socket.close();
  return daemon.stop();
});

/** The claims of a login: `id` is what the application's callbacks add. */
const claims = (user, more) => ({ sub: `login-of-${user}`, id: user, name: user, role: 'ADMIN', ...more });

async function authjs(user, { name = 'authjs.session-token', secret = PAGE_SECRET, maxAge = 600, more } = {}) {
  const value = await encode({ token: claims(user, more), secret, salt: name, maxAge });
  return { name, value: daemon.secret(value) };
}

async function nextAuth4(user, { name = 'next-auth.session-token', secret = OLD_SECRET, maxAge = 600, more } = {}) {
  const value = await nextAuth.encode({ token: claims(user, more), secret, maxAge });
  return { name, value: daemon.secret(value) };
}

const header = ({ name, value }) => `theme=dark; ${name}=${value}`;

/** The header of a cookie that both libraries split. */
function chunked({ name, value }) {
  const chunks = [];
  for (let at = 0; at < value.length; at += CHUNK_BYTES) {
    chunks.push(`${name}.${chunks.length}=${daemon.secret(value.slice(at, at + CHUNK_BYTES))}`);
  }
  assert.ok(chunks.length > 1);
  return chunks.join('; ');
}

/** The page: connects, and resolves to its user or to the message of the refusal. */
function page(userId, cookie, { transport = 'websocket', origin = daemon.url } = {}) {
  const extraHeaders = { cookie, ...(origin && { origin }) };
  const options = { path: '/api/socket', auth: { userId }, transports: [transport], extraHeaders };
  const socket = io(daemon.url, { ...options, reconnection: false, forceNew: true });
  sockets.push(socket);
  return new Promise((done) => {
    socket.on('connected', (payload) => done({ socket, user: payload.userId }));
    socket.on('connect_error', (error) => done({ socket, refusal: error.message }));
  });
}

const rest = (method, cookie, headers = {}, body) =>
  daemon.request(method, '/api/chat/conversations', { key: null, headers: { cookie, ...headers }, body });

describe('session cookies', { timeout: 60_000 }, () => {
  const forms = [
    ['Auth.js 5', (user) => authjs(user)],
    ['Auth.js 5 over https', (user) => authjs(user, { name: '__Secure-authjs.session-token' })],
    ['NextAuth 4', (user) => nextAuth4(user)],
    ['NextAuth 4 over https', (user) => nextAuth4(user, { name: '__Secure-next-auth.session-token' })],
  ];
  for (const [form, cookieOf] of forms) {
    // covers: underscore session cookie
    test(`a cookie of ${form} signs a page in`, async () => {
      const cookie = header(await cookieOf('anna'));
      for (const transport of ['websocket', 'polling']) {
        const { socket, user, refusal } = await page('anna', cookie, { transport });
        assert.equal(user, 'anna', refusal);
        // The page of another user does not connect with it.
        assert.equal((await page('ben', cookie, { transport })).refusal, 'Authentication error');
        socket.close();
      }
      assert.equal((await rest('GET', cookie)).status, 200);
    });
  }

  // covers: underscore session cookie
  test('two pages chat without a token', async () => {
    const [anna, ben] = await Promise.all([authjs('anna'), authjs('ben')].map(async (made) => header(await made)));
    const pages = await Promise.all([page('anna', anna), page('ben', ben, { transport: 'polling' })]);
    assert.deepEqual(pages.map(({ user }) => user), ['anna', 'ben']);
    const [a, b] = pages.map(({ socket }) => socket);
    const opened = await rest('POST', anna, { origin: daemon.url }, { participantId: 'ben' });
    assert.equal(opened.status, 201, opened.text);
    const conversationId = opened.json.conversation.id;
    const content = daemon.body();
    await b.timeout(5_000).emitWithAck('join_conversation', { conversationId });
    const received = [];
    b.on('new_message', (message) => received.push(message));
    a.emit('send_message', { conversationId, senderId: 'anna', receiverId: 'ben', content, messageType: 'TEXT' });
    const message = await until(() => received.find((one) => one.content === content), 'the message arrives');
    assert.equal(message.sender.id, 'anna');
    a.close();
    b.close();
  });

  // covers: underscore session cookie
  test('a cookie in chunks signs a page in', async () => {
    const more = { picture: `https://pictures.example/${'x'.repeat(8_000)}` };
    for (const cookie of [await authjs('anna', { more }), await nextAuth4('anna', { more })]) {
      for (const transport of ['websocket', 'polling']) {
        const { socket, user, refusal } = await page('anna', chunked(cookie), { transport });
        assert.equal(user, 'anna', refusal);
        socket.close();
      }
    }
  });

  // covers: underscore refusal of cookies
  test('wrong cookies are refused', async () => {
    const renamed = { ...(await authjs('anna')), name: '__Secure-authjs.session-token' };
    const wrong = [
      renamed,
      await authjs('anna', { maxAge: -60 }),
      await authjs('anna', { secret: OLD_SECRET }),
      await nextAuth4('anna', { maxAge: -60 }),
      await nextAuth4('anna', { secret: PAGE_SECRET }),
      { name: 'theme', value: 'dark' },
    ];
    for (const cookie of wrong.map(header)) {
      assert.equal((await page('anna', cookie)).refusal, 'Authentication error');
      assert.equal((await rest('GET', cookie)).status, 401);
    }
  });

  // covers: underscore Origin of cookies
  test('a cookie needs the origin of its page', async () => {
    const cookie = header(await authjs('anna'));
    for (const transport of ['websocket', 'polling']) {
      assert.equal((await page('anna', cookie, { transport, origin: null })).refusal, 'Authentication error');
      const { user } = await page('anna', cookie, { transport, origin: 'https://evil.example' });
      assert.equal(user, undefined);
    }
    const body = { participantId: 'anna' };
    assert.equal((await rest('GET', cookie, { origin: 'https://evil.example' })).status, 401);
    assert.equal((await rest('POST', cookie, {}, body)).status, 401);
    assert.equal((await rest('POST', cookie, { origin: 'https://evil.example' }, body)).status, 401);
  });
});
