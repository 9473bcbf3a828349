import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { ADMIN_KEY } from "./support/daemon.ts";
import { expect, open, test } from "./support/fixtures.ts";

const CHAT = "15550100001@c.us";
const GROUP = "120363000000000001@g.us";
const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 390, height: 844 };
/** The browser that drew the committed images: another version draws texts in another way. */
const BROWSER_FILE = new URL("./looks.spec.ts-snapshots/browser.txt", import.meta.url);

interface Look {
  name: string;
  route: string | undefined;
  size: { width: number; height: number };
  scheme?: "dark";
  isRtl?: boolean;
}
const LOOKS: Look[] = [
  { name: "sign-in", route: undefined, size: WIDE },
  { name: "sign-in-dark", route: undefined, size: WIDE, scheme: "dark" },
  { name: "devices", route: "devices", size: WIDE },
  { name: "new-device", route: "devices/new", size: WIDE },
  { name: "chats", route: "devices/shop/chats", size: WIDE },
  { name: "conversation", route: `devices/shop/chats/${CHAT}`, size: WIDE },
  { name: "conversation-dark", route: `devices/shop/chats/${CHAT}`, size: WIDE, scheme: "dark" },
  { name: "conversation-narrow", route: `devices/shop/chats/${CHAT}`, size: NARROW },
  { name: "conversation-rtl", route: `devices/shop/chats/${CHAT}`, size: WIDE, isRtl: true },
  { name: "group-narrow", route: `devices/shop/chats/${GROUP}`, size: NARROW },
  { name: "webhooks", route: "webhooks", size: WIDE },
  { name: "new-device-narrow-dark", route: "devices/new", size: NARROW, scheme: "dark" },
];

test.beforeAll(async ({ daemon }) => {
  const people = [["15550100001", "Anna Berger"], ["15550100002", "Ben Okafor"], ["15550100003", "Chloé Martin"]];
  const settings = { simulator: {
    ackServerMs: 0, ackDeviceMs: 10, ackReadMs: 30, echo: false,
    contacts: people.map(([number, name]) => ({ id: `${number}@c.us`, name })),
    groups: [{ id: GROUP, subject: "Kitchen and service", participants: people.map(([number]) => `${number}@c.us`) }],
  } };
  await daemon.call("/devices", { id: "shop", name: "Shop counter", settings });
  await daemon.untilState("shop", "qr");
  await daemon.call("/simulator/shop/scan", {});
  await daemon.untilState("shop", "ready");
  await daemon.incoming("shop", "Can I change my order?", "15550100002");
  await daemon.incoming("shop", "The oven is on", "15550100003", { groupId: GROUP });
  await daemon.incoming("shop", "Good morning! Do you have *two* tables for tonight?");
  await daemon.call("/devices/shop/messages/send", { to: CHAT, text: "We do, at 19:00. Shall I book them for you?" });
  await daemon.incoming("shop", "Yes please 👍");
  for (const chat of [CHAT, GROUP, "15550100002@c.us"]) await daemon.call(`/devices/shop/chats/${chat}/read`, {});
  await expect.poll(async () => (await daemon.call<{ ack: number }[]>(`/devices/shop/chats/${CHAT}/messages`))[1]?.ack).toBe(3);
  await daemon.call("/webhooks", { url: "http://127.0.0.1:9/hook", name: "Orders", events: ["message"] });
});

async function settle(page: Page): Promise<void> {
  await expect(page.locator(":is(h1, h2, input):visible").first()).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "…" })).toHaveCount(0);
  if (page.url().includes("/chats")) await expect(page.locator("[data-chat], [data-message]").first()).toBeAttached();
  await page.waitForFunction(() => [...document.images].every((image) => image.complete));
  await page.mouse.move(0, 0);
  // The virtual list positions its rows in the next frames.
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 800)));
}

/** Times and days are those of the run. */
const changing = (page: Page) => [page.locator("time"), page.locator('[class*="_day_"]'), page.locator("[data-changing]")];

for (const { name, route, size, scheme, isRtl } of LOOKS) {
  test(`${name} looks as committed`, async ({ page, browser, daemon }, info) => {
    const isUpdate = info.config.updateSnapshots === "all" || info.config.updateSnapshots === "changed";
    if (isUpdate) writeFileSync(BROWSER_FILE, `${browser.version()}\n`);
    const drawn = existsSync(BROWSER_FILE) ? readFileSync(BROWSER_FILE, "utf8").trim() : "no browser";
    test.skip(drawn !== browser.version(), `the images were drawn by Chromium ${drawn}, and this is ${browser.version()}`);
    await page.clock.setFixedTime(new Date());
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme: scheme ?? "light", reducedMotion: "reduce" });
    if (isRtl) await page.addInitScript(() => localStorage.setItem("wharf.locale", "rtl"));
    await page.goto(`${daemon.url}/`);
    if (route !== undefined) {
      await page.locator("input[type=password]").fill(ADMIN_KEY);
      await page.keyboard.press("Enter");
      await expect(page.locator("main h1").first()).toBeVisible();
      await open(page, daemon.url, route);
    }
    await settle(page);
    await expect(page).toHaveScreenshot(`${name}.png`, { animations: "disabled", caret: "hide", mask: changing(page), maxDiffPixelRatio: 0.01 });
  });
}
