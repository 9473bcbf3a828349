import { ADMIN_KEY } from "./support/daemon.ts";
import { expect, open, signIn, test } from "./support/fixtures.ts";

test("wrong key is explained and nothing is signed in", async ({ page, daemon }) => {
  await page.goto(`${daemon.url}/`);
  await page.getByLabel("API key").fill("whf_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("This key is not valid");
  await expect(page.getByRole("navigation", { name: "Main" })).toHaveCount(0);
});

test("key is nowhere in storage, address or cookie of the page", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]));
  expect(stored).not.toContain(ADMIN_KEY);
  const cookies = await page.context().cookies();
  expect(cookies).toHaveLength(1);
  expect(cookies[0]).toMatchObject({ httpOnly: true, sameSite: "Strict" });
});

test("session survives a reload and ends with the sign-out", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await page.reload();
  await expect(page.getByRole("navigation", { name: "Main" })).toBeVisible();
  await page.getByRole("button", { name: "Appearance and sign-out" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByLabel("API key")).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("API key")).toBeVisible();
});

test("expired session asks for the key in place and goes on", async ({ page, daemon }) => {
  await signIn(page, daemon.url);
  await open(page, daemon.url, "devices/new");
  await page.getByLabel("Name").fill("Typed before");
  await page.getByLabel("Id").fill("typed-before");
  await page.context().clearCookies();
  await page.getByRole("button", { name: "Continue" }).click();
  const dialog = page.getByRole("dialog", { name: "Sign in again" });
  await dialog.getByLabel("API key").fill(ADMIN_KEY);
  await dialog.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: /Typed before/ })).toBeVisible();
  await daemon.call("/devices/typed-before", undefined, "DELETE");
});
