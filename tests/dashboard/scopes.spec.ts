import { expect, open, signIn, test } from "./support/fixtures.ts";

const VISIBLE: Record<string, string[]> = {
  "devices:read": ["Overview", "Devices", "Queue", "Webhooks"],
  "messages:read": ["Chats"],
  "events:read": ["Notifications", "Events"],
  admin: ["Overview", "Devices", "Chats", "Queue", "Webhooks", "Notifications", "Events", "API keys", "Settings"],
};

test.beforeAll(async ({ daemon }) => {
  await daemon.linkedDevice("mine", "Mine");
  await daemon.linkedDevice("other", "Other-device");
  await daemon.incoming("mine", "for me");
  await daemon.incoming("other", "secret of the other", "15550100003");
});

for (const [scope, links] of Object.entries(VISIBLE)) {
  test(`key with ${scope} sees its pages only`, async ({ page, daemon }) => {
    const key = await daemon.keyWith([scope], scope === "messages:read" || scope === "events:read" ? ["mine"] : undefined);
    await signIn(page, daemon.url, key);
    const shown = await page.getByRole("navigation", { name: "Main" }).locator("a").allInnerTexts();
    expect(shown.map((text) => text.trim())).toEqual(links);
  });
}

test("page without its scope names the scope", async ({ page, daemon }) => {
  await signIn(page, daemon.url, await daemon.keyWith(["devices:read"]));
  await open(page, daemon.url, "keys");
  await expect(page.getByText("It needs the scope admin")).toBeVisible();
});

test("key that reads only has no composer and no actions", async ({ page, daemon }) => {
  await signIn(page, daemon.url, await daemon.keyWith(["devices:read", "messages:read", "events:read"]));
  await open(page, daemon.url, "devices/mine/chats/15550100001@c.us");
  await expect(page.locator("[data-message]").first()).toBeVisible();
  await expect(page.getByRole("textbox", { name: "Write a message" })).toHaveCount(0);
  await open(page, daemon.url, "devices");
  await expect(page.locator("[data-device]").first()).toBeVisible();
  await expect(page.getByRole("button", { name: /Actions for/ })).toHaveCount(0);
});

test("key of one device gets nothing of another device", async ({ page, daemon }) => {
  const answers: string[] = [];
  page.on("response", async (response) => {
    if (response.url().includes("/api/v1/")) answers.push(await response.text().catch(() => ""));
  });
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => answers.push(String(payload))));
  await signIn(page, daemon.url, await daemon.keyWith(["devices:read", "messages:read", "events:read"], ["mine"]));
  for (const route of ["overview", "devices", "devices/mine/chats", "queue", "notifications", "events"]) {
    await open(page, daemon.url, route);
    await page.waitForTimeout(300); // Events and polls of the page arrive meanwhile.
  }
  await daemon.incoming("other", "another secret", "15550100003");
  await open(page, daemon.url, "devices/other/chats/15550100003@c.us");
  await expect(page.getByText("This device does not exist")).toBeVisible();
  const all = answers.join("\n");
  expect(all).toContain("mine");
  expect(all).not.toContain("Other-device");
  expect(all).not.toContain("secret");
});
