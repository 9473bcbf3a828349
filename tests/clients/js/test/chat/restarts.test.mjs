// The existing React hook while the daemon ends and starts again: its screen ends with exactly the messages.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ChatDaemon, nameOf, WAIT_MS } from '../../chat/chat_daemon.mjs';
import { HookChat } from '../../chat/react_hook.mjs';
import { Screen } from '../../chat/screen.mjs';
import { sleep, until } from '../../daemon.mjs';

const MESSAGES_PER_PHASE = 8;
const SEND_MS = 40_000;

let chat;
const screens = [];
before(async () => (chat = await ChatDaemon.start({ WHARF__CHAT__MAX_MESSAGES_PER_10_S: '1000' })));
after(() => {
  for (const screen of screens) screen.close();
  return chat.stop();
});

/** Sends over REST until it is answered; `tempId` makes a repetition the same message. */
async function send(token, recipientId, content, tempId) {
  await until(async () => {
    const headers = { Authorization: `Bearer ${token}` };
    const body = { recipientId, content, type: 'text', tempId };
    const answer = await chat.daemon.request('POST', '/api/messages', { key: null, headers, body }).catch(() => undefined);
    return answer?.status === 201;
  }, 'the message is answered', SEND_MS);
}

describe('restarts of the daemon', { timeout: 150_000 }, () => {
  for (const transport of ['websocket', 'polling']) {
    test(`the hook misses and repeats no message by ${transport}`, async () => {
      const [a, b] = [`anna-${transport}`, `ben-${transport}`];
      await chat.introduce(chat.token(a), chat.token(b));
      const open = (user, other) => {
        const screen = new Screen(HookChat, {
          url: chat.url,
          token: chat.token(user),
          transports: [transport],
          user: { id: user },
          otherUser: { id: other, displayName: nameOf(other) },
        });
        screens.push(screen);
        return screen;
      };
      const [anna, ben] = [open(a, b), open(b, a)];
      const isConnected = () => [anna, ben].every((screen) => screen.find('[data-connected=true]'));
      await until(isConnected, 'both are connected', WAIT_MS);

      const texts = [];
      for (const end of ['kill', 'term', 'kill', undefined]) {
        const phase = Array.from({ length: MESSAGES_PER_PHASE }, () => chat.body('message'));
        const sends = (async () => {
          for (const text of phase) {
            await send(chat.token(a), b, text, `t-${texts.push(text)}`);
            // Messages come before, during and after the end of the daemon.
            await sleep(20);
          }
        })();
        if (end) {
          await until(() => ben.message(phase[2]), 'messages arrive before the daemon ends', WAIT_MS);
          await chat.daemon[end]();
          await chat.daemon.start();
        }
        await sends;
        await until(isConnected, 'both are connected again', WAIT_MS);
      }
      for (const screen of [anna, ben]) {
        await screen.until(() => screen.messages().length >= texts.length, 'all messages');
        assert.deepEqual(screen.messages(), texts);
      }
      // The hook opens a new session, which gets no receipt of the time before its join: the store has them.
      const stored = async () => {
        const page = await chat.rest(chat.token(a), 'GET', `/api/messages?conversationWith=${b}&limit=100`);
        return page.data.messages;
      };
      assert.deepEqual((await stored()).map(({ content }) => content), texts);
      await until(async () => (await stored()).every(({ isRead }) => isRead), 'all are read', WAIT_MS);
    });
  }
});
