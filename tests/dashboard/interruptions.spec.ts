import type { Page } from "@playwright/test";
import { Daemon } from "./support/daemon.ts";
import { expect, open, signIn, test } from "./support/fixtures.ts";
import { PrefixProxy } from "./support/prefix_proxy.ts";

const CHAT = "15550100001@c.us";
const CUTS = Number(process.env.WHARF_DASHBOARD_CUTS ?? 20);
const RESTARTS = 5;
/** Between two messages; a cut follows every third one. */
const PAUSE_MS = 40;
const PATIENCE_MS = 30_000;
const SENT_BY_PAGE = Math.ceil(CUTS / 4);

interface Sent {
  body: string;
}
interface Shown {
  id: string;
  text: string;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Repeats a request that is safe to repeat until the daemon answers it. */
async function untilAnswered<T>(call: () => Promise<T>): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (Date.now() > end) throw error;
      await pause(100);
    }
  }
}

/** All messages that the page shows, collected by scrolling from the start to the end. */
async function shownMessages(page: Page): Promise<Shown[]> {
  const log = page.getByRole("log");
  const start = page.locator("[data-message]", { hasText: "in 0." });
  await expect(async () => {
    await log.evaluate((element) => element.scrollTo(0, 0));
    await expect(start).toBeInViewport({ timeout: 500 });
  }).toPass();
  const found = new Map<string, string>();
  for (let isAtEnd = false; !isAtEnd;) {
    const seen = await page.locator("[data-message]").evaluateAll((all) => all.map((element) => ({ id: element.getAttribute("data-message")!, top: element.getBoundingClientRect().top, text: element.textContent ?? "" })));
    for (const { id, text } of seen.sort((a, b) => a.top - b.top)) {
      found.delete(id);
      found.set(id, text);
    }
    isAtEnd = await log.evaluate((element) => {
      const isLast = element.scrollTop + element.clientHeight >= element.scrollHeight - 2;
      element.scrollBy(0, element.clientHeight / 2);
      return isLast;
    });
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  }
  return [...found].map(([id, text]) => ({ id, text }));
}

/** Sends from the page and presses `Try again` until nothing waits. */
async function sendFromPage(page: Page, words: string): Promise<void> {
  await page.getByRole("textbox", { name: "Write a message" }).fill(words);
  await expect(page.getByRole("button", { name: "Send", exact: true })).toBeEnabled();
  await page.keyboard.press("Enter");
}

async function tryAgainUntilSent(page: Page): Promise<void> {
  const again = page.getByRole("button", { name: "Try again" });
  await expect(async () => {
    while ((await again.count()) > 0) await again.first().click({ timeout: 1000 });
    await expect(again).toHaveCount(0, { timeout: 300 });
  }).toPass();
}

test(`${CUTS} cuts and ${RESTARTS} restarts lose and repeat nothing`, async ({ page }) => {
  test.setTimeout(120_000 + CUTS * 3000);
  const daemon = await Daemon.start();
  const proxy = await PrefixProxy.start(daemon.port, "/cut");
  let isOver = false;
  try {
    await daemon.linkedDevice("flow", "Flow");
    await daemon.incoming("flow", "in 0.", "15550100001", { networkId: "N0" });
    await signIn(page, proxy.url);
    await open(page, proxy.url, `devices/flow/chats/${CHAT}`);
    await expect(page.locator("[data-message]", { hasText: "in 0." })).toBeVisible();
    await page.evaluate(() => Object.assign(globalThis, { isSameDocument: true }));

    let received = 1;
    let sentByApi = 0;
    // Each request has an id of its own, so that its repetition is no second message.
    const write = async () => {
      while (!isOver) {
        const at = received;
        await untilAnswered(() => daemon.incoming("flow", `in ${at}.`, "15550100001", { networkId: `N${at}` }));
        received += 1;
        if (at % 5 === 0) {
          await untilAnswered(() => daemon.call("/devices/flow/messages/send", { to: CHAT, text: `api ${sentByApi}.` }, "POST", { "Idempotency-Key": `api-${sentByApi}` }));
          sentByApi += 1;
        }
        await pause(PAUSE_MS);
      }
    };
    const cut = async () => {
      let sentByPage = 0;
      let cutConnections = 0;
      for (let at = 0; at < CUTS; at += 1) {
        const before = received;
        await expect.poll(() => received, { intervals: [20], timeout: PATIENCE_MS }).toBeGreaterThan(before + 2);
        // Half of the cuts are within the page's own request.
        if (at % 4 === 0) {
          await sendFromPage(page, `page ${sentByPage}.`);
          sentByPage += 1;
        }
        cutConnections += proxy.cut();
        if (at % Math.ceil(CUTS / RESTARTS) === 0) await daemon.restart(at % 2 === 0 ? "SIGKILL" : "SIGTERM");
        if (at % 4 === 1) await tryAgainUntilSent(page);
      }
      expect(sentByPage).toBe(SENT_BY_PAGE);
      expect(cutConnections).toBeGreaterThan(CUTS / 2);
      isOver = true;
    };
    await Promise.all([write(), cut()]);
    await tryAgainUntilSent(page);

    const own = [...Array.from({ length: sentByApi }, (_, at) => `api ${at}.`), ...Array.from({ length: SENT_BY_PAGE }, (_, at) => `page ${at}.`)];
    const network = () => daemon.call<{ sent: Sent[] }>("/simulator/flow/network").then(({ sent }) => sent.map(({ body }) => body).sort());
    await expect.poll(network, { timeout: PATIENCE_MS }).toEqual([...own].sort());

    const wanted: Shown[] = [];
    let before: string | undefined;
    do {
      const answer = await fetch(`${daemon.url}/api/v1/devices/flow/chats/${CHAT}/messages?limit=100${before ? `&before=${encodeURIComponent(before)}` : ""}`, { headers: { "X-API-KEY": "a-key-for-tests-that-may-do-everything" } });
      const body = (await answer.json()) as { data: { id: string; body: string }[]; pagination: { hasMore: boolean; cursors: { older?: { before?: string } } } };
      wanted.unshift(...body.data.map(({ id, body: text }) => ({ id, text })));
      before = body.pagination.hasMore ? body.pagination.cursors.older?.before : undefined;
    } while (before);
    const incoming = wanted.map(({ text }) => text).filter((text) => text.startsWith("in "));
    expect(incoming).toEqual(Array.from({ length: received }, (_, at) => `in ${at}.`));
    expect(wanted).toHaveLength(received + own.length);

    // The page shows the same, once and in the same order, without being loaded again.
    await expect(page.locator("[data-message]", { hasText: wanted.at(-1)!.text })).toBeAttached();
    const shown = await shownMessages(page);
    expect(shown.map(({ id }) => id)).toEqual(wanted.map(({ id }) => id));
    for (const [at, { text }] of wanted.entries()) expect(shown[at]!.text).toContain(text);
    expect(await page.evaluate(() => (globalThis as { isSameDocument?: boolean }).isSameDocument)).toBe(true);
  } finally {
    isOver = true;
    await proxy.stop();
    await daemon.stop();
  }
});
