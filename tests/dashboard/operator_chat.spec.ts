import { createHmac } from "node:crypto";
import { Daemon } from "./support/daemon.ts";
import { violations } from "./support/axe.ts";
import { expect, open, signIn, test as base } from "./support/fixtures.ts";

const CHAT = "15550100001@c.us";
const SECRET = "4f0c7e2a94d1836b5f0c7e2a94d1836b";

/** A token of a user of the identity `desk`. */
function token(user: string, name: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, name, role: "SUPPORT", exp: Math.floor(Date.now() / 1000) + 3600 })}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

/** A daemon with operator chat. */
const test = base.extend<object, { daemon: Daemon }>({
  daemon: [
    async ({}, use) => {
      const daemon = await Daemon.start({
        WHARF__CHAT__ENABLED: "true",
        WHARF__CHAT__IDENTITIES: JSON.stringify([{ name: "desk", jwt_secret: "${DESK_SECRET}" }]),
        WHARF__CHAT__ASSIGN: "none",
        DESK_SECRET: SECRET,
      });
      await use(daemon);
      await daemon.stop();
    },
    { scope: "worker" },
  ],
});

interface Listed {
  conversations: { id: string; state: string; assignee: { id: string } | null }[];
}

async function conversation(daemon: Daemon) {
  const { conversations } = await daemon.call<Listed>(`/conversations?device=desk&chat=${CHAT}`);
  return conversations[0]!;
}

/** A call of the chat API as a user. */
async function as(daemon: Daemon, user: string, name: string, path: string, body?: unknown): Promise<void> {
  const answer = await fetch(`${daemon.url}/api/v1${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { Authorization: `Bearer ${token(user, name)}`, "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
}

async function sentTexts(daemon: Daemon): Promise<string[]> {
  const { sent } = await daemon.call<{ sent: { body: string }[] }>("/simulator/desk/network");
  return sent.map(({ body }) => body);
}

test.beforeAll(async ({ daemon }) => {
  await daemon.linkedDevice("desk", "Front desk");
  await daemon.call("/devices/desk", { settings: { chat: { bridge: "people" } } }, "PATCH");
  await daemon.call("/devices/desk/operators", { operators: [{ who: "desk:anna" }, { who: "desk:bela" }] }, "PUT");
  await daemon.incoming("desk", "Is it open?");
  await as(daemon, "anna", "Anna", "/operators");
  await as(daemon, "bela", "Bela", "/operators");
  await expect.poll(async () => (await conversation(daemon))?.id).toBeTruthy();
});

test.beforeEach(async ({ daemon }) => {
  const { id, state, assignee } = await conversation(daemon);
  if (state === "closed") await daemon.call(`/conversations/${id}/open`, {});
  if (assignee) await daemon.call(`/conversations/${id}/assign`, { user: null });
});

test("author of a reply is shown", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, `devices/desk/chats/${CHAT}`);
  const { id } = await conversation(daemon);
  await as(daemon, "anna", "Anna", `/conversations/${id}/messages`, { content: "Until six." });
  const reply = page.locator("[data-message]", { hasText: "Until six." });
  await expect(reply).toContainText("Anna");
  await as(daemon, "bela", "Bela", `/conversations/${id}/messages`, { content: "On Sundays until four." });
  await expect(page.locator("[data-message]", { hasText: "On Sundays" })).toContainText("Bela");
});

test("conversation is assigned, noted and closed by the page", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, `devices/desk/chats/${CHAT}`);
  const bar = page.getByRole("group", { name: "Inbox" });
  await expect(bar).toContainText("Not assigned");
  await bar.getByRole("button", { name: "Assign" }).click();
  await page.getByRole("dialog").getByLabel("Assignee").selectOption("desk:bela");
  await page.getByRole("dialog").getByRole("button", { name: "Assign" }).click();
  await expect(bar).toContainText("Assigned to Bela");
  expect((await conversation(daemon)).assignee?.id).toBe("bela");

  await bar.getByRole("button", { name: "Internal note" }).click();
  await page.getByLabel("Note", { exact: true }).fill("Ask for the *order number*.");
  await page.getByRole("button", { name: "Add the note" }).click();
  const note = page.locator("[data-note]", { hasText: "order number" });
  await expect(note).toContainText("Internal note by");
  await expect(note).toHaveCount(1);

  await bar.getByRole("button", { name: "Close" }).click();
  await expect(bar).toContainText("Closed");
  expect((await conversation(daemon)).state).toBe("closed");
  await expect(page.getByText("Closed by API")).toBeVisible();
  expect(await violations(page)).toEqual([]);
  await bar.getByRole("button", { name: "Open again" }).click();
  await expect(bar.getByText("Open", { exact: true })).toBeVisible();
  expect((await sentTexts(daemon)).filter((text) => text.includes("order number"))).toEqual([]);
});

test("changes of others appear without a reload", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, `devices/desk/chats/${CHAT}`);
  const bar = page.getByRole("group", { name: "Inbox" });
  await expect(bar).toContainText("Not assigned");
  const { id } = await conversation(daemon);
  await as(daemon, "anna", "Anna", `/conversations/${id}/assign`, { user: "anna" });
  await expect(bar).toContainText("Assigned to Anna");
  await as(daemon, "anna", "Anna", `/conversations/${id}/notes`, { content: "Waits for a call" });
  const note = page.locator("[data-note]", { hasText: "Waits for a call" });
  await expect(note).toContainText("Anna");
  await daemon.restart("SIGKILL");
  await daemon.untilState("desk", "ready");
  await as(daemon, "anna", "Anna", `/conversations/${id}/notes`, { content: "Called back" });
  await expect(page.locator("[data-note]", { hasText: "Called back" })).toHaveCount(1, { timeout: 15_000 });
  await expect(note).toHaveCount(1);
  await page.reload();
  await expect(note).toHaveCount(1);
});

test("refused assignment keeps the dialog with its reason", async ({ page, daemon }) => {
  await daemon.call("/operators/desk:carl", { name: "Carl" }, "PUT");
  await signIn(page, daemon.url);
  await open(page, daemon.url, `devices/desk/chats/${CHAT}`);
  await page.getByRole("group", { name: "Inbox" }).getByRole("button", { name: "Assign" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Assignee").selectOption("desk:carl");
  await dialog.getByRole("button", { name: "Assign" }).click();
  await expect(dialog).toContainText("User not found");
  await page.keyboard.press("Escape");
  await expect(dialog).toHaveCount(0);
});

test("key sees and changes what its scopes allow", async ({ page, daemon }) => {
  const scopes = ["devices:read", "messages:read", "events:read"];
  await signIn(page, daemon.url, await daemon.keyWith([...scopes, "chat:read"]));
  await open(page, daemon.url, `devices/desk/chats/${CHAT}`);
  const bar = page.getByRole("group", { name: "Inbox" });
  await expect(bar).toContainText("Not assigned");
  await expect(bar.getByRole("button")).toHaveCount(0);
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.context().clearCookies();
  await page.goto("about:blank");
  await signIn(page, daemon.url, await daemon.keyWith(scopes));
  await open(page, daemon.url, `devices/desk/chats/${CHAT}`);
  await expect(page.locator("[data-message]").first()).toBeVisible();
  await expect(bar).toHaveCount(0);
  expect(asked.filter((url) => url.includes("/conversations"))).toEqual([]);
});
