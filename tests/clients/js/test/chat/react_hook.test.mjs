// The existing React hook with peer-addressed events, with two users and as an inbox.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ChatDaemon, nameOf, WAIT_MS } from '../../chat/chat_daemon.mjs';
import { Screen } from '../../chat/screen.mjs';
import { HookChat } from '../../chat/react_hook.mjs';
import { until } from '../../daemon.mjs';

let chat;
const screens = [];
before(async () => (chat = await ChatDaemon.start()));
after(() => {
  for (const screen of screens) screen.close();
  return chat.stop();
});

function open(user, other, transport, more) {
  const screen = new Screen(HookChat, {
    url: chat.url,
    token: chat.token(user),
    transports: [transport],
    user: { id: user },
    otherUser: { id: other, displayName: nameOf(other) },
    ...more,
  });
  screens.push(screen);
  return screen;
}

const isOnline = (screen) => screen.find('[data-online=true]');
const statuses = (screen) => screen.all('[data-own=true]').map(({ dataset }) => dataset.status);

describe('the React hook', { timeout: 120_000 }, () => {
  for (const transport of ['websocket', 'polling']) {
    test(`two users of the hook chat by ${transport}`, async () => {
      const [a, b] = [`anna-${transport}`, `ben-${transport}`];
      await chat.introduce(chat.token(a), chat.token(b));
      const [anna, ben] = [open(a, b, transport), open(b, a, transport)];
      await until(() => isOnline(anna) && isOnline(ben), 'both see each other online', WAIT_MS);

      anna.type('H');
      await ben.until(() => ben.find('[data-typing]'), 'ben sees that anna types');
      await ben.until(() => !ben.find('[data-typing]'), 'the typing ends');

      const texts = ['one', 'two', 'three'].map((begin) => chat.body(begin));
      await anna.send(texts[0]);
      await ben.until(() => ben.messages().length === 1, 'the first message');
      await ben.send(texts[1]);
      await anna.until(() => anna.messages().length === 2, 'the second message');
      await anna.send(texts[2]);
      await until(() => [anna, ben].every((screen) => screen.messages().length === 3), 'all messages', WAIT_MS);
      for (const screen of [anna, ben]) assert.deepEqual(screen.messages(), texts);
      await anna.until(() => statuses(anna).join() === 'read,read', 'the messages of anna are read');
      await ben.until(() => statuses(ben).join() === 'read', 'the message of ben is read');
      for (const screen of [anna, ben]) assert.equal(screen.text('[role=alert]'), '');
    });

    test(`the hook renders a refusal by ${transport}`, async () => {
      const screen = open(`carl-${transport}`, `nobody-${transport}`, transport);
      await screen.until(() => screen.text('[role=alert]') === 'User not found', 'the refusal of the join');
    });

    test(`the hook is an inbox by ${transport}`, async () => {
      const [bela, cleo] = [`bela-${transport}`, `cleo-${transport}`];
      await chat.introduce(chat.token(bela), chat.token(cleo));
      const inbox = await chat.inbox([`desk:${bela}`, `desk:${cleo}`], { ackServerMs: null });
      const first = await inbox.say(chat.body('question'));
      const list = await chat.rest(chat.token(bela), 'GET', '/api/messages/conversations');
      const contact = list.data.conversations[0].participants[0];
      const [one, two] = [bela, cleo].map((user) => open(user, contact.id, transport));
      await until(() => [one, two].every((screen) => screen.messages().length === 1), 'the first message', WAIT_MS);
      const second = await inbox.say(chat.body('more'));
      await until(() => [one, two].every((screen) => screen.messages().length === 2), 'the second message', WAIT_MS);
      await until(async () => {
        const path = `/devices/${inbox.device}/chats/${inbox.phone}@c.us`;
        return (await chat.daemon.call('GET', path)).unreadCount === 0;
      }, 'the messages are read on the device', WAIT_MS);

      const reply = chat.body('reply');
      await one.send(reply);
      await inbox.arrived(reply);
      await until(() => [one, two].every((screen) => screen.message(reply)), 'both see the reply', WAIT_MS);
      const [own, colleagues] = [one.message(reply), two.message(reply)];
      assert.equal(own.dataset.own, 'true');
      assert.equal(colleagues.dataset.own, 'true', 'the reply of a colleague is on the operator side');
      assert.equal(colleagues.querySelector('[data-sender]').textContent, nameOf(bela));

      const status = async () => {
        const page = await chat.rest(chat.token(bela), 'GET', `/api/messages?conversationWith=${contact.id}`);
        return page.data.messages.find(({ content }) => content === reply).status;
      };
      assert.equal(own.dataset.status, 'queued');
      assert.equal(await status(), 'queued');
      await inbox.acknowledge(reply, 1);
      await until(async () => (await status()) === 'sent', 'sent', WAIT_MS);
      for (const [ack, expected] of [[2, 'delivered'], [3, 'read']]) {
        await inbox.acknowledge(reply, ack);
        await until(async () => (await status()) === expected, expected, WAIT_MS);
        await one.until(() => one.message(reply).dataset.status === expected, `${expected} on the screen`);
      }
      for (const screen of [one, two]) {
        assert.deepEqual(screen.messages().filter((text) => !text.includes('assigned')), [first, second, reply]);
        assert.equal(screen.text('[role=alert]'), '');
      }
      assert.deepEqual(await inbox.receivedTexts(), [reply]);
    });
  }
});
