// The existing clients of the `namespace` dialect, with two users of different types and as an inbox.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ChatDaemon, WAIT_MS } from '../../chat/chat_daemon.mjs';
import { ConsoleClient, GatewayClient } from '../../chat/gateway_client.mjs';
import { until } from '../../daemon.mjs';

let chat;
const clients = [];
before(async () => (chat = await ChatDaemon.start()));
after(() => {
  for (const client of clients) client.close();
  return chat.stop();
});

const opened = (client) => clients.push(client) && client;
const wait = (check, what) => until(check, what, WAIT_MS);
const hasSent = (client) => client.messages.every(({ isPending }) => !isPending);

describe('the gateway client', { timeout: 120_000 }, () => {
  for (const [index, transport] of ['websocket', 'polling'].entries()) {
    test(`two users of the gateway chat by ${transport}`, async () => {
      // The same id with two types: two users.
      const userId = 700 + index;
      const brandToken = chat.gatewayToken(userId, 'brand');
      const influencerToken = chat.gatewayToken(userId + 10, 'influencer');
      await chat.introduce(brandToken, influencerToken, chat.gatewayToken(userId, 'influencer'));
      const body = { participantId: userId + 10, participantType: 'influencer' };
      const { conversation } = await chat.rest(brandToken, 'POST', '/api/chat/conversations', body);
      const open = (token, id, userType, conversationId = conversation.id) =>
        opened(new GatewayClient({ url: chat.url, token, userId: id, userType, conversationId, transports: [transport] }));
      const brand = open(brandToken, userId, 'brand');
      const influencer = open(influencerToken, userId + 10, 'influencer');
      await wait(() => brand.room && influencer.room, 'both joined');
      assert.deepEqual(brand.user, { userId, userType: 'brand' });
      assert.equal(brand.room, `conversation_${conversation.id}`);
      brand.ask(userId + 10, 'influencer');
      influencer.ask(userId, 'brand');
      await wait(() => brand.online.has(`influencer ${userId + 10}`), 'the brand sees the influencer online');
      await wait(() => influencer.online.has(`brand ${userId}`), 'the influencer sees the brand online');

      brand.key();
      await wait(() => influencer.isTyping, 'the influencer sees that the brand types');
      await wait(() => !influencer.isTyping, 'the typing ends');
      assert.equal(brand.isTyping, false);

      const texts = ['one', 'two', 'three'].map((begin) => chat.body(begin));
      for (const [at, client] of [brand, influencer, brand].entries()) {
        client.send(texts[at]);
        await wait(() => [brand, influencer].every(({ messages }) => messages.length === at + 1), `message ${at}`);
        await wait(() => hasSent(client), 'the message is sent');
      }
      for (const client of [brand, influencer]) {
        assert.deepEqual(client.contents(), texts);
        const ids = client.messages.map(({ id }) => id);
        assert.deepEqual(ids, ids.toSorted((one, two) => one - two));
        assert.ok(ids.every((id) => id < 2 ** 40));
      }
      assert.deepEqual(brand.messages.map((message) => brand.isOwn(message)), [true, false, true]);
      assert.deepEqual(influencer.messages.map((message) => influencer.isOwn(message)), [false, true, false]);
      influencer.markRead();
      await wait(() => brand.messages.filter((message) => brand.isOwn(message)).every(({ isRead }) => isRead), 'read');

      // A second socket of the influencer in another conversation: it gets a notification and no message.
      const otherBody = { participantId: userId, participantType: 'influencer' };
      const other = await chat.rest(influencerToken, 'POST', '/api/chat/conversations', otherBody);
      assert.notEqual(other.conversation.id, conversation.id);
      const elsewhere = open(influencerToken, userId + 10, 'influencer', other.conversation.id);
      await wait(() => elsewhere.room, 'the second socket joined');
      brand.send(chat.body('four'));
      await wait(() => elsewhere.notifications.length === 1, 'the notification');
      await wait(() => influencer.messages.length === 4, 'the message at the first socket');
      assert.equal(elsewhere.notifications[0].conversationId, conversation.id);
      assert.deepEqual(elsewhere.messages, []);
      for (const client of [brand, influencer, elsewhere]) assert.deepEqual(client.errors, []);
      assert.deepEqual(influencer.notifications, []);
    });

    test(`the console client gets its message back by ${transport}`, async () => {
      const [one, two] = [[720 + index, 'brand'], [730 + index, 'influencer']];
      const tokens = [chat.gatewayToken(...one), chat.gatewayToken(...two)];
      await chat.introduce(...tokens);
      const body = { participantId: two[0], participantType: two[1] };
      const { conversation } = await chat.rest(tokens[0], 'POST', '/api/chat/conversations', body);
      const options = { url: chat.url, conversationId: conversation.id, transports: [transport] };
      const [here, there] = tokens.map((token) => opened(new ConsoleClient({ ...options, token })));
      await Promise.all([here.isJoined, there.isJoined]);
      const texts = [chat.body('one'), chat.body('two')];
      await here.send(texts[0]);
      await there.send(texts[1]);
      await wait(() => here.messages.length === 2 && there.messages.length === 2, 'both messages');
      for (const client of [here, there]) assert.deepEqual(client.messages.map(({ content }) => content), texts);
    });

    test(`the gateway client is an inbox by ${transport}`, async () => {
      const [bela, cleo] = [800 + index, 810 + index];
      const tokenOf = (id) => chat.token(id, { sub: String(id), name: `Operator ${id}`, userType: 'agent' });
      await chat.introduce(tokenOf(bela), tokenOf(cleo));
      const inbox = await chat.inbox([`desk:${bela}`, `desk:${cleo}`]);
      const first = await inbox.say(chat.body('question'));
      const { conversations } = await chat.rest(tokenOf(bela), 'GET', '/api/chat/conversations');
      const { id } = conversations[0];
      const open = (userId) => {
        const options = { url: chat.url, token: tokenOf(userId), userId, userType: 'agent', conversationId: id };
        return opened(new GatewayClient({ ...options, transports: [transport] }));
      };
      const [one, two] = [open(bela), open(cleo)];
      await wait(() => one.room && two.room, 'both joined');
      const stored = async (content) => {
        const page = await chat.rest(tokenOf(bela), 'GET', `/api/chat/conversations/${id}/messages`);
        return page.messages.find((message) => message.content === content);
      };
      assert.equal((await stored(first)).senderType, 'contact');
      const second = await inbox.say(chat.body('more'));
      await wait(() => one.message(second) && two.message(second), 'the second message');
      assert.equal(one.isOwn(one.message(second)), false);
      two.markRead();
      await wait(async () => {
        const path = `/devices/${inbox.device}/chats/${inbox.phone}@c.us`;
        return (await chat.daemon.call('GET', path)).unreadCount === 0;
      }, 'the messages are read on the device');

      const reply = chat.body('reply');
      one.send(reply);
      await inbox.arrived(reply);
      await wait(() => hasSent(one) && two.message(reply), 'both have the reply');
      assert.equal(two.message(reply).senderType, 'agent', 'the reply of a colleague is on the operator side');
      assert.equal(two.message(reply).sender.id, bela);
      for (const ack of [1, 2, 3]) await inbox.acknowledge(reply, ack);
      await wait(() => one.message(reply).isRead && two.message(reply).isRead, 'the reply is read');
      assert.equal((await stored(reply)).isRead, true);

      // A console client gets its reply back, and the contact gets it once.
      const console = opened(new ConsoleClient({ url: chat.url, token: tokenOf(cleo), conversationId: id, transports: [transport] }));
      const last = chat.body('last');
      await console.send(last);
      await inbox.arrived(last);
      await wait(() => one.message(last) && two.message(last), 'both have the last message');
      for (const client of [one, two]) {
        const texts = client.messages.filter(({ senderType }) => senderType !== 'system').map(({ content }) => content);
        assert.deepEqual(texts, [second, reply, last]);
        assert.deepEqual(client.errors, []);
      }
      assert.deepEqual(await inbox.receivedTexts(), [reply, last]);
    });
  }
});
