import { expect, open, signIn, test } from "./support/fixtures.ts";

const CHAT = "15550100001@c.us";

test.beforeAll(async ({ daemon }) => {
  await daemon.linkedDevice("desk", "Front desk");
  for (let at = 1; at <= 120; at += 1) await daemon.incoming("desk", `line ${at}`);
});

test.beforeEach(async ({ page, daemon }) => {
  // A chat with unread messages opens at the first of them.
  await daemon.call(`/devices/desk/chats/${CHAT}/read`, {});
  await signIn(page, daemon.url);
  await open(page, daemon.url, `devices/desk/chats/${CHAT}`);
  await expect(page.locator("[data-message]").first()).toBeVisible();
});

test("older messages load before the top is reached", async ({ page }) => {
  const list = page.getByRole("log");
  await expect(list.getByText("line 120", { exact: true })).toHaveCount(1);
  await expect(async () => {
    await list.evaluate((element) => element.scrollTo(0, 0));
    await expect(list.getByText("line 1", { exact: true })).toBeVisible({ timeout: 500 });
  }).toPass();
});

test("message of another client appears once and in order", async ({ page, daemon }) => {
  await daemon.call("/devices/desk/messages/send", { to: CHAT, text: "sent by the API" });
  await daemon.incoming("desk", "and an answer");
  await expect(page.locator("[data-message]", { hasText: "and an answer" })).toHaveCount(1);
  await expect(page.locator("[data-message]", { hasText: "sent by the API" })).toHaveCount(1);
  const shown = await page.locator("[data-message]").allInnerTexts();
  const at = (words: string) => shown.findIndex((text) => text.includes(words));
  expect(at("sent by the API")).toBeLessThan(at("and an answer"));
});

test("reply quotes the message and a reaction is shown", async ({ page, daemon }) => {
  await daemon.incoming("desk", "a question");
  const question = page.locator("[data-message]", { hasText: "a question" });
  await question.hover();
  await question.getByRole("button", { name: "Reply" }).click();
  await page.getByRole("textbox", { name: "Write a message" }).fill("the answer");
  await page.keyboard.press("Enter");
  const answer = page.locator("[data-message]", { hasText: "the answer" });
  await expect(answer).toContainText("a question");

  await question.first().hover();
  await question.first().getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "React" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "👍" }).click();
  await expect(question.first().getByRole("button", { name: /👍, 1 person/ })).toBeVisible();
});

test("picture is uploaded with its caption and shown", async ({ page }) => {
  const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
  await page.locator("input[type=file]").setInputFiles({ name: "dot.png", mimeType: "image/png", buffer: png });
  await expect(page.getByText("dot.png")).toBeVisible();
  await page.getByRole("textbox", { name: "Write a message" }).fill("a dot");
  await page.getByRole("button", { name: "Send" }).click();
  const sent = page.locator("[data-message]", { hasText: "a dot" });
  await expect(sent.locator("img")).toBeVisible();
});

test("failed request is tried again with the same idempotency key", async ({ page, daemon }) => {
  const keys: (string | undefined)[] = [];
  let isFirst = true;
  await page.route("**/messages/send", async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    if (!isFirst) return route.fallback();
    isFirst = false;
    // The daemon accepts the message, and its answer is lost.
    await route.fetch();
    return route.abort();
  });
  await page.getByRole("textbox", { name: "Write a message" }).fill("only once");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("button", { name: "Try again" })).toHaveCount(0);
  await expect(page.locator("[data-message]", { hasText: "only once" })).toHaveCount(1);
  expect(keys).toHaveLength(2);
  expect(keys[0]).toBe(keys[1]);
  const found = await daemon.call<unknown[]>("/devices/desk/messages/search?query=only%20once");
  expect(found).toHaveLength(1);
});

test("draft stays with its chat", async ({ page, daemon }) => {
  await daemon.incoming("desk", "hello from Ben", "15550100002");
  const box = page.getByRole("textbox", { name: "Write a message" });
  await box.fill("half a sentence");
  await page.locator('[data-chat="15550100002@c.us"]').click();
  await expect(box).toHaveValue("");
  await page.locator(`[data-chat="${CHAT}"]`).click();
  await expect(box).toHaveValue("half a sentence");
});

test("chat opens at its first unread message", async ({ page, daemon }) => {
  await open(page, daemon.url, "devices/desk/chats");
  for (let at = 1; at <= 25; at += 1) await daemon.incoming("desk", `unread ${at}`, "15550100003");
  await open(page, daemon.url, "devices/desk/chats/15550100003@c.us");
  await expect(page.getByText("New messages")).toBeVisible();
  await expect(page.getByRole("log").getByText("unread 1", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Go to the newest message" }).click();
  await expect(page.getByRole("log").getByText("unread 25", { exact: true })).toBeVisible();
  await expect.poll(() => daemon.call<{ unreadCount: number }>("/devices/desk/chats/15550100003@c.us").then((chat) => chat.unreadCount)).toBe(0);
});

test("unread messages that fit the view are marked as read", async ({ page, daemon }) => {
  await daemon.incoming("desk", "only one", "15550100004");
  await open(page, daemon.url, "devices/desk/chats/15550100004@c.us");
  await expect(page.getByRole("log").getByText("only one")).toBeVisible();
  await expect.poll(() => daemon.call<{ unreadCount: number }>("/devices/desk/chats/15550100004@c.us").then((chat) => chat.unreadCount)).toBe(0);
  await expect(page.getByRole("button", { name: "Go to the newest message" })).toHaveCount(0);
});
