// Debian's Chromium with pages of the operator chat; each user has cookies of its own.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { WAIT_MS } from './chat_daemon.mjs';

const PROGRAM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));
// A root user, as in containers, cannot use Chromium's sandbox.
const ARGUMENTS = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
const START_MS = 60_000;

export class Browser {
  static async start() {
    const browser = new Browser();
    browser.chromium = await chromium.launch({ executablePath: PROGRAM, args: ARGUMENTS, timeout: START_MS });
    return browser;
  }

  /** Opens the page of a user. `cookie` is what the login of the application set on the origin. */
  async open(origin, user, { cookie, transport = 'websocket', version = 'current', daemon } = {}) {
    const context = await this.chromium.newContext();
    context.setDefaultTimeout(WAIT_MS);
    if (cookie) await context.addCookies([{ ...cookie, url: origin.url, httpOnly: true, sameSite: 'Lax' }]);
    const page = await context.newPage();
    const query = new URLSearchParams({ user, transport, version, ...(daemon && { origin: daemon }) });
    await page.goto(`${origin.url}/?${query}`);
    return new PageScreen(page);
  }

  stop() {
    return this.chromium.close();
  }
}

/** What a user sees and does on a page. */
class PageScreen {
  constructor(page) {
    this.page = page;
  }

  /** Waits for an element that matches; without `count` for at least one. */
  async waitFor(selector) {
    await this.page.locator(selector).first().waitFor({ state: 'attached' });
    return this;
  }

  gone(selector) {
    return this.page.locator(selector).first().waitFor({ state: 'detached' });
  }

  connected() {
    return this.waitFor('[data-connected=true]');
  }

  alert() {
    return this.page.locator('[role=alert]').first().textContent();
  }

  alerts() {
    return this.page.locator('[role=alert]').allTextContents();
  }

  count(selector) {
    return this.page.locator(selector).count();
  }

  /** Clicks a user of the list and waits until the stored messages are shown. */
  async select(user) {
    await this.page.locator(`[data-entry="${user}"]`).click();
    await this.waitFor('[data-conversation]');
  }

  async type(text) {
    await this.page.locator('input[name=text]').pressSequentially(text);
  }

  async send(text) {
    await this.page.locator('input[name=text]').fill(text);
    await this.page.locator('form button').click();
  }

  messages() {
    return this.page.locator('[data-message]:not([data-type=SYSTEM]) [data-content]').allTextContents();
  }

  has(text) {
    return this.page.locator('[data-content]', { hasText: text }).first().waitFor({ state: 'attached' });
  }

  message(text) {
    return this.page.locator('[data-message]', { hasText: text });
  }

  draft() {
    return this.page.locator('input[name=text]').inputValue();
  }

  async sounds() {
    return Number(await this.page.locator('main').getAttribute('data-sounds'));
  }
}
