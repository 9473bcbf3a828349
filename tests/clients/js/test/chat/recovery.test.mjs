// Connection state recovery with the unchanged front ends that do not join again: their screens end with exactly the messages.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Browser } from '../../chat/browser.mjs';
import { ChatDaemon, WAIT_MS } from '../../chat/chat_daemon.mjs';
import { GatewayClient } from '../../chat/gateway_client.mjs';
import { PageOrigin } from '../../chat/page_origin.mjs';
import { ClientApp } from '../../chat/react_client.mjs';
import { Screen } from '../../chat/screen.mjs';
import { sleep, until } from '../../daemon.mjs';

/** Lost connections of each client, and ends of the daemon; WHARF_CHAT_CUTS and WHARF_CHAT_KILLS ask for more. */
const CUTS = Number(process.env.WHARF_CHAT_CUTS ?? 3);
const RESTARTS = Number(process.env.WHARF_CHAT_KILLS ?? 3);
const ROUND_MS = 4_000;
const MESSAGES_PER_ROUND = 6;
const SEND_MS = 40_000;

let chat, origin, browser;
const opened = [];
before(async () => {
  chat = await ChatDaemon.start({ WHARF__CHAT__MAX_MESSAGES_PER_10_S: '1000' });
  [origin, browser] = await Promise.all([PageOrigin.start(chat.daemon), Browser.start()]);
});
after(async () => {
  for (const client of opened) client.close();
  await browser?.stop();
  await origin?.stop();
  await chat?.stop();
});

const wait = (check, what) => until(check, what, WAIT_MS);

/** Repeats a send until it is answered; `tempId` makes a repetition the same message. */
async function post(path, headers, body) {
  await until(async () => {
    const answer = await chat.daemon.request('POST', path, { key: null, headers, body }).catch(() => undefined);
    return answer?.status === 201;
  }, 'the message is answered', SEND_MS);
}

/** Sends texts while `cut` happens `rounds` times; `send` takes a text and its number. */
async function flow(send, cut, rounds) {
  const texts = [];
  for (let round = 0; round <= rounds; round += 1) {
    const sends = (async () => {
      for (let at = 0; at < MESSAGES_PER_ROUND; at += 1) {
        const text = chat.body('message');
        await send(text, texts.push(text));
        await sleep(20);
      }
    })();
    if (round < rounds) await cut(round);
    await sends;
  }
  return texts;
}

/** Ends the daemon and starts it with its data; in turn with and without notice. */
async function restart(round) {
  await chat.daemon[round % 2 ? 'term' : 'kill']();
  await chat.daemon.start();
}

/** Waits after each cut until the client is connected once more. */
function reconnecting(socket, cut) {
  let connections = 0;
  socket.on('connect', () => (connections += 1));
  return async (round) => {
    const expected = connections + 1;
    await cut(round);
    await wait(() => connections >= expected, 'connected again');
  };
}

describe('recovery', { timeout: 170_000 + 6 * ROUND_MS * (CUTS + RESTARTS) }, () => {
  for (const transport of ['websocket', 'polling']) {
    const losses = [['cuts', CUTS, (socket) => () => socket.io.engine.close()], ['restarts', RESTARTS, () => restart]];
    for (const [name, rounds, cutOf] of losses) {
      test(`the React client keeps its messages over ${name} by ${transport}`, async () => {
        const [a, b] = [`anna-${name}-${transport}`, `ben-${name}-${transport}`];
        await chat.introduce(chat.token(a), chat.token(b));
        const conversationId = await chat.conversation(a, b);
        let socket;
        const props = { url: chat.url, token: chat.token(b), transports: [transport], userId: b, conversationId };
        const screen = new Screen(ClientApp, { ...props, onSocket: (one) => (socket = one) });
        opened.push(screen);
        await screen.until(() => screen.find('[data-joined=true]') && screen.messages().length === 1, 'ben joined');
        const headers = { Authorization: `Bearer ${chat.token(a)}` };
        const send = (content, at) => post('/api/messages', headers, { conversationId, content, type: 'text', tempId: `t-${at}` });
        const texts = await flow(send, reconnecting(socket, cutOf(socket)), rounds);
        await screen.until(() => screen.messages().length > texts.length, 'all messages');
        assert.deepEqual(screen.messages().slice(1), texts);
      });
    }

    test(`the gateway client keeps its messages over restarts by ${transport}`, async () => {
      const [a, b] = transport === 'polling' ? [31, 32] : [41, 42];
      const tokens = [chat.gatewayToken(a, 'brand'), chat.gatewayToken(b, 'influencer')];
      await chat.introduce(...tokens);
      const body = { participantId: b, participantType: 'influencer' };
      const { conversation } = await chat.rest(tokens[0], 'POST', '/api/chat/conversations', body);
      const conversationId = conversation.id;
      const options = { url: chat.url, token: tokens[1], userId: b, userType: 'influencer', conversationId };
      const client = new GatewayClient({ ...options, transports: [transport] });
      opened.push(client);
      await wait(() => client.room, 'joined');
      const headers = { Authorization: `Bearer ${tokens[0]}` };
      const send = (content, at) => post('/api/chat/messages', headers, { conversationId, content, messageType: 'text', tempId: at });
      const texts = await flow(send, reconnecting(client.socket, restart), RESTARTS);
      await wait(() => client.messages.length >= texts.length, 'all messages');
      assert.deepEqual(client.contents(), texts);
    });

    for (const version of ['current', 'earlier']) {
      test(`the ${version} page keeps its messages over cuts by ${transport}`, async () => {
        const [a, b] = [`dora-${version}-${transport}`, `emil-${version}-${transport}`];
        const cookie = await chat.cookie(a);
        const headers = { cookie: `${cookie.name}=${cookie.value}`, origin: chat.url };
        const introduce = { key: null, headers: { cookie: headers.cookie } };
        await chat.daemon.request('GET', '/api/chat/list', introduce);
        const screen = await browser.open(origin, b, { cookie: await chat.cookie(b), transport, version });
        await screen.connected();
        await screen.select(a);
        const [path, receiverId] = [
          `/api/chat/conversations/${await screen.page.locator('[data-conversation]').getAttribute('data-conversation')}/messages`, b];
        // The page has no answer to its join: a message that it shows proves it.
        await wait(async () => {
          const text = chat.body('first');
          await post(path, headers, { content: text, receiverId, messageType: 'TEXT' });
          return until(async () => (await screen.messages()).includes(text), 'the message', 1_000).catch(() => false);
        }, 'the page joined');
        const shown = await screen.messages();
        const send = (content) => post(path, headers, { content, receiverId, messageType: 'TEXT' });
        const texts = await flow(send, async (round) => {
          origin.cut();
          await screen.waitFor('[data-connected=false]');
          origin.restore();
          await screen.waitFor(`[data-connections="${round + 2}"]`);
        }, CUTS);
        await wait(async () => (await screen.messages()).length >= shown.length + texts.length, 'all messages');
        assert.deepEqual(await screen.messages(), [...shown, ...texts]);
        await screen.page.context().close();
      });
    }
  }
});
