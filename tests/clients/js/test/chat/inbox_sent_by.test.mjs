// Pending on F2 and F4: the author of a reply in the device's message; colleagues in the online users of a device conversation.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ChatDaemon, nameOf, WAIT_MS } from '../../chat/chat_daemon.mjs';
import { ClientApp } from '../../chat/react_client.mjs';
import { Screen } from '../../chat/screen.mjs';
import { until } from '../../daemon.mjs';

let chat;
const opened = [];
before(async () => (chat = await ChatDaemon.start()));
after(() => {
  for (const screen of opened) screen.close();
  return chat.stop();
});

describe('the author of a reply', { timeout: 60_000 }, () => {
  test('sentBy is in REST', async () => {
    await chat.introduce(chat.token('bela'));
    const inbox = await chat.inbox(['desk:bela']);
    await inbox.say(chat.body());
    const [conversation] = (await chat.rest(chat.token('bela'), 'GET', '/api/messages/conversations')).data.conversations;
    const content = chat.body('reply');
    await chat.rest(chat.token('bela'), 'POST', '/api/messages', { conversationId: conversation.id, content, type: 'text' });
    await inbox.arrived(content);
    assert.deepEqual((await inbox.message(content)).sentBy, { id: 'desk:bela', name: nameOf('bela') });
  });

  test('a colleague who was online before is shown', async () => {
    await chat.introduce(chat.token('cleo'), chat.token('dora'));
    const inbox = await chat.inbox(['desk:cleo', 'desk:dora']);
    await inbox.say(chat.body());
    const [conversation] = (await chat.rest(chat.token('cleo'), 'GET', '/api/messages/conversations')).data.conversations;
    const open = (userId) => {
      const props = { url: chat.url, token: chat.token(userId), transports: ['websocket'], userId, conversationId: conversation.id };
      const screen = new Screen(ClientApp, props);
      opened.push(screen);
      return screen.until(() => screen.find('[data-joined=true]'), 'joined').then(() => screen);
    };
    await open('cleo');
    const dora = await open('dora');
    await until(() => dora.find('section').dataset.online.split(' ').includes('cleo'), 'dora sees cleo online', WAIT_MS);
  });
});
