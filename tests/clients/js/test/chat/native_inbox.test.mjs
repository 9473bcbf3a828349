// The existing React client as an inbox of a device with the native engine, against a WhatsApp server on loopback.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ChatDaemon, WAIT_MS } from '../../chat/chat_daemon.mjs';
import { ClientApp } from '../../chat/react_client.mjs';
import { Screen } from '../../chat/screen.mjs';
import { Testbed } from '../../chat/testbed.mjs';
import { until } from '../../daemon.mjs';

const PHONE = '15550100009';
const CONTACT = '15550100001';
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const skip = Testbed.isBuilt ? false : 'the testbed was not built beside the daemon';

let testbed, chat;
const screens = [];
before(async () => {
  if (skip) return;
  testbed = await Testbed.start();
  chat = await ChatDaemon.start({ WHARF__ENGINES__WHATSAPP__TESTBED_URL: testbed.url });
  await chat.daemon.call('POST', '/devices', { id: 'shop', name: 'Shop', engine: 'whatsapp' });
  await chat.daemon.inState('shop', 'qr', WAIT_MS);
  chat.daemon.secret((await chat.daemon.call('GET', '/devices/shop/status')).qr);
  await chat.daemon.simulate('shop', 'scan', { phoneNumber: PHONE });
  await chat.daemon.inState('shop', 'ready', WAIT_MS);
  await chat.daemon.call('PATCH', '/devices/shop', { settings: { chat: { bridge: 'people' } } });
  await chat.daemon.call('PUT', '/devices/shop/operators', { operators: [{ who: 'desk:bela' }, { who: 'desk:cleo' }] });
});
after(async () => {
  for (const screen of screens) screen.close();
  await chat?.stop();
  await testbed?.stop();
});

function open(userId, conversationId) {
  const props = { url: chat.url, token: chat.token(userId), transports: ['websocket'], userId, conversationId };
  const screen = new Screen(ClientApp, props);
  screens.push(screen);
  return screen;
}

describe('the React client on the native engine', { timeout: 90_000, skip }, () => {
  test('the client is an inbox of a linked account', async () => {
    await chat.introduce(chat.token('bela'), chat.token('cleo'));
    const first = chat.body('question');
    await chat.daemon.incoming('shop', CONTACT, first);
    const list = () => chat.rest(chat.token('bela'), 'GET', '/api/messages/conversations');
    const { id } = await until(async () => (await list()).data.conversations[0], 'the conversation', WAIT_MS);
    const [bela, cleo] = ['bela', 'cleo'].map((user) => open(user, id));
    const both = (check, what) => until(() => [bela, cleo].every(check), what, WAIT_MS);
    await both((screen) => screen.find('[data-joined=true]') && screen.message(first), 'both joined');

    const reply = chat.body('reply');
    await bela.send(reply);
    await both((screen) => screen.message(reply), 'both see the reply');
    const sent = async () => (await chat.daemon.network('shop')).sent.filter(({ body }) => body === reply);
    await until(async () => (await sent()).length > 0, 'the reply at the network', WAIT_MS);
    const path = `/devices/shop/chats/${CONTACT}@c.us/messages?limit=50`;
    const message = async () => (await chat.daemon.call('GET', path)).find(({ body }) => body === reply);
    assert.equal((await message()).sentBy.id, 'desk:bela');
    await chat.daemon.simulate('shop', 'receipt', { messageId: (await message()).id, ack: 3 });
    await both((screen) => screen.message(reply).dataset.status === 'read', 'read on both screens');
    assert.equal((await sent()).length, 1, 'the contact got the reply once');

    const caption = chat.body('picture');
    await chat.daemon.simulate('shop', 'incoming', { from: CONTACT, media: { mimetype: 'image/png', data: PIXEL, caption } });
    await both((screen) => screen.message(caption), 'the picture');
    const page = await chat.rest(chat.token('cleo'), 'GET', `/api/messages?conversationId=${id}`);
    const picture = page.data.messages.find(({ content }) => content === caption);
    assert.equal(picture.type, 'IMAGE');
    const file = await fetch(new URL(picture.attachmentUrl, chat.url));
    assert.deepEqual([file.status, Buffer.from(await file.arrayBuffer()).toString('base64')], [200, PIXEL]);
    for (const screen of [bela, cleo]) assert.deepEqual(screen.messages(), [first, reply, caption]);
  });
});
