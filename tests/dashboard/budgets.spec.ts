import type { CDPSession, Locator, Page } from "@playwright/test";
import { expect, open, signIn, test } from "./support/fixtures.ts";

const CHAT = "15550100001@c.us";
const CHATS = 10_000;
const MESSAGES = 20_000;
/** Larger than the API's pages, so that the test reads all messages in few requests. */
const PAGE = 1000;
const MAX_ELEMENTS = 4000;
/** Rows of different heights: the number of visible ones varies. */
const TOLERANCE = 1.15;
/** Removed rows are collected late, so the number of listeners varies; one for each row would be far more. */
const LISTENER_TOLERANCE = 1.5;
const MAX_LISTENERS = 400;

type Json = Record<string, unknown>;

test.beforeAll(async ({ daemon }) => {
  await daemon.linkedDevice("full", "Full");
  await daemon.incoming("full", "a template");
  await daemon.call(`/devices/full/chats/${CHAT}/read`, {});
});

const bodyOf = (at: number): string => `message ${at} ${"word ".repeat((at * 7) % 40)}`;

/** The API's answers with many chats and messages, each a copy of a real one. */
async function fill(page: Page): Promise<{ pages: () => number }> {
  let pages = 0;
  let chatTemplate: { data: Json[]; pagination: Json } | undefined;
  await page.route(/\/devices\/full\/chats\?/, async (route) => {
    const { searchParams } = new URL(route.request().url());
    const offset = Number(searchParams.get("offset") ?? 0);
    const limit = Number(searchParams.get("limit") ?? 50);
    chatTemplate ??= (await (await route.fetch({ url: route.request().url().replace(/offset=\d+/, "offset=0") })).json()) as NonNullable<typeof chatTemplate>;
    const body = { ...chatTemplate };
    const [template] = body.data;
    const count = Math.max(0, Math.min(limit, CHATS - offset));
    body.data = Array.from({ length: count }, (_, index) => {
      const at = offset + index;
      return at === 0 ? template! : { ...template, id: `${15550200000 + at}@c.us`, name: `Person ${at}`, timestamp: (template!.timestamp as number) - at * 60_000 };
    });
    body.pagination = { ...body.pagination, hasMore: offset + count < CHATS, total: CHATS };
    pages += 1;
    return route.fulfill({ json: body });
  });
  await page.route(/\/chats\/[^/]+\/messages\?/, async (route) => {
    const url = new URL(route.request().url());
    const before = Number(url.searchParams.get("before") ?? MESSAGES);
    url.searchParams.delete("before");
    const answer = await route.fetch({ url: url.href });
    const body = (await answer.json()) as { data: Json[]; pagination: Json };
    const template = body.data[0]!;
    const first = Math.max(0, before - PAGE);
    body.data = Array.from({ length: before - first }, (_, index) => {
      const at = first + index;
      return { ...template, id: `copy ${at}`, body: bodyOf(at), fromMe: at % 3 === 0, timestamp: (template.timestamp as number) - (MESSAGES - at) * 30_000 };
    });
    body.pagination = { ...body.pagination, hasMore: first > 0, cursors: { older: { before: String(first) } } };
    pages += 1;
    return route.fulfill({ response: answer, json: body });
  });
  return { pages: () => pages };
}

interface Counts {
  elements: number;
  listeners: number;
}

async function counts(page: Page, session: CDPSession): Promise<Counts> {
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics");
  const listeners = metrics.find(({ name }) => name === "JSEventListeners")!.value;
  return { elements: await page.evaluate(() => document.getElementsByTagName("*").length), listeners };
}

/** Scrolls to one end until it stays there. */
async function scrollTo(list: Locator, end: "start" | "end", row: Locator): Promise<void> {
  await expect(async () => {
    await list.evaluate((element, toStart) => element.scrollTo(0, toStart ? 0 : element.scrollHeight), end === "start");
    await expect(row).toBeInViewport({ timeout: 100 });
  }).toPass({ timeout: 60_000, intervals: [20] });
}

test("10,000 chats need few elements and constant listeners", async ({ page, context, daemon }) => {
  test.setTimeout(120_000);
  const { pages } = await fill(page);
  await signIn(page, daemon.url);
  await open(page, daemon.url, "devices/full/chats");
  await expect(page.locator("[data-chat]").nth(5)).toBeVisible();
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable");
  const before = await counts(page, session);
  expect(before.elements).toBeLessThanOrEqual(MAX_ELEMENTS);

  const list = page.getByRole("list", { name: "Chats" });
  await scrollTo(list, "end", page.locator(`[data-chat="${15550200000 + CHATS - 1}@c.us"]`));
  expect(pages()).toBeGreaterThanOrEqual(CHATS / 100);
  const atEnd = await counts(page, session);
  expect(atEnd.elements).toBeLessThanOrEqual(MAX_ELEMENTS);
  await scrollTo(list, "start", page.locator(`[data-chat="${CHAT}"]`));
  const after = await counts(page, session);
  expect(after.elements).toBeLessThanOrEqual(before.elements * TOLERANCE);
  expect(after.listeners).toBeLessThanOrEqual(MAX_LISTENERS);
});

test("20,000 messages need few elements and constant listeners", async ({ page, context, daemon }) => {
  test.setTimeout(120_000);
  await fill(page);
  await signIn(page, daemon.url);
  await open(page, daemon.url, `devices/full/chats/${CHAT}`);
  await expect(page.locator(`[data-message="copy ${MESSAGES - 1}"]`)).toBeInViewport();
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable");
  const before = await counts(page, session);
  expect(before.elements).toBeLessThanOrEqual(MAX_ELEMENTS);

  const list = page.getByRole("log");
  await scrollTo(list, "start", page.locator('[data-message="copy 0"]'));
  const atStart = await counts(page, session);
  expect(atStart.elements).toBeLessThanOrEqual(MAX_ELEMENTS);
  await scrollTo(list, "end", page.locator(`[data-message="copy ${MESSAGES - 1}"]`));
  const after = await counts(page, session);
  expect(after.elements).toBeLessThanOrEqual(before.elements * TOLERANCE);
  expect(after.listeners).toBeLessThanOrEqual(MAX_LISTENERS);
  for (let round = 0; round < 2; round += 1) {
    await scrollTo(list, "start", page.locator('[data-message="copy 0"]'));
    await scrollTo(list, "end", page.locator(`[data-message="copy ${MESSAGES - 1}"]`));
  }
  const again = await counts(page, session);
  expect(again.elements).toBeLessThanOrEqual(after.elements * TOLERANCE);
  expect(again.listeners).toBeLessThanOrEqual(after.listeners * LISTENER_TOLERANCE);

  // New messages do not add elements to those in view.
  for (let at = 0; at < 200; at += 1) await daemon.incoming("full", `new ${at} ${"word ".repeat((at * 7) % 40)}`);
  await expect(page.locator("[data-message]", { hasText: "new 199" })).toBeVisible();
  const later = await counts(page, session);
  expect(later.elements).toBeLessThanOrEqual(before.elements * TOLERANCE);
  expect(later.listeners).toBeLessThanOrEqual(again.listeners * LISTENER_TOLERANCE);
});
