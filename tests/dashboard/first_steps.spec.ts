import type { Page } from "@playwright/test";
import type { Daemon } from "./support/daemon.ts";
import { expect, signIn, test } from "./support/fixtures.ts";
import { PrefixProxy } from "./support/prefix_proxy.ts";

/** Links a simulated device by the page, then receives a message and answers it. */
async function takeFirstSteps(page: Page, daemon: Daemon, url: string, name: string): Promise<void> {
  await signIn(page, url);
  await page.getByRole("link", { name: "Devices" }).first().click();
  await page.getByRole("link", { name: "Link a device" }).first().click();
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Id").fill(name);
  await page.getByRole("button", { name: "Continue" }).click();
  const code = page.getByAltText(/QR code/);
  await expect(code).toBeVisible();
  expect(await code.evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth))).toBeGreaterThan(0);
  await expect(page.getByText(/expires in \d+ seconds? · code 1 of 6/)).toBeVisible();
  await page.getByRole("button", { name: "Scan" }).click();
  await expect(page.getByText("The device is linked")).toBeVisible();
  await page.getByRole("link", { name: "Open the chats" }).click();

  await daemon.incoming(name, "Is the shop open today?");
  await page.locator('[data-chat="15550100001@c.us"]').click();
  await expect(page.locator("[data-message]").getByText("Is the shop open today?")).toBeVisible();
  await page.getByRole("textbox", { name: "Write a message" }).fill("Yes, until 18:00.");
  await page.keyboard.press("Enter");
  const answer = page.locator("[data-message]", { hasText: "Yes, until 18:00." });
  await expect(answer).toHaveCount(1);
  await expect(answer.locator("[data-ack]")).toHaveAttribute("data-ack", /[1-4]/);
}

test("device is linked and a message answered by the page alone", async ({ page, daemon }) => {
  await takeFirstSteps(page, daemon, daemon.url, "shop");
});

test("page works below a path prefix behind a proxy", async ({ page, daemon }) => {
  const proxy = await PrefixProxy.start(daemon.port, "/tools/wharf");
  try {
    await takeFirstSteps(page, daemon, proxy.url, "prefixed");
  } finally {
    await page.close();
    await proxy.stop();
  }
});

test("countdown of the code is right with a wrong clock", async ({ page, daemon }) => {
  await page.clock.install({ time: Date.now() + 300_000 });
  await signIn(page, daemon.url);
  await daemon.call("/devices", { id: "late", name: "Late" });
  await daemon.untilState("late", "qr");
  await page.goto(`${daemon.url}/#/devices/late/link`);
  const countdown = page.locator("[data-countdown]");
  await expect(countdown).toContainText("expires in");
  const { expiresAt } = await daemon.call<{ expiresAt: number }>("/devices/late/qr");
  const shown = Number(await countdown.getAttribute("data-countdown"));
  // Whole seconds, renewed twice in a second.
  expect(Math.abs(shown - (expiresAt - Date.now()) / 1000)).toBeLessThanOrEqual(1.5);
  await daemon.call("/devices/late", undefined, "DELETE");
});
