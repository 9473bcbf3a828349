// Pending on F3: the counts of the React client, from notifications over REST.
import { after, before, describe, test } from 'node:test';
import { ChatDaemon, WAIT_MS } from '../../chat/chat_daemon.mjs';
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

describe('notifications of the React client', { timeout: 60_000 }, () => {
  for (const transport of ['websocket', 'polling']) {
    test(`the counts of all windows follow by ${transport}`, async () => {
      const userId = `anna-${transport}`;
      const sockets = [];
      const open = () => {
        const props = { url: chat.url, token: chat.token(userId), transports: [transport], userId };
        const screen = new Screen(ClientApp, { ...props, onSocket: (socket) => sockets.push(socket) });
        opened.push(screen);
        return screen;
      };
      const [one, two] = [open(), open()];
      await until(() => sockets.length === 2 && sockets.every(({ connected }) => connected), 'connected', WAIT_MS);
      await chat.introduce(chat.token(userId));
      const count = (screen) => screen.find('aside').dataset.notifications;
      const both = (expected) =>
        until(() => count(one) === expected && count(two) === expected, `${expected} notifications`, WAIT_MS);
      for (const title of ['Order shipped', 'Order paid', 'Order closed']) {
        await chat.daemon.call('POST', `/operators/desk:${userId}/notifications`, { type: 'order', title, message: 'Order 12' });
      }
      await both('3');
      one.click(one.find('[data-notification]'));
      await both('2');
      two.click(two.find('aside button'));
      await both('0');
    });
  }
});
