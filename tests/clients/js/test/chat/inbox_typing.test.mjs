// Pending on F1: typing between a contact and the operators, in each front end's dialect.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ChatDaemon, nameOf, WAIT_MS } from '../../chat/chat_daemon.mjs';
import { GatewayClient } from '../../chat/gateway_client.mjs';
import { HookChat } from '../../chat/react_hook.mjs';
import { ClientApp } from '../../chat/react_client.mjs';
import { Screen } from '../../chat/screen.mjs';
import { until } from '../../daemon.mjs';

let chat;
const opened = [];
before(async () => (chat = await ChatDaemon.start()));
after(() => {
  for (const client of opened) client.close();
  return chat.stop();
});

describe('typing in an inbox', { timeout: 120_000 }, () => {
  test('typing of the contact and of an operator is relayed', async () => {
    const token = (user) => chat.token(user, { userType: 'agent' });
    await chat.introduce(token('bela'), token('9'));
    const inbox = await chat.inbox(['desk:bela', 'desk:9']);
    await inbox.say(chat.body());
    const [conversation] = (await chat.rest(token('bela'), 'GET', '/api/messages/conversations')).data.conversations;
    const contact = conversation.participants[0].id;
    const common = { url: chat.url, transports: ['websocket'] };
    const hook = new Screen(HookChat, {
      ...common, token: token('bela'), user: { id: 'bela' }, otherUser: { id: contact, displayName: nameOf(contact) },
    });
    const client = new Screen(ClientApp, { ...common, token: token('bela'), userId: 'bela', conversationId: conversation.id });
    const gateway = new GatewayClient({
      ...common, token: token('9'), userId: 9, userType: 'agent', conversationId: Number(conversation.id),
    });
    opened.push(hook, client, gateway);
    const isJoined = () => gateway.room && client.find('[data-joined=true]') && hook.messages().length;
    await until(isJoined, 'all joined', WAIT_MS);
    const type = (on) => chat.daemon.simulate(inbox.device, 'typing', { from: inbox.phone, kind: 'text', on });
    await type(true);
    const types = () => [hook.find('[data-typing]'), client.text('[data-typists]'), gateway.isTyping].map(Boolean);
    await until(() => types().every(Boolean), 'all see that the contact types', WAIT_MS);
    await type(false);
    await until(() => !types().some(Boolean), 'the typing ends', WAIT_MS);
    client.type('H');
    const { typing } = await until(async () => {
      const network = await chat.daemon.network(inbox.device);
      return network.typing.length && network;
    }, 'the contact sees that the operator types', WAIT_MS);
    assert.equal(typing[0].on, true);
  });
});
