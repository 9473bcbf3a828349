// The existing Next.js page in Chromium behind one origin with its session cookie, with two users and as an inbox.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Browser } from '../../chat/browser.mjs';
import { ChatDaemon, nameOf, WAIT_MS } from '../../chat/chat_daemon.mjs';
import { PageOrigin } from '../../chat/page_origin.mjs';
import { until } from '../../daemon.mjs';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

let chat, origin, browser;
before(async () => {
  // By default every port of this machine is an allowed origin.
  chat = await ChatDaemon.start({ WHARF__SERVER__ALLOWED_ORIGINS: 'https://app.example.com' });
  [origin, browser] = await Promise.all([PageOrigin.start(chat.daemon), Browser.start()]);
});
after(async () => {
  await browser?.stop();
  await origin?.stop();
  await chat?.stop();
});

const open = async (user, more) => browser.open(origin, user, { cookie: await chat.cookie(user), ...more });
const wait = (check, what) => until(check, what, WAIT_MS);
/** A user exists once its cookie was seen. */
const introduce = async (user) => {
  const { name, value } = await chat.cookie(user);
  const answer = await chat.daemon.request('GET', '/api/chat/list', { key: null, headers: { cookie: `${name}=${value}` } });
  assert.equal(answer.status, 200, answer.text);
};
const isLoaded = (screen) =>
  screen.page.locator('[data-message] img').first().evaluate((image) => image.complete && image.naturalWidth === 1);
const isRead = async (screen, text) => (await screen.message(text).getAttribute('data-read')) === 'true';

describe('the Next.js page', { timeout: 150_000 }, () => {
  const forms = ['websocket', 'polling'].flatMap((transport) => ['current', 'earlier'].map((version) => [transport, version]));
  for (const [transport, version] of forms) {
    test(`two users of the ${version} page chat by ${transport}`, async () => {
      const [a, b] = [`anna-${version}-${transport}`, `ben-${version}-${transport}`];
      await introduce(b);
      const anna = await open(a, { transport, version });
      await anna.connected();
      const ben = await open(b, { transport, version });
      await ben.connected();
      await anna.waitFor(`[data-entry="${b}"][data-online=true]`);
      await anna.select(b);
      await anna.waitFor('[data-type=SYSTEM]');
      await ben.select(a);
      await ben.waitFor('[data-type=SYSTEM]');

      const first = chat.body('first');
      await anna.send(first);
      await ben.has(first);
      await ben.type('He');
      await anna.waitFor('[data-typing]');
      await anna.gone('[data-typing]');
      const [second, third] = [chat.body('second'), chat.body('third')];
      await ben.send(second);
      await anna.has(second);
      await anna.send(third);
      await ben.has(third);
      await anna.has(third);
      for (const screen of [anna, ben]) assert.deepEqual(await screen.messages(), [first, second, third]);
      assert.deepEqual(
        await Promise.all([first, second, third].map((text) => anna.message(text).getAttribute('data-own'))),
        ['true', 'false', 'true'],
      );
      assert.equal(await anna.draft(), '');
      // The toasts of ben: a message and a notification for each message of anna.
      await wait(async () => (await ben.sounds()) >= 4, 'the sounds of two messages');

      // Joining marks read: ben opens the conversation once more.
      await ben.select(a);
      await wait(() => isRead(anna, third), 'the message of anna is read');
      for (const screen of [anna, ben]) assert.deepEqual(await screen.alerts(), []);
      await Promise.all([anna, ben].map(({ page }) => page.context().close()));
    });

    test(`the ${version} page is an inbox by ${transport}`, async () => {
      const [bela, cleo] = [`bela-${version}-${transport}`, `cleo-${version}-${transport}`];
      await Promise.all([introduce(bela), introduce(cleo)]);
      const inbox = await chat.inbox([`page:${bela}`, `page:${cleo}`]);
      const first = await inbox.say(chat.body('question'));
      const [one, two] = await Promise.all([bela, cleo].map((user) => open(user, { transport, version })));
      const entry = await one.page.locator('[data-entry]', { hasText: first.substring(0, 30) }).getAttribute('data-entry');
      assert.match(entry, /^c\d+$/);
      for (const screen of [one, two]) {
        await screen.connected();
        await screen.select(entry);
        await screen.has(first);
      }
      await wait(async () => {
        const path = `/devices/${inbox.device}/chats/${inbox.phone}@c.us`;
        return (await chat.daemon.call('GET', path)).unreadCount === 0;
      }, 'the message is read on the device');
      const second = await inbox.say(chat.body('more'));
      for (const screen of [one, two]) await screen.has(second);

      const media = { data: PNG.toString('base64'), mimetype: 'image/png', filename: 'contact.png' };
      const image = 'Shared an image: contact.png';
      await inbox.say('', { type: 'image', media });
      for (const screen of [one, two]) await wait(() => isLoaded(screen), 'the image of the contact is loaded');

      const reply = chat.body('reply');
      await one.send(reply);
      await inbox.arrived(reply);
      await one.has(reply);
      // The earlier version appends no message of its own user, and so none of the operator side.
      if (version === 'earlier') await two.select(entry);
      for (const screen of [one, two]) {
        await screen.has(reply);
        assert.equal(await screen.message(reply).getAttribute('data-own'), 'true', 'the reply is on the operator side');
        assert.equal(await screen.message(reply).locator('[data-sender]').textContent(), nameOf(bela));
      }
      for (const ack of [1, 2, 3]) await inbox.acknowledge(reply, ack);
      await wait(() => isRead(one, reply), 'the reply is read');
      for (const screen of [one, two]) {
        assert.deepEqual(await screen.messages(), [first, second, image, reply]);
        assert.deepEqual(await screen.alerts(), []);
      }
      assert.deepEqual(await inbox.receivedTexts(), [reply]);
      await Promise.all([one, two].map(({ page }) => page.context().close()));
    });
  }

  test('the page works with its cookie on its own origin only', async () => {
    for (const transport of ['websocket', 'polling']) {
      const cookie = await chat.cookie('dora');
      await (await browser.open(origin, 'dora', { cookie, transport })).connected();

      const without = await browser.open(origin, 'dora', { transport });
      await without.waitFor('[role=alert]');
      await wait(async () => (await without.alerts()).includes('Authentication error'), 'a page without a cookie is refused');
      assert.equal(await without.count('[data-connected=true]'), 0);

      const other = await browser.open(origin, 'emma', { cookie, transport });
      await wait(async () => (await other.alerts()).includes('Authentication error'), 'the id of another user is refused');
      assert.equal(await other.count('[data-connected=true]'), 0);
    }
  });

  test('a page of a foreign origin is refused', async () => {
    // Cookies do not depend on the port: the browser sends the cookie, and the pages differ in `Origin` only.
    const foreign = await PageOrigin.start(chat.daemon);
    try {
      for (const transport of ['websocket', 'polling']) {
        const cookie = await chat.cookie('dora');
        const page = await browser.open(foreign, 'dora', { cookie, transport, daemon: chat.url });
        await page.waitFor('[role=alert]');
        assert.equal(await page.count('[data-connected=true]'), 0);
        assert.equal(await page.count('[data-entry]'), 0);
      }
    } finally {
      await foreign.stop();
    }
  });
});
