import { createServer } from "node:http";
import { gzipSync } from "node:zlib";
import type { Page } from "@playwright/test";
import { violations } from "./support/axe.ts";
import { expect, open, signIn, test } from "./support/fixtures.ts";

const CHAT = "15550100001@c.us";
const ROUTES = ["overview", "devices", "devices/new", "devices/look", "devices/look/link", `devices/look/chats/${CHAT}`, "queue", "webhooks", "notifications", "events", "keys", "settings"];

async function settle(page: Page): Promise<void> {
  await expect(page.locator("main h1").first()).toBeVisible();
  await expect(page.getByText("Loading …")).toHaveCount(0);
  // A virtual list hides its rows until it has measured them.
  if (page.url().includes("/chats/")) await expect(page.locator("[data-chat]").first()).toBeVisible();
  if (page.url().endsWith("#/devices")) await expect(page.locator("[data-device]").first()).toBeVisible();
  const hiddenRows = () =>
    page.locator("main [data-row]").evaluateAll((rows) => rows.filter((row) => getComputedStyle(row).visibility === "hidden").length);
  await expect.poll(hiddenRows).toBe(0);
}

test.beforeAll(async ({ daemon }) => {
  await daemon.linkedDevice("look", "Front desk");
  for (const words of ["Good morning", "Do you have *two* tables? See https://example.com/menu", "Thank you"]) await daemon.incoming("look", words);
  await daemon.call("/devices/look/messages/send", { to: CHAT, text: "We do, at 19:00." });
  await daemon.call("/webhooks", { url: "http://127.0.0.1:9/hook", name: "Orders" });
});

for (const look of ["light", "dark", "rtl"] as const) {
  test(`axe-core finds nothing on any page: ${look}`, async ({ page, daemon }, info) => {
    test.setTimeout(180_000);
    if (look === "rtl") await page.addInitScript(() => localStorage.setItem("wharf.locale", "rtl"));
    await page.emulateMedia({ colorScheme: look === "dark" ? "dark" : "light", reducedMotion: "reduce" });
    await page.goto(`${daemon.url}/`);
    await expect(page.locator("input[type=password]")).toBeVisible();
    expect(await violations(page)).toEqual([]);
    await page.locator("input[type=password]").fill("a-key-for-tests-that-may-do-everything");
    await page.keyboard.press("Enter");
    await expect(page.locator("nav")).toBeVisible();
    for (const route of ROUTES) {
      await open(page, daemon.url, route);
      await settle(page);
      expect.soft(await violations(page), route).toEqual([]);
      await page.screenshot({ path: info.outputPath(`${route.replace(/\W/g, "_")}.png`) });
    }
  });
}

test("no page scrolls sideways at 320 px with long words", async ({ page, daemon }, info) => {
  await page.addInitScript(() => localStorage.setItem("wharf.locale", "pseudo"));
  await page.setViewportSize({ width: 320, height: 640 });
  await page.goto(`${daemon.url}/`);
  await page.locator("input[type=password]").fill("a-key-for-tests-that-may-do-everything");
  await page.keyboard.press("Enter");
  await expect(page.locator("main h1").first()).toBeVisible();
  for (const route of ROUTES) {
    await open(page, daemon.url, route);
    await expect(page.locator("main h1").first()).toBeVisible();
    const overflow = await page.evaluate(() => {
      const main = document.querySelector("main")!;
      return Math.max(document.documentElement.scrollWidth - innerWidth, main.scrollWidth - main.clientWidth);
    });
    expect.soft(overflow, route).toBeLessThanOrEqual(0);
    await page.screenshot({ path: info.outputPath(`${route.replace(/\W/g, "_")}.png`) });
  }
});

test("webhook is created with its secret shown once and deleted", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, "webhooks");
  await page.getByRole("button", { name: "New webhook" }).click();
  await page.getByLabel("Address").fill("http://127.0.0.1:9/other");
  await page.getByLabel("Name").fill("Invoices");
  await page.getByRole("button", { name: "Create" }).click();
  await expect(page.getByRole("dialog").getByText(/^whsec_/)).toBeVisible();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("link", { name: "Invoices" }).click();
  await page.getByRole("button", { name: "Send a test" }).click();
  await expect(page.getByText("The receiver did not accept the test.")).toBeVisible();
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Delete the webhook" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByRole("link", { name: "Invoices" })).toHaveCount(0);
});

test("key is created, shown once and revoked", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, "keys");
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Name").fill("Till");
  await page.getByRole("button", { name: "Create" }).click();
  await expect(page.getByRole("dialog").getByText(/^whf_/)).toBeVisible();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("listitem").filter({ hasText: "Till" }).getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByRole("listitem").filter({ hasText: "Till" })).toHaveCount(0);
});

test("messages by hour are a chart and a table", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, "overview");
  await expect(page.getByRole("img", { name: /^Messages by hour: \d+ in all$/ })).toBeVisible();
  await page.getByRole("button", { name: "As a table" }).first().click();
  const table = page.getByRole("region", { name: "Messages by hour" });
  await expect(table.getByRole("row")).toHaveCount(25);
  const hours = await daemon.call<{ received: number; sent: number }[]>("/stats/history?hours=24");
  const cells = (await table.getByRole("row").nth(1).getByRole("cell").allInnerTexts()).map(Number);
  expect(cells.slice(0, 2)).toEqual([hours.at(-1)!.received, hours.at(-1)!.sent]);
  expect(hours.at(-1)!.received).toBeGreaterThan(0);
  await page.getByRole("button", { name: "7 days" }).click();
  // Seven times 24 hours reach into an eighth day, except in the last hour of a day.
  await expect.poll(() => page.getByRole("region", { name: "Messages by day" }).getByRole("row").count()).toBeGreaterThanOrEqual(8);
  await expect(page.getByRole("img", { name: /^Disconnections: \d+ in all$/ })).toBeVisible();
});

test("settings have their source and no secret", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, "settings");
  const listen = page.getByRole("listitem").filter({ hasText: "server.listen" });
  await expect(listen).toContainText(`127.0.0.1:${daemon.port}`);
  await expect(listen).toContainText("WHARF__SERVER__LISTEN");
  await expect(page.getByText("auth.failed_tries_per_minute")).toBeVisible();
  await page.getByLabel("Only those that differ from the default").check();
  await expect(page.getByText("auth.failed_tries_per_minute")).toHaveCount(0);
  await expect(page.locator("main")).not.toContainText("a-key-for-tests");
});

test("pace of a device is changed", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, "queue");
  await page.getByRole("button", { name: "Change pace" }).first().click();
  await page.getByLabel("Messages per minute").fill("7");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("up to 7 a minute").first()).toBeVisible();
});

test("events of a device are shown with their payload", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, "events");
  await page.getByLabel("Device").selectOption("look");
  await page.getByLabel("Event name contains").fill("message");
  const event = page.locator("details", { hasText: "message:created" }).first();
  await event.locator("summary").click();
  await expect(event.locator("pre")).toContainText("We do, at 19:00.");
});

test("events of all devices are followed live", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, "events");
  await page.getByLabel("Device").selectOption({ label: "All devices" });
  await expect(page.getByLabel("Position (seq)")).toHaveCount(0);
  await expect(async () => {
    await daemon.incoming("look", "for the tail");
    await expect(page.locator("summary", { hasText: "message" }).filter({ hasText: "look" }).first()).toBeVisible({ timeout: 1000 });
  }).toPass();
});

test("queue of a device is cleared", async ({ page, daemon }) => {
  await daemon.call("/devices/look/messages/send", { to: CHAT, text: "later", sendAt: Date.now() + 3_600_000 });
  await signIn(page, daemon.url);
  await open(page, daemon.url, "queue");
  const row = page.getByRole("listitem").filter({ hasText: "1 scheduled" });
  await row.getByRole("button", { name: "Clear" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Clear" }).click();
  await expect(page.getByText("1 message was cancelled.")).toBeVisible();
  await expect(row).toHaveCount(0);
});

test("dead letters are sent again and the secret is rotated", async ({ page, daemon }) => {
  const answers: number[] = [];
  let status = 410;
  const receiver = createServer((_, answer) => {
    answers.push(status);
    answer.writeHead(status).end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const address = receiver.address();
  const url = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/hook`;
  try {
    const { webhook: { id } } = await daemon.call<{ webhook: { id: string } }>("/webhooks", { url, name: "Accounts", deviceId: "look", events: ["message"] });
    await daemon.incoming("look", "to be delivered");
    await signIn(page, daemon.url);
    await open(page, daemon.url, `webhooks/${id}`);
    await expect(async () => {
      await page.reload();
      await expect(page.getByText("1 undelivered event")).toBeVisible({ timeout: 1000 });
    }).toPass();
    await expect(page.getByText("Disabled", { exact: true })).toBeVisible();
    await expect(page.getByRole("region", { name: "Attempts" }).getByRole("row").nth(1)).toContainText("410");

    status = 200;
    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("menuitem", { name: "Enable" }).click();
    await expect(page.getByText("Disabled", { exact: true })).toHaveCount(0);
    await page.getByRole("button", { name: "Send again", exact: true }).click();
    await expect(page.getByText("1 event is sent again.")).toBeVisible();
    await expect.poll(() => answers.filter((sent) => sent === 200).length).toBe(1);
    await page.getByRole("button", { name: "Send a test" }).click();
    await expect(page.getByText("The receiver accepted the test.")).toBeVisible();

    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("menuitem", { name: "Rotate the secret" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Rotate the secret" }).click();
    const secret = page.getByRole("dialog", { name: "Signing secret" }).locator("code");
    await expect(secret).toContainText(/^whsec_/);
    await page.keyboard.press("Escape");
    await expect(secret).toHaveCount(0);
  } finally {
    receiver.closeAllConnections();
    receiver.close();
  }
});

test("device list needs few and small scripts", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  const asked = new Set<string>();
  page.on("request", (request) => asked.add(request.url()));
  await page.goto("about:blank");
  await open(page, daemon.url, "devices");
  await expect(page.locator("[data-device]").first()).toBeVisible();
  const zipped = async (ending: string) => {
    const urls = [...asked].filter((url) => url.endsWith(ending));
    expect(urls.length).toBeGreaterThan(0);
    const files = await Promise.all(urls.map(async (url) => Buffer.from(await (await fetch(url)).arrayBuffer())));
    return files.reduce((sum, file) => sum + gzipSync(file).length, 0);
  };
  expect(await zipped(".js")).toBeLessThanOrEqual(120_000);
  expect(await zipped(".css")).toBeLessThanOrEqual(25_000);
});

test("stopped device says why and starts again", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, "devices");
  const row = page.locator('[data-device="look"]');
  await row.getByRole("button", { name: /Actions for/ }).click();
  await page.getByRole("menuitem", { name: "Stop" }).click();
  await expect(row).toContainText("An operator stopped the device.");
  await row.getByRole("button", { name: /Actions for/ }).click();
  await page.getByRole("menuitem", { name: "Start", exact: true }).click();
  await expect(row).toContainText("Connected");
});
