import { expect, open, signIn, test } from "./support/fixtures.ts";

const TEXTS = [
  // First, so that the others fit below it.
  "a".repeat(4000),
  "<script>window.pwned=1</script>",
  "<img src=x onerror=window.pwned=1>",
  "<svg onload=window.pwned=1></svg>",
  "javascript:window.pwned=1",
  "[click](javascript:window.pwned=1)",
  "https://example.com/\"onmouseover=\"window.pwned=1",
  "data:text/html,<script>window.pwned=1</script>",
  "*_~`<b>marks</b>`~_*",
  "\u202Egnp.exe\u202C and \u0000\u0007\u200B",
  "{{constructor.constructor('window.pwned=1')()}}",
  "&lt;b&gt;&#x3C;script&#x3E;",
];

test("hostile texts stay inert in messages and names", async ({ page, daemon }) => {
  await daemon.linkedDevice("hostile", "<img src=x onerror=window.pwned=1>\u202Edevice");
  for (const text of TEXTS) await daemon.incoming("hostile", text);
  await daemon.call("/devices/hostile/chats/15550100001@c.us/read", {});
  await signIn(page, daemon.url);
  await open(page, daemon.url, "devices/hostile/chats/15550100001@c.us");
  await expect(page.locator("[data-message]").first()).toBeVisible();
  await expect(page.locator("[data-message]", { hasText: "{{constructor" })).toBeVisible();
  for (const route of ["devices", "devices/hostile", "events", "overview", "queue"]) {
    await open(page, daemon.url, route);
    await expect(page.locator("h1")).toBeVisible();
  }
  expect(await page.evaluate(() => "pwned" in window)).toBe(false);
  await open(page, daemon.url, "devices/hostile/chats/15550100001@c.us");
  await expect(page.locator("[data-message]").first()).toBeVisible();
  const links = await page.locator("[data-message] a").evaluateAll((all) => all.map((link) => [(link as HTMLAnchorElement).protocol, (link as HTMLAnchorElement).rel]));
  for (const [protocol, rel] of links) {
    expect(["http:", "https:"]).toContain(protocol);
    expect(rel).toBe("noopener noreferrer");
  }
  expect(await page.locator("[data-message] :is(script, svg[onload], img[onerror], b)").count()).toBe(0);
});

test("direction controls in a name are visible", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, "devices");
  await expect(page.getByText("⟨U+202E⟩").first()).toBeVisible();
});

test("page asks no other origin", async ({ page, daemon }) => {
  const foreign: string[] = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(daemon.url) && !/^(blob|data):/.test(request.url())) foreign.push(request.url());
  });
  await signIn(page, daemon.url);
  for (const route of ["overview", "devices/hostile/chats/15550100001@c.us", "webhooks", "notifications", "events", "keys"]) {
    await open(page, daemon.url, route);
    await page.waitForLoadState("networkidle");
  }
  expect(foreign).toEqual([]);
});
