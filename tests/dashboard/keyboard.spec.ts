import type { Locator, Page } from "@playwright/test";
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
