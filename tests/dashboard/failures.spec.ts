import { ADMIN_KEY } from "./support/daemon.ts";
import { expect, open, signIn, test } from "./support/fixtures.ts";

const CHAT = "15550100001@c.us";
const refusal = (code: string) => ({ success: false, error: `refused: ${code}`, code });

test.beforeAll(async ({ daemon }) => {
  await daemon.linkedDevice("fragile", "Fragile");
  await daemon.incoming("fragile", "a secret text");
});

test.beforeEach(async ({ page, daemon }) => signIn(page, daemon.url));

for (const status of [429, 503]) {
  test(`refused request with ${status} is repeated after Retry-After`, async ({ page, daemon }) => {
    const asked: number[] = [];
    await page.route("**/api/v1/api-keys", (route) => {
      asked.push(Date.now());
      return asked.length > 1 ? route.fallback() : route.fulfill({ status, headers: { "retry-after": "1" }, json: refusal("busy") });
    });
    await open(page, daemon.url, "keys");
    await expect(page.getByRole("button", { name: "Revoke" }).first()).toBeVisible();
    expect(asked[1]! - asked[0]!).toBeGreaterThanOrEqual(950);
    await expect(page.getByRole("alert")).toHaveCount(0);
  });
}

test("long wait is shown with its code and counted down", async ({ page, daemon }) => {
  await page.route("**/api/v1/webhooks", (route) => route.fulfill({ status: 503, headers: { "retry-after": "60", "x-request-id": "req-1" }, json: refusal("starting") }));
  await open(page, daemon.url, "webhooks");
  await expect(page.getByRole("alert")).toContainText(/Next try in (60|59|58) seconds/);
  await expect(page.getByRole("alert")).toContainText("starting · request req-1");
  await page.unroute("**/api/v1/webhooks");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("No webhooks yet")).toBeVisible();
});

test("failed page has a report without texts and other pages work", async ({ page, daemon }) => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.route("**/api/v1/stats", (route) => route.fulfill({ json: { success: true, data: { devices: 1, secret: "a secret text" } } }));
  await open(page, daemon.url, "overview");
  await expect(page.getByText("This page failed")).toBeVisible();
  await page.getByRole("button", { name: "Copy the report" }).click();
  const report = await page.evaluate(() => navigator.clipboard.readText());
  expect(report).toMatch(/^Wharf \d+\.\d+\.\d+, page overview, TypeError\n\s+at /);
  expect(report).not.toContain("secret");
  await page.getByRole("link", { name: "Events" }).click();
  await expect(page.getByRole("heading", { name: "Events", level: 1 })).toBeVisible();
  await page.unroute("**/api/v1/stats");
  await page.getByRole("link", { name: "Overview" }).click();
  await expect(page.getByText("Connected devices")).toBeVisible();
});

test("message with unknown fields leaves the others visible", async ({ page, daemon }) => {
  await page.route("**/messages?*", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.json()) as { data: Record<string, unknown>[] };
    body.data.push({ ...body.data[0], id: "false_15550100001@c.us_BROKEN", type: "poll_creation", poll: { name: 7, options: "none" } });
    return route.fulfill({ response: answer, json: body });
  });
  await open(page, daemon.url, `devices/fragile/chats/${CHAT}`);
  await expect(page.getByRole("log").getByText("a secret text")).toBeVisible();
  await expect(page.getByText("This kind of message is not supported")).toBeVisible();
});

test("upgraded daemon offers a reload and keeps what is typed", async ({ page, daemon }) => {
  await page.clock.install();
  await page.reload();
  await open(page, daemon.url, `devices/fragile/chats/${CHAT}`);
  const box = page.getByRole("textbox", { name: "Write a message" });
  await box.fill("half a sentence");
  await page.route("**/api/v1/session", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.json()) as { data: { server: { version: string } } };
    body.data.server.version = "99.0.0";
    return route.fulfill({ response: answer, json: body });
  });
  await page.clock.fastForward(61_000);
  await expect(page.getByText("The daemon was upgraded.")).toBeVisible();
  await expect(box).toHaveValue("half a sentence");
  await Promise.all([page.waitForEvent("load"), page.getByRole("button", { name: "Reload" }).click()]);
  await expect(page.getByText("The daemon was upgraded.")).toHaveCount(0);
  // A request that is still answered would fail in the next test.
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("file that is sent in an expired session arrives after signing in", async ({ page, daemon }) => {
  await open(page, daemon.url, `devices/fragile/chats/${CHAT}`);
  await expect(page.locator("[data-message]").first()).toBeVisible();
  await page.locator("input[type=file]").setInputFiles({ name: "list.txt", mimeType: "text/plain", buffer: Buffer.from("bread") });
  await page.getByRole("textbox", { name: "Write a message" }).fill("the list");
  await page.context().clearCookies();
  // Another request of the page may open the dialog above the button first.
  await page.getByRole("button", { name: "Send" }).dispatchEvent("click");
  const dialog = page.getByRole("dialog", { name: "Sign in again" });
  await dialog.getByLabel("API key").fill(ADMIN_KEY);
  await dialog.getByRole("button", { name: "Sign in" }).click();
  await expect(page.locator("[data-message]", { hasText: "the list" })).toContainText("list.txt");
});
