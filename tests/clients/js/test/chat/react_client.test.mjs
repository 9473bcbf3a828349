// The existing React client with conversation-addressed events, with two users and as an inbox.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ChatDaemon, nameOf, WAIT_MS } from '../../chat/chat_daemon.mjs';
import { Screen } from '../../chat/screen.mjs';
import { ClientApp } from '../../chat/react_client.mjs';
import { until } from '../../daemon.mjs';

let chat;
const screens = [];
before(async () => (chat = await ChatDaemon.start()));
after(() => {
  for (const screen of screens) screen.close();
  return chat.stop();
});

function open(userId, conversationId, transport, more) {
  const props = { url: chat.url, token: chat.token(userId), transports: [transport], userId, conversationId, ...more };
  const screen = new Screen(ClientApp, props);
  screens.push(screen);
  return screen;
}

const sees = (screen, user) => screen.find('section')?.dataset.online.split(' ').includes(user);
const status = (screen, text) => screen.message(text)?.dataset.status;

describe('the React client', { timeout: 120_000 }, () => {
  for (const transport of ['websocket', 'polling']) {
    test(`two users of the client chat by ${transport}`, async () => {
      const [a, b] = [`anna-${transport}`, `ben-${transport}`];
      await chat.introduce(chat.token(a), chat.token(b));
      const conversationId = await chat.conversation(a, b);
      const anna = open(a, conversationId, transport);
      await anna.until(() => anna.messages().length === 1, 'the stored message');
      const ben = open(b, conversationId, transport);
      await until(() => sees(anna, b) && sees(ben, a), 'both see each other online', WAIT_MS);
      await ben.until(() => ben.messages().length === 1, 'the stored message');

      anna.type('H');
      await ben.until(() => ben.text('[data-typists]') === nameOf(a), 'ben sees that anna types');
      await ben.until(() => ben.text('[data-typists]') === '', 'the typing ends');

      const texts = ['one', 'two', 'three'].map((begin) => chat.body(begin));
      for (const [index, screen] of [anna, ben, anna].entries()) {
        await screen.send(texts[index]);
        await until(() => [anna, ben].every((one) => one.messages().length === index + 2), `message ${index}`, WAIT_MS);
      }
      for (const screen of [anna, ben]) assert.deepEqual(screen.messages().slice(1), texts);
      assert.equal(status(anna, texts[2]), 'sent');
      ben.focus();
      await anna.until(() => [texts[0], texts[2]].every((text) => status(anna, text) === 'read'), 'the messages are read');
      anna.click(anna.message(texts[2]).querySelector('[data-delete]'));
      await until(() => [anna, ben].every((screen) => !screen.message(texts[2])), 'the message is deleted', WAIT_MS);

      // A client that left the conversation gets no message of it, and the messages of another one once it joined that.
      const other = await chat.conversation(b, `carl-${transport}`).catch(() => undefined);
      assert.equal(other, undefined, 'a user that never signed in is unknown');
      await chat.introduce(chat.token(`carl-${transport}`));
      ben.set({ conversationId: await chat.conversation(b, `carl-${transport}`) });
      await ben.until(() => ben.messages().length === 1 && !ben.message(texts[0]), 'the other conversation');
      await anna.send(texts[2]);
      await anna.until(() => anna.message(texts[2]), 'the message is stored');
      await ben.send(chat.body('other'));
      await ben.until(() => ben.messages().length === 2, 'the message of the other conversation');
      assert.equal(ben.message(texts[2]), undefined);
      for (const screen of [anna, ben]) assert.equal(screen.text('[role=alert]'), '');
    });

    test(`the client is an inbox by ${transport}`, async () => {
      const [bela, cleo] = [`bela-${transport}`, `cleo-${transport}`];
      await chat.introduce(chat.token(bela), chat.token(cleo));
      const inbox = await chat.inbox([`desk:${bela}`, `desk:${cleo}`], { ackServerMs: null });
      const first = await inbox.say(chat.body('question'));
      const list = await chat.rest(chat.token(bela), 'GET', '/api/messages/conversations');
      const { id } = list.data.conversations[0];
      const [one, two] = [bela, cleo].map((user) => open(user, id, transport));
      await until(() => [one, two].every((screen) => screen.message(first)), 'the first message', WAIT_MS);
      await until(() => [one, two].every((screen) => screen.find('[data-joined=true]')), 'both joined', WAIT_MS);
      const second = await inbox.say(chat.body('more'));
      await until(() => [one, two].every((screen) => screen.message(second)), 'the second message', WAIT_MS);
      assert.equal(one.message(second).dataset.own, 'false');
      two.focus();
      await until(async () => {
        const path = `/devices/${inbox.device}/chats/${inbox.phone}@c.us`;
        return (await chat.daemon.call('GET', path)).unreadCount === 0;
      }, 'the messages are read on the device', WAIT_MS);

      const reply = chat.body('reply');
      await one.send(reply);
      await inbox.arrived(reply);
      await until(() => [one, two].every((screen) => screen.message(reply)), 'both see the reply', WAIT_MS);
      assert.equal(one.message(reply).dataset.own, 'true');
      const colleagues = two.message(reply).querySelector('[data-sender]').textContent;
      assert.equal(colleagues, nameOf(bela), 'the reply shows its real author');

      const stored = async () => {
        const page = await chat.rest(chat.token(bela), 'GET', `/api/messages?conversationId=${id}`);
        return page.data.messages.find(({ content }) => content === reply).status;
      };
      assert.equal(await stored(), 'queued');
      for (const [ack, expected] of [[1, 'sent'], [2, 'delivered'], [3, 'read']]) {
        await inbox.acknowledge(reply, ack);
        await until(async () => (await stored()) === expected, expected, WAIT_MS);
      }
      await until(() => [one, two].every((screen) => status(screen, reply) === 'read'), 'read on both screens', WAIT_MS);
      for (const screen of [one, two]) {
        const texts = screen.messages().filter((text) => !text.includes('assigned'));
        assert.deepEqual(texts, [first, second, reply]);
        assert.equal(screen.text('[role=alert]'), '');
      }
      assert.deepEqual(await inbox.receivedTexts(), [reply]);
    });
  }
});
