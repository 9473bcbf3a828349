import { createServer, type Server } from "node:http";
import type { Locator, Page } from "@playwright/test";
import { expect, open, signIn, test } from "./support/fixtures.ts";

const CHAT = "15550100001@c.us";
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const shown = (page: Page, text: string): Locator => page.locator("[data-message]", { hasText: text }).last();
const box = (page: Page): Locator => page.getByRole("textbox", { name: "Write a message" });

async function choose(page: Page, message: Locator, action: string): Promise<void> {
  await message.hover();
  await message.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: action, exact: true }).click();
}

let pictures: Server;

test.beforeAll(async ({ daemon }) => {
  pictures = createServer((_, answer) => answer.setHeader("content-type", "image/png").end(Buffer.from(PNG, "base64")));
  await new Promise<void>((resolve) => pictures.listen(0, "127.0.0.1", resolve));
  const address = pictures.address();
  const picture = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/anna.png`;
  const settings = { simulator: { ackServerMs: 0, ackDeviceMs: 10, ackReadMs: 30, echo: false, contacts: [{ id: CHAT, name: "Anna", picture }] } };
  await daemon.call("/devices", { id: "acts", name: "Counter", settings });
  await daemon.untilState("acts", "qr");
  await daemon.call("/simulator/acts/scan", {});
  await daemon.untilState("acts", "ready");
  await daemon.incoming("acts", "hello");
  await daemon.incoming("acts", "from Ben", "15550100002");
});

test.afterAll(() => pictures.close());

test.beforeEach(async ({ page, daemon }) => {
  await daemon.call(`/devices/acts/chats/${CHAT}/read`, {});
  await signIn(page, daemon.url);
  await open(page, daemon.url, `devices/acts/chats/${CHAT}`);
  await expect(page.locator("[data-message]").last()).toBeVisible();
});

test("own message is edited, starred and deleted for everyone", async ({ page, daemon }) => {
  await daemon.call("/devices/acts/messages/send", { to: CHAT, text: "we open at 8" });
  await choose(page, shown(page, "we open at 8"), "Edit");
  await expect(box(page)).toHaveValue("we open at 8");
  await box(page).fill("we open at 9");
  await page.keyboard.press("Enter");
  await expect(shown(page, "we open at 9")).toContainText("edited");
  await choose(page, shown(page, "we open at 9"), "Star");
  await expect(shown(page, "we open at 9")).toContainText("Starred");
  await choose(page, shown(page, "we open at 9"), "Delete for everyone");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByText("This message was deleted")).toBeVisible();
  await expect(page.getByText("we open at 9")).toHaveCount(0);
});

test("message is forwarded to another chat", async ({ page, daemon }) => {
  await choose(page, shown(page, "hello"), "Forward");
  await page.getByRole("dialog").getByLabel("+15550100002").check();
  await page.getByRole("dialog").getByRole("button", { name: "Forward" }).click();
  await expect(page.getByText("The message was forwarded.")).toBeVisible();
  const sent = await daemon.call<{ body: string; isForwarded: boolean }[]>("/devices/acts/chats/15550100002@c.us/messages");
  expect(sent.some((message) => message.body === "hello" && message.isForwarded)).toBe(true);
});

test("vote in a poll is counted with the votes of others", async ({ page, daemon }) => {
  await daemon.incoming("acts", "", "15550100001", { body: undefined, poll: { name: "Which day?", options: ["Friday", "Sunday"] } });
  const poll = page.getByRole("group", { name: "Which day?" });
  await poll.getByRole("button", { name: "Friday" }).click();
  await expect(poll.getByRole("button", { name: "Friday 1 vote" })).toHaveAttribute("aria-pressed", "true");
  const messageId = await page.locator("[data-message]", { has: poll }).getAttribute("data-message");
  await daemon.call("/simulator/acts/vote", { messageId, voter: "15550100001", options: ["Friday"] });
  await expect(poll.getByRole("button", { name: "Friday 2 votes" })).toBeVisible();
});

test("poll is sent with its answers and a vote is taken back", async ({ page, daemon }) => {
  await page.getByRole("button", { name: "New poll" }).click();
  const dialog = page.getByRole("dialog", { name: "New poll" });
  await expect(dialog.getByLabel("Question")).toBeFocused();
  await page.keyboard.type("Which cake?");
  await dialog.getByLabel("Answer 1").fill("Apple");
  await dialog.getByRole("button", { name: "Send the poll" }).click();
  await expect(dialog.getByRole("alert")).toHaveText("A poll needs at least two answers.");
  await dialog.getByLabel("Answer 2").fill("Apple ");
  await page.keyboard.press("Enter");
  await expect(dialog.getByRole("alert")).toHaveText("Each answer can be given once.");
  await dialog.getByLabel("Answer 2").fill("Plum");
  await dialog.getByLabel("Answer 3").fill("Cherry");
  await dialog.getByLabel("Allow several answers").check();
  await dialog.getByRole("button", { name: "Send the poll" }).click();
  await expect(dialog).toHaveCount(0);

  const poll = page.getByRole("group", { name: "Which cake?" });
  await expect(page.locator("[data-message]", { has: poll })).toHaveCount(1);
  await expect(poll).toContainText("Choose one or more answers");
  await poll.getByRole("button", { name: "Plum" }).click();
  await poll.getByRole("button", { name: "Cherry" }).click();
  await expect(poll.getByRole("button", { name: "Cherry 1 vote" })).toHaveAttribute("aria-pressed", "true");
  await poll.getByRole("button", { name: "Plum" }).click();
  await expect(poll.getByRole("button", { name: "Plum 0 votes" })).toHaveAttribute("aria-pressed", "false");
  const { sent } = await daemon.call<{ sent: { type: string; poll?: { name: string; options: string[]; allowMultipleAnswers: boolean } }[] }>("/simulator/acts/network");
  expect(sent.filter((message) => message.poll?.name === "Which cake?").map(({ poll: { options, allowMultipleAnswers } = { options: [] as string[], allowMultipleAnswers: false } }) => ({ options, allowMultipleAnswers }))).toEqual([{ options: ["Apple", "Plum", "Cherry"], allowMultipleAnswers: true }]);
});

test("lost answer to a poll is tried again and sends it once", async ({ page, daemon }) => {
  let isFirst = true;
  await page.route("**/messages/send", async (route) => {
    if (!isFirst) return route.fallback();
    isFirst = false;
    await route.fetch();
    return route.abort();
  });
  await page.getByRole("button", { name: "New poll" }).click();
  const dialog = page.getByRole("dialog", { name: "New poll" });
  await dialog.getByLabel("Question").fill("Only once?");
  await dialog.getByLabel("Answer 1").fill("Yes");
  await dialog.getByLabel("Answer 2").fill("No");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("button", { name: "Try again" })).toHaveCount(0);
  await expect(page.getByRole("group", { name: "Only once?" })).toHaveCount(1);
  const { sent } = await daemon.call<{ sent: { poll?: { name: string } }[] }>("/simulator/acts/network");
  expect(sent.filter((message) => message.poll?.name === "Only once?")).toHaveLength(1);
});

test("details show the receipts by person", async ({ page }) => {
  await box(page).fill("did you see it?");
  await page.keyboard.press("Enter");
  await expect(shown(page, "did you see it?").locator("[data-ack]")).toHaveAttribute("data-ack", "3");
  await choose(page, shown(page, "did you see it?"), "Details");
  await expect(page.getByRole("dialog").getByRole("listitem").filter({ hasText: "+15550100001" }).filter({ hasText: "Read" })).toBeVisible();
});

test("failed message says why", async ({ page, daemon }) => {
  await open(page, daemon.url, "devices/acts/chats/15550190001@c.us");
  await box(page).fill("never arrives");
  await page.keyboard.press("Enter");
  await expect(shown(page, "never arrives").locator("[data-ack]")).toHaveAttribute("data-ack", "-1");
  await expect(shown(page, "never arrives")).toContainText("The recipient is not on the network.");
});

test("message that waits is cancelled", async ({ page, daemon }) => {
  await daemon.call("/devices/acts/messages/send", { to: CHAT, text: "for tomorrow", sendAt: Date.now() + 86_400_000 });
  await choose(page, shown(page, "for tomorrow"), "Cancel sending");
  await expect(shown(page, "for tomorrow")).toContainText("The message was cancelled");
  const queue = await daemon.call<{ devices: { deviceId: string; scheduled: number }[] }>("/queue/status");
  expect(queue.devices.find((device) => device.deviceId === "acts")?.scheduled).toBe(0);
});

test("click on a quote shows the older message", async ({ page, daemon }) => {
  await daemon.incoming("acts", "the very first question", "15550100003");
  const [first] = await daemon.call<{ id: string }[]>("/devices/acts/chats/15550100003@c.us/messages");
  for (let at = 0; at < 70; at += 1) await daemon.incoming("acts", `talk ${at}`, "15550100003");
  await daemon.call("/devices/acts/messages/send", { to: "15550100003@c.us", text: "about that", quotedMessageId: first!.id });
  await daemon.call("/devices/acts/chats/15550100003@c.us/read", {});
  await open(page, daemon.url, "devices/acts/chats/15550100003@c.us");
  await shown(page, "about that").getByRole("button", { name: /the very first question/ }).click();
  await expect(page.locator(`[data-message="${first!.id}"]`)).toBeInViewport();

  await daemon.incoming("acts", "one below", "15550100003");
  await page.getByRole("button", { name: "1 new message below" }).click();
  await expect(shown(page, "one below")).toBeInViewport();
});

test("dropped and pasted files are sent with a caption", async ({ page }) => {
  const add = (kind: "drop" | "paste", name: string) => page.evaluate(({ kind, name, png }) => {
    const bytes = Uint8Array.from(atob(png), (char) => char.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, { type: "image/png" }));
    const target = document.querySelector("textarea")!;
    target.dispatchEvent(kind === "drop" ? new DragEvent("drop", { bubbles: true, dataTransfer: data }) : new ClipboardEvent("paste", { bubbles: true, clipboardData: data }));
  }, { kind, name, png: PNG });
  await add("drop", "left.png");
  await expect(page.getByText("left.png")).toBeVisible();
  await add("paste", "right.png");
  await add("paste", "wrong.png");
  await page.getByRole("button", { name: "Remove wrong.png" }).click();

  // Files belong to the draft of their chat.
  await page.locator('[data-chat="15550100002@c.us"]').click();
  await expect(page.getByText("left.png")).toHaveCount(0);
  await page.locator(`[data-chat="${CHAT}"]`).click();
  await expect(page.getByText("right.png")).toBeVisible();

  await box(page).fill("both sides");
  await page.getByRole("button", { name: "Send" }).click();
  const open = page.locator("[data-message]").getByRole("button", { name: /^Open/ });
  await expect(open).toHaveCount(2);
  await expect(page.locator("[data-message]", { hasText: "both sides" })).toHaveCount(1);

  await open.first().click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("1 of 2");
  await page.keyboard.press("ArrowRight");
  await expect(dialog).toContainText("2 of 2");
  expect(await dialog.locator("img").evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth))).toBe(1);
  await page.keyboard.press("Escape");
  await expect(dialog).toHaveCount(0);
  await expect(open.first()).toBeFocused();
});

test("file that is too large is refused before its upload", async ({ page, daemon }) => {
  await page.route("**/api/v1/session", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.json()) as { data: { server: { limits: { mediaMaxBytes: number } } } };
    body.data.server.limits.mediaMaxBytes = 10;
    return route.fulfill({ response: answer, json: body });
  });
  await page.reload();
  await open(page, daemon.url, `devices/acts/chats/${CHAT}`);
  await expect(box(page)).toBeVisible();
  await page.locator("input[type=file]").setInputFiles({ name: "big.txt", mimeType: "text/plain", buffer: Buffer.alloc(11) });
  await expect(page.getByText("big.txt is too large. Files may have up to 10 byte.")).toBeVisible();
});

test("upload is cancelled and nothing is sent", async ({ page, daemon }) => {
  await page.route("**/devices/acts/media?*", () => undefined);
  await page.locator("input[type=file]").setInputFiles({ name: "slow.txt", mimeType: "text/plain", buffer: Buffer.from("slow") });
  await box(page).fill("slow file");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("progressbar", { name: "Upload" })).toBeVisible();
  await page.getByRole("log").getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("slow file")).toHaveCount(0);
  expect(await daemon.call<unknown[]>("/devices/acts/messages/search?query=slow%20file")).toHaveLength(0);
});

test("picture of a chat comes from the daemon", async ({ page }) => {
  const picture = page.locator(`[data-chat="${CHAT}"] img`);
  await expect(picture).toHaveAttribute("data-loaded", "true");
  await expect(picture).toHaveAttribute("src", /^\/api\/v1\/devices\/acts\/chats\/[^/]+\/picture$/);
});

test("group is renamed and its members change", async ({ page, daemon }) => {
  const { id } = await daemon.call<{ id: string }>("/devices/acts/groups", { subject: "Kitchen", participants: ["15550100002@c.us"] });
  await open(page, daemon.url, `devices/acts/chats/${id}`);
  await page.getByRole("button", { name: "Actions of the chat" }).click();
  await page.getByRole("menuitem", { name: "Group details" }).click();
  const dialog = page.getByRole("dialog", { name: "Group details" });
  await dialog.getByLabel("Name").fill("Kitchen team");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("heading", { name: "Kitchen team", level: 1 })).toBeVisible();

  await dialog.getByLabel("Add a member").fill("+1 555 019 0001");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await expect(dialog.getByText("This number is not on the network.")).toBeVisible();
  await dialog.getByLabel("Add a member").fill("+1 555 010 0003");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  const added = dialog.getByRole("listitem").filter({ hasText: "+15550100003" });
  await added.getByRole("button", { name: /Actions for/ }).click();
  await page.getByRole("menuitem", { name: "Make an admin" }).click();
  await expect(added).toContainText("Admin");
  await added.getByRole("button", { name: /Actions for/ }).click();
  await page.getByRole("menuitem", { name: "Remove from the group" }).click();
  await expect(added).toHaveCount(0);

  const group = await daemon.call<{ subject: string; participants: { id: string }[] }>(`/devices/acts/groups/${id}`);
  expect(group.subject).toBe("Kitchen team");
  expect(group.participants).toHaveLength(2);
  await dialog.getByRole("button", { name: "Show the invite link" }).click();
  await expect(dialog.locator("code")).toContainText("https://");
});

test("exported chat of a phone is imported with a report", async ({ page }) => {
  await page.getByRole("button", { name: "More about chats" }).click();
  await page.getByRole("menuitem", { name: "Import a chat" }).click();
  const dialog = page.getByRole("dialog", { name: "Import a chat" });
  const text = "01.02.26, 10:00 - Dana: The van is here\n01.02.26, 10:01 - Desk: Thank you\n";
  await dialog.getByLabel("File").setInputFiles({ name: "chat.txt", mimeType: "text/plain", buffer: Buffer.from(text) });
  await dialog.getByLabel("Chat").fill("not a chat");
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await expect(dialog.getByRole("alert")).toContainText("chatId");
  await dialog.getByLabel("Chat").fill("15550100007");
  await dialog.getByLabel("Your name").fill("Desk");
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await expect(dialog).toContainText("2 messages were imported.");
  await dialog.getByRole("link", { name: "Open the chat" }).click();
  await expect(shown(page, "The van is here")).toBeVisible();
});
