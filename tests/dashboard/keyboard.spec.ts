import type { Locator, Page } from "@playwright/test";
import { ADMIN_KEY } from "./support/daemon.ts";
import { expect, open, signIn, test } from "./support/fixtures.ts";

const MAX_TABS = 60;

/** Presses Tab until the element has the focus. */
async function tabTo(page: Page, element: Locator): Promise<void> {
  await expect(element).toBeVisible();
  for (let presses = 0; presses < MAX_TABS; presses += 1) {
    if (await element.evaluate((node) => node === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab does not reach ${element.toString()}`);
}

async function press(page: Page, element: Locator): Promise<void> {
  await tabTo(page, element);
  await page.keyboard.press("Enter");
}

test("device is linked, a file sent and a webhook created by keyboard", async ({ page, daemon }) => {
  // The browser's own chooser is replaced from now on: doing so just before the key is pressed can be too late.
  page.on("filechooser", () => undefined);
  await page.goto(`${daemon.url}/`);
  await expect(page.getByLabel("API key")).toBeFocused();
  await page.keyboard.type(ADMIN_KEY);
  await page.keyboard.press("Enter");
  const nav = page.getByRole("navigation", { name: "Main" });
  await press(page, nav.getByRole("link", { name: "Devices" }));
  await press(page, page.getByRole("link", { name: "Link a device" }).first());
  await expect(page.getByLabel("Name")).toBeFocused();
  await page.keyboard.type("Keyboard");
  await tabTo(page, page.getByLabel("Id"));
  await page.keyboard.type("keyboard");
  await page.keyboard.press("Enter");
  await press(page, page.getByRole("button", { name: "Scan" }));
  await press(page, page.getByRole("link", { name: "Open the chats" }));

  await daemon.incoming("keyboard", "send me the list");
  await press(page, page.locator('[data-chat="15550100001@c.us"]'));
  await tabTo(page, page.getByRole("button", { name: "Attach files" }));
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.keyboard.press("Enter")]);
  await chooser.setFiles({ name: "list.txt", mimeType: "text/plain", buffer: Buffer.from("bread") });
  await tabTo(page, page.getByRole("textbox", { name: "Write a message" }));
  await page.keyboard.type("here it is");
  await page.keyboard.press("Enter");
  await expect(page.locator("[data-message]", { hasText: "here it is" })).toContainText("list.txt");

  await press(page, nav.getByRole("link", { name: "Webhooks" }));
  const add = page.getByRole("button", { name: "New webhook" });
  await press(page, add);
  await expect(page.getByLabel("Address")).toBeFocused();
  await page.keyboard.type("http://127.0.0.1:9/keyboard");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Signing secret" });
  await press(page, dialog.getByRole("button", { name: "Done" }));
  await expect(dialog).toHaveCount(0);
  const row = page.getByRole("link", { name: "http://127.0.0.1:9/keyboard" });
  await expect(row).toBeVisible();
  const [made] = (await daemon.call<{ id: string; url: string }[]>("/webhooks")).filter((webhook) => webhook.url.endsWith("/keyboard"));
  await daemon.call(`/webhooks/${made!.id}`, undefined, "DELETE");
});

test("keys are listed, search is reached and rows are moved over", async ({ page, daemon }) => {
  for (const name of ["row-a", "row-b", "row-c"]) await daemon.call("/devices", { id: name, name });
  await signIn(page, daemon.url);
  await open(page, daemon.url, "devices");
  await expect(page.locator('[data-device="row-c"]')).toBeVisible();
  await page.keyboard.press("?");
  const keys = page.getByRole("dialog", { name: "Keyboard" });
  await expect(keys).toContainText("Go to the search field");
  await page.keyboard.press("Escape");
  await expect(keys).toHaveCount(0);

  await page.keyboard.press("/");
  const search = page.getByRole("searchbox");
  await expect(search).toBeFocused();
  await page.keyboard.type("row-/?");
  await expect(search).toHaveValue("row-/?");
  await expect(keys).toHaveCount(0);
  await search.fill("row-");
  const rows = page.locator("[data-row]");
  await expect(rows).toHaveCount(3);
  await tabTo(page, rows.first());
  await page.keyboard.press("ArrowDown");
  await expect(rows.nth(1)).toBeFocused();
  await page.keyboard.press("End");
  await expect(rows.nth(2)).toBeFocused();
  await page.keyboard.press("ArrowUp");
  await expect(rows.nth(1)).toBeFocused();
  const item = page.locator('[data-device="row-b"]');
  await expect(item).toHaveAttribute("aria-setsize", "3");
  await expect(item).toHaveAttribute("aria-posinset", "2");
  for (const name of ["row-a", "row-b", "row-c"]) await daemon.call(`/devices/${name}`, undefined, "DELETE");
});

test("dialog and menu keep the focus and return it", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, "keys");
  const add = page.getByRole("button", { name: "New key" });
  await add.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "New key" });
  await expect(dialog.getByLabel("Name")).toBeFocused();
  for (let presses = 0; presses < 30; presses += 1) {
    await page.keyboard.press("Tab");
    // The browser's own controls come between the last and the first element of the dialog.
    expect(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null)).toBe(true);
  }
  await page.keyboard.press("Escape");
  await expect(dialog).toHaveCount(0);
  await expect(add).toBeFocused();

  const account = page.getByRole("button", { name: "Appearance and sign-out" });
  await account.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menuitem").first()).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await expect(page.getByRole("menuitem").nth(1)).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("menuitem")).toHaveCount(0);
  await expect(account).toBeFocused();
});

test("new messages are announced at most once in five seconds", async ({ page, daemon }) => {
  await daemon.linkedDevice("spoken", "Spoken");
  await daemon.incoming("spoken", "first");
  await signIn(page, daemon.url);
  await page.clock.install();
  await open(page, daemon.url, "devices/spoken/chats/15550100001@c.us");
  await expect(page.locator("[data-message]", { hasText: "first" })).toBeVisible();
  await page.evaluate(() => {
    const said: string[] = [];
    (globalThis as { said?: string[] }).said = said;
    for (const node of document.querySelectorAll("main section [role=status]")) {
      new MutationObserver(() => node.textContent && said.push(node.textContent)).observe(node, { childList: true, characterData: true, subtree: true });
    }
  });
  const said = () => page.evaluate(() => (globalThis as { said?: string[] }).said ?? []);
  for (const text of ["second", "third", "fourth"]) {
    await daemon.incoming("spoken", text);
    await expect(page.locator("[data-message]", { hasText: text })).toBeVisible();
  }
  expect(await said()).toHaveLength(1);
  expect((await said())[0]).not.toContain("second");
  await page.clock.fastForward(5000);
  await daemon.incoming("spoken", "fifth");
  await expect(page.locator("[data-message]", { hasText: "fifth" })).toBeVisible();
  await expect.poll(said).toHaveLength(2);
});
