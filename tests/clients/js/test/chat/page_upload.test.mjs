// Files on the page, with two users and as an inbox.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Browser } from '../../chat/browser.mjs';
import { ChatDaemon, WAIT_MS } from '../../chat/chat_daemon.mjs';
import { PageOrigin } from '../../chat/page_origin.mjs';
import { until } from '../../daemon.mjs';

const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const PDF = Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n');

let chat, origin, browser;
before(async () => {
  chat = await ChatDaemon.start();
  [origin, browser] = await Promise.all([PageOrigin.start(chat.daemon), Browser.start()]);
});
after(async () => {
  await browser?.stop();
  await origin?.stop();
  await chat?.stop();
});

const open = async (user, more) => browser.open(origin, user, { cookie: await chat.cookie(user), ...more });
const introduce = async (user) => {
  const { name, value } = await chat.cookie(user);
  await chat.daemon.request('GET', '/api/chat/list', { key: null, headers: { cookie: `${name}=${value}` } });
};
const upload = (screen, file) => screen.page.locator('input[type=file]').setInputFiles(file);
const width = (screen) => screen.page.locator('[data-message] img').first().evaluate((image) => image.complete && image.naturalWidth);

describe('files on the page', { timeout: 120_000 }, () => {
  for (const transport of ['websocket', 'polling']) {
    test(`an upload is shown once to both users by ${transport}`, async () => {
      const [a, b] = [`anna-${transport}`, `ben-${transport}`];
      await introduce(b);
      const anna = await open(a, { transport });
      await anna.connected();
      await anna.select(b);
      const ben = await open(b, { transport });
      await ben.connected();
      await ben.select(a);
      await ben.waitFor('[data-type=SYSTEM]');
      const first = chat.body('first');
      await anna.send(first);
      await ben.has(first);
      await upload(anna, { name: 'dot.png', mimeType: 'image/png', buffer: PNG });
      // Two uploads at once are two requests, in the order in which they end.
      await anna.waitFor('[data-type=IMAGE]');
      await upload(anna, { name: 'cv.pdf', mimeType: 'application/pdf', buffer: PDF });
      for (const screen of [anna, ben]) {
        await screen.waitFor('[data-type=IMAGE]');
        await screen.waitFor('[data-type=FILE]');
        await until(() => width(screen), 'the image is loaded', WAIT_MS);
      }
      const last = chat.body('last');
      await anna.send(last);
      for (const screen of [anna, ben]) {
        await screen.has(last);
        assert.deepEqual(await screen.messages(), [first, 'Shared an image: dot.png', 'Shared a PDF document: cv.pdf', last]);
        assert.deepEqual(await screen.alerts(), []);
      }
      await upload(anna, { name: 'page.html', mimeType: 'image/png', buffer: Buffer.from('<!doctype html><script>1</script>') });
      await anna.waitFor('[role=alert]');
    });
  }

  test('an image goes both ways in an inbox', async () => {
    await introduce('bela');
    const inbox = await chat.inbox(['page:bela']);
    const media = { data: PNG.toString('base64'), mimetype: 'image/png', filename: 'contact.png' };
    await inbox.say('', { type: 'image', media });
    const page = await open('bela');
    await page.connected();
    await page.page.locator('[data-entry^=c]').click();
    await until(() => width(page), 'the image of the contact is loaded', WAIT_MS);
    await upload(page, { name: 'reply.png', mimeType: 'image/png', buffer: PNG });
    await until(async () => (await chat.daemon.network(inbox.device)).sent.length === 1, 'the contact gets the image', WAIT_MS);
  });
});
