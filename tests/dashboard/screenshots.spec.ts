import type { Page } from "@playwright/test";
import { ADMIN_KEY } from "./support/daemon.ts";
import { expect, open, test } from "./support/fixtures.ts";

const CHAT = "15550100001@c.us";
const GROUP = "120363000000000001@g.us";
const ROUTES = [
  "overview", "devices", "devices/new", "devices/shop", "devices/shop/link", "devices/spare/link", "devices/shop/chats",
  `devices/shop/chats/${CHAT}`, `devices/shop/chats/${GROUP}`, "queue", "webhooks", "notifications", "events", "keys", "settings",
];
const WIDTHS = { wide: { width: 1440, height: 900 }, narrow: { width: 390, height: 844 } };
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

test.beforeAll(async ({ daemon }) => {
  const people = [["15550100001", "Anna Berger"], ["15550100002", "Ben Okafor"], ["15550100003", "Chloé Martin"], ["15550100004", "Dmitri"]];
  const settings = { simulator: {
    ackServerMs: 0, ackDeviceMs: 10, ackReadMs: 30,
    contacts: people.map(([number, name]) => ({ id: `${number}@c.us`, name })),
    groups: [{ id: GROUP, subject: "Kitchen and service", participants: people.slice(0, 3).map(([number]) => `${number}@c.us`) }],
  } };
  await daemon.call("/devices", { id: "shop", name: "Shop counter", settings });
  await daemon.untilState("shop", "qr");
  await daemon.call("/simulator/shop/scan", {});
  await daemon.untilState("shop", "ready");
  await daemon.call("/devices", { id: "spare", name: "Spare phone" });
  await daemon.untilState("spare", "qr");
  await daemon.incoming("shop", "Good morning! Do you have *two* tables for tonight?");
  await daemon.incoming("shop", "The menu is at https://example.com/menu");
  await daemon.call("/devices/shop/messages/send", { to: CHAT, text: "We do, at 19:00. Shall I book them for you?" });
  await daemon.incoming("shop", "Yes please 👍");
  await daemon.incoming("shop", "", "15550100001", { body: undefined, poll: { name: "Which day suits you?", options: ["Friday", "Saturday", "Sunday at noon"] } });
  await daemon.call("/devices/shop/messages/send", { to: CHAT, text: "Noted." });
  await daemon.incoming("shop", "Can I change my order?", "15550100002");
  await daemon.incoming("shop", "A longer message that does not fit into one line of the list of chats, as people write them all the time", "15550100003");
  await daemon.incoming("shop", "The oven is on", "15550100001", { groupId: GROUP });
  await daemon.incoming("shop", "", "15550100002", { groupId: GROUP, body: "fresh bread", media: { kind: "image", data: PNG } }).catch(() => daemon.incoming("shop", "Fresh bread is here", "15550100002", { groupId: GROUP }));
  await daemon.call(`/devices/shop/chats/${CHAT}/read`, {});
  await daemon.call("/webhooks", { url: "http://127.0.0.1:9/hook", name: "Orders", events: ["message"] });
  await daemon.call("/notifications/rules", { name: "Orders", match: { events: ["message"], text: "order" }, actions: ["dashboard"] });
  await daemon.incoming("shop", "Is my order ready?", "15550100002");
  await daemon.call("/devices/shop/messages/send", { to: CHAT, text: "See you tomorrow", sendAt: Date.now() + 3_600_000 });
});

/** Stored with each run, and not compared: times, codes and the browser's version differ between runs. */
async function store(page: Page, path: string): Promise<void> {
  await expect(page.locator("main :is(h1, h2, select):visible").first()).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "…" })).toHaveCount(0);
  if (page.url().includes("/chats")) await expect(page.locator("[data-chat], [data-message]").first()).toBeAttached();
  await page.waitForFunction(() => [...document.images].every((image) => image.complete));
  // The virtual list positions its rows in the next frames.
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 120)));
  expect((await page.screenshot({ path, animations: "disabled" })).length).toBeGreaterThan(5000);
}

for (const look of ["light", "dark", "rtl"] as const) {
  test(`screenshots of every page are stored: ${look}`, async ({ page, daemon }, info) => {
    test.setTimeout(180_000);
    if (look === "rtl") await page.addInitScript(() => localStorage.setItem("wharf.locale", "rtl"));
    await page.emulateMedia({ colorScheme: look === "dark" ? "dark" : "light", reducedMotion: "reduce" });
    const shot = (width: string, name: string) => info.outputPath(`${name.replace(/\W+/g, "_")}-${width}-${look}.png`);
    for (const [width, size] of Object.entries(WIDTHS)) {
      await page.setViewportSize(size);
      await page.goto(`${daemon.url}/`);
      if (width === "wide") {
        await expect(page.locator("input[type=password]")).toBeVisible();
        await store(page, shot("wide", "sign_in"));
        await page.setViewportSize(WIDTHS.narrow);
        await store(page, shot("narrow", "sign_in"));
        await page.setViewportSize(size);
        await page.locator("input[type=password]").fill(ADMIN_KEY);
        await page.keyboard.press("Enter");
      }
      await expect(page.locator("main h1").first()).toBeVisible();
      for (const route of ROUTES) {
        await open(page, daemon.url, route);
        await store(page, shot(width, route));
      }
    }
  });
}
