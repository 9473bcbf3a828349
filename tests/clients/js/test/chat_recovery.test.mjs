// Connection state recovery with the real socket.io-client: sockets of each dialect lose their connections, and the
// daemon is killed, while messages flow. No client joins again; each gets every message once and in order.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { io } from 'socket.io-client';
import { Daemon, sleep, until } from '../daemon.mjs';

const SECRET = randomBytes(24).toString('hex');
const IDENTITIES = JSON.stringify([
  { name: 'desk', jwt_secret: '${DESK_JWT_SECRET}', dialects: ['root', 'namespace', 'underscore'] },
]);
/** Cuts of each client, and kills of the daemon; WHARF_CHAT_CUTS and WHARF_CHAT_KILLS ask for more. */
const CUTS = Number(process.env.WHARF_CHAT_CUTS ?? 12);
const KILLS = Number(process.env.WHARF_CHAT_KILLS ?? 3);
const MESSAGES = CUTS * 5;

let daemon;
const sockets = [];
before(async () => {
  daemon = await Daemon.start({
    WHARF__CHAT__ENABLED: 'true',
    WHARF__CHAT__IDENTITIES: IDENTITIES,
    WHARF__CHAT__MAX_MESSAGES_PER_10_S: '10000',
    DESK_JWT_SECRET: SECRET,
  });
  daemon.secret(SECRET);
});
after(() => {
  for (const socket of sockets) socket.close();
  return daemon.stop();
});

function token(user) {
  const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 3_600;
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, name: user, userType: 'staff', exp })}`;
  return daemon.secret(`${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`);
}

const DIALECTS = {
  root: { namespace: '', path: '/socket.io/', join: 'join:conversation', message: 'message:new', id: (id) => id },
  namespace: {
    namespace: '/chat', path: '/socket.io/', join: 'conversation:join', message: 'message:new',
    id: (id) => ({ conversationId: Number(id) }),
  },
  underscore: {
    namespace: '', path: '/api/socket/', join: 'join_conversation', message: 'new_message',
    id: (id) => ({ conversationId: id }),
  },
};

/** A client that joins once, and appends every message that arrives. */
class Client {
  texts = [];
  recovered = 0;
  connected = 0;

  constructor(user, dialect, transport) {
    const { namespace, path, message } = DIALECTS[dialect];
    this.socket = io(`${daemon.url}${namespace}`, {
      path, auth: { token: token(user) }, transports: [transport], forceNew: true,
      reconnectionDelay: 20, reconnectionDelayMax: 200, randomizationFactor: 0.5,
    });
    sockets.push(this.socket);
    this.socket.on('connect', () => {
      this.connected += 1;
      if (this.socket.recovered) this.recovered += 1;
    });
    this.socket.on(message, ({ content }) => this.texts.push(content));
  }

  /** Loses the transport without a word to the server, or with one. */
  cut() {
    const { engine } = this.socket.io;
    if (!this.socket.connected) return;
    if (engine.transport.ws && Math.random() < 0.5) engine.transport.ws._socket.destroy();
    else engine.close();
  }
}

async function send(user, recipient, content) {
  const raw = JSON.stringify({ recipientId: recipient, content: daemon.secret(content), type: 'TEXT' });
  const headers = { Authorization: `Bearer ${token(user)}`, 'Content-Type': 'application/json' };
  const tempId = content;
  const body = JSON.stringify({ ...JSON.parse(raw), tempId });
  // A request that a killed daemon did not answer is sent again under the same id.
  for (let attempt = 0; ; attempt += 1) {
    try {
      const answer = await daemon.request('POST', '/api/messages', { key: null, raw: body, headers });
      assert.equal(answer.status, 201, answer.text);
      return answer.json.data.conversationId;
    } catch (error) {
      if (error.code === 'ERR_ASSERTION' || attempt >= 200) throw error;
      await sleep(50);
    }
  }
}

/** A client in the conversation of two new users. */
async function joined(dialect, transport, name) {
  const [author, reader] = [`${name}-author`, `${name}-reader`];
  // A user exists once its token was seen.
  const first = new Client(reader, dialect, transport);
  await until(() => first.socket.connected, 'the reader is known');
  first.socket.close();
  const id = await send(author, reader, `${name} hello`);
  const client = new Client(reader, dialect, transport);
  const { join, id: argument } = DIALECTS[dialect];
  await until(() => client.socket.connected, 'the client is connected');
  await client.socket.timeout(5_000).emitWithAck(join, argument(id));
  return { client, author, reader };
}

describe('connection state recovery', () => {
  for (const dialect of Object.keys(DIALECTS)) {
    for (const transport of ['websocket', 'polling']) {
      test(`${dialect} by ${transport}: cuts lose and repeat nothing`, async () => {
        const { client, author, reader } = await joined(dialect, transport, `${dialect}-${transport}`);
        const texts = [];
        for (let number = 0; number < MESSAGES; number += 1) {
          texts.push(`${dialect} ${transport} message ${number}`);
          await send(author, reader, texts.at(-1));
          if (number % 5 === 0) client.cut();
          await sleep(Math.random() * 15);
        }
        await until(() => client.texts.includes(texts.at(-1)), 'the last message', 15_000);
        assert.deepEqual(client.texts, texts);
        assert.equal(client.recovered, client.connected - 1, 'each connection but the first continues the session');
        assert.ok(client.recovered >= 3, `${client.recovered} recoveries`);
        client.socket.close();
      });
    }
  }

  test('kills of the daemon lose and repeat nothing', async () => {
    const dialects = Object.keys(DIALECTS);
    const parties = await Promise.all(dialects.map((dialect) => joined(dialect, 'websocket', `kill-${dialect}`)));
    const sent = parties.map(() => []);
    let isDone = false;
    const senders = parties.map(async ({ author, reader }, index) => {
      for (let number = 0; !isDone; number += 1) {
        const text = `kill ${dialects[index]} message ${number}`;
        await send(author, reader, text);
        sent[index].push(text);
        await sleep(20);
      }
    });
    for (let kill = 0; kill < KILLS; kill += 1) {
      await sleep(300);
      await daemon.kill();
      await daemon.start();
      await until(() => parties.every(({ client }) => client.socket.connected), 'all are connected again', 15_000);
    }
    await sleep(200);
    isDone = true;
    await Promise.all(senders);
    for (const [index, { client }] of parties.entries()) {
      await until(() => client.texts.includes(sent[index].at(-1)), `the last message of ${dialects[index]}`, 15_000);
      assert.deepEqual(client.texts, sent[index], dialects[index]);
      assert.equal(client.recovered, KILLS, `${dialects[index]} continues after each kill`);
    }
  });
});
