import type { Page } from "@playwright/test";
import { violations } from "./support/axe.ts";
import type { Daemon } from "./support/daemon.ts";
import { expect, open, signIn, test as base } from "./support/fixtures.ts";
import { runScript } from "./support/passkey_extension.ts";
import { OPTIONS, PasskeyApi } from "./support/passkey_api.ts";

const RESPONSE = { id: "Y3JlZGVudGlhbA", rawId: "Y3JlZGVudGlhbA", type: "public-key", response: { signature: "abc" } };

let devices = 0;
const test = base.extend<{ device: string }>({
  /** A device that waits for a scan. */
  device: async ({ daemon, page }, use) => {
    devices += 1;
    const id = `shop-${devices}`;
    await daemon.call("/devices", { id, name: "Shop counter" });
    await daemon.untilState(id, "qr");
    await use(id);
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await daemon.call(`/devices/${id}`, undefined, "DELETE");
  },
});

/** The page that links a device, with the daemon's passkey step in the test's hands. */
async function openLinkPage(page: Page, daemon: Daemon, id: string): Promise<PasskeyApi> {
  const passkey = await PasskeyApi.start(page, id);
  await signIn(page, daemon.url);
  await open(page, daemon.url, `devices/${id}/link`);
  await expect(page.getByAltText(/QR code/)).toBeVisible();
  await expect.poll(() => passkey.isConnected).toBe(true);
  return passkey;
}

test("passkey step is shown and confirmed by its events", async ({ page, daemon, device }) => {
  const passkey = await openLinkPage(page, daemon, device);
  // A hidden page does not poll: what follows are events.
  await page.evaluate(() => Object.defineProperty(document, "visibilityState", { get: () => "hidden" }));
  passkey.ask();
  await expect(page.getByRole("heading", { name: "WhatsApp asks for the passkey of this account" })).toBeVisible();
  await expect(page.getByText("Waiting for a passkey", { exact: true })).toBeVisible();
  const timer = page.getByRole("timer");
  await expect(timer).toContainText(/Time left: [45]:\d\d/);
  expect(Math.abs(Number(await timer.getAttribute("data-countdown")) - 300)).toBeLessThan(20);

  passkey.confirm("K7QT-92XA");
  await expect(page.getByRole("heading", { name: "Compare the code" })).toBeFocused();
  await expect(page.locator("[data-code]")).toHaveText("K7QT-92XA");
  await page.getByRole("button", { name: "Yes, link the device" }).click();
  await expect(page.getByText("The phone accepted the code. Linking …")).toBeVisible();
  expect(passkey.bodies("confirm")).toEqual(['{"code":"K7QT-92XA"}']);
});

test("link for the extension has a ticket and opens a tab", async ({ page, context, daemon, device }) => {
  await context.route("https://web.whatsapp.com/**", (route) => route.fulfill({ contentType: "text/html", body: "<h1>WhatsApp Web</h1>" }));
  const passkey = await openLinkPage(page, daemon, device);
  passkey.ask();
  await expect(page.getByRole("link", { name: "Download the extension" })).toHaveAttribute("href", "/passkey-extension.zip");
  expect(passkey.bodies("ticket")).toHaveLength(0);
  const opener = page.getByRole("button", { name: "Open WhatsApp Web to sign" });
  const [tab] = await Promise.all([context.waitForEvent("page"), opener.click()]);
  await tab.waitForLoadState();
  const url = new URL(tab.url());
  expect(url.origin + url.pathname).toBe("https://web.whatsapp.com/");
  const [name, text] = url.hash.split("=");
  expect(name).toBe("#wharf-passkey");
  expect(JSON.parse(Buffer.from(text!, "base64url").toString("utf8"))).toEqual({ server: daemon.url, device, ticket: "a-secret-ticket" });
  const links = runScript("link.js").WharfLink as { read: (fragment: string) => { device: string } };
  expect(links.read(url.hash).device).toBe(device);
  expect(await tab.evaluate(() => window.opener)).toBeNull();
  // A browser that blocks the tab leaves the link.
  await expect(page.getByRole("link", { name: "Open the link" })).toHaveAttribute("href", tab.url());
  // The ticket is in memory only.
  expect(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]))).not.toContain("ticket");

  passkey.refusals.set("ticket", { status: 409, json: { success: false, code: "no_passkey_pending", error: "no passkey is pending for this device" } });
  await opener.click();
  await expect(page.getByRole("alert")).toContainText("no passkey is pending for this device");
});

test("script for the console has the options and is copied", async ({ page, context, daemon, device }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const passkey = await openLinkPage(page, daemon, device);
  passkey.ask();
  await page.getByText("Without the extension").click();
  await expect(page.getByRole("link", { name: "web.whatsapp.com" })).toHaveAttribute("rel", "noopener noreferrer");
  await page.getByRole("button", { name: "Copy the script" }).click();
  const script = await page.evaluate(() => navigator.clipboard.readText());
  expect(script).toContain(`const options = ${JSON.stringify(OPTIONS)};`);
  expect(await page.getByLabel("Script").inputValue()).toBe(script);
});

test("script can be copied by hand where there is no clipboard", async ({ page, daemon, device }) => {
  await page.addInitScript(() => Object.defineProperty(Navigator.prototype, "clipboard", { get: () => undefined }));
  const passkey = await openLinkPage(page, daemon, device);
  passkey.ask();
  await page.getByText("Without the extension").click();
  await expect(page.getByRole("button", { name: "Copy the script" })).toHaveCount(0);
  const script = page.getByLabel("Script");
  await script.focus();
  expect(await script.evaluate((field: HTMLTextAreaElement) => field.value.slice(field.selectionStart, field.selectionEnd))).toBe(await script.inputValue());
});

test("pasted response is sent, and a refusal stays at its field", async ({ page, daemon, device }) => {
  const passkey = await openLinkPage(page, daemon, device);
  passkey.ask();
  const field = page.getByLabel("Response");
  const send = page.getByRole("button", { name: "Send the response" });
  await field.fill('{"id": "cut o');
  await send.click();
  await expect(field).toHaveAccessibleDescription(/This is not a complete response\. Copy it again/);
  await expect(field).toBeFocused();
  expect(passkey.bodies("response")).toEqual([]);

  const sentence = "`response.clientDataJSON` has another challenge than the pending request";
  passkey.refusals.set("response", { status: 422, json: { success: false, code: "passkey_response_invalid", error: sentence } });
  await field.fill(JSON.stringify(RESPONSE));
  await send.click();
  await expect(field).toHaveAccessibleDescription(new RegExp(sentence));
  await expect(field).toHaveAttribute("aria-invalid", "true");
  await expect(field).toHaveValue(JSON.stringify(RESPONSE));

  await send.click();
  await expect(page.getByText("The response was accepted. Waiting for the phone …")).toBeVisible();
  await expect(field).not.toHaveAttribute("aria-invalid", "true");
  expect(passkey.bodies("response").map((body) => JSON.parse(body!))).toEqual([RESPONSE, RESPONSE]);
  // Another attempt has no use for it.
  passkey.ask({ options: { ...OPTIONS, challenge: "YW5vdGhlcg" } });
  await expect(field).toHaveValue("");
  await expect(page.getByText("The response was accepted.")).toHaveCount(0);
});

test("another code on the phone cancels, and a new QR code follows", async ({ page, daemon, device }) => {
  const passkey = await openLinkPage(page, daemon, device);
  passkey.confirm("K7QT-92XA");
  await page.getByRole("button", { name: "No, cancel" }).click();
  await expect(page.getByRole("heading", { name: "Linking with a passkey failed or was cancelled." })).toBeVisible();
  expect(passkey.bodies("cancel")).toHaveLength(1);
  expect(passkey.bodies("confirm")).toHaveLength(0);
  await daemon.call(`/devices/${device}/stop`, {});
  await page.getByRole("button", { name: "Show a new QR code" }).click();
  await expect(page.getByAltText(/QR code/)).toBeVisible();
});

const ADVICE = {
  passkey_timeout: "The passkey was not signed or confirmed in time.",
  passkey_rejected: "WhatsApp rejected the signature of the passkey.",
  passkey_failed: "Linking with a passkey failed or was cancelled.",
};
test("each reason is explained with what to do", async ({ page, daemon, device }) => {
  const passkey = await openLinkPage(page, daemon, device);
  for (const [reason, sentence] of Object.entries(ADVICE)) {
    passkey.ask();
    await expect(page.getByRole("timer")).toBeVisible();
    passkey.end("failed", reason);
    passkey.emit("passkey:error", { reason });
    await expect(page.getByRole("heading", { name: sentence })).toBeVisible();
    await expect(page.getByText(/Show a new QR code[, ]/)).toBeVisible();
    await expect(page.getByRole("button", { name: "Show a new QR code" })).toBeVisible();
  }
});

test("reason stays when the device shows a code again", async ({ page, daemon, device }) => {
  const passkey = await openLinkPage(page, daemon, device);
  passkey.emit("passkey:error", { reason: "passkey_rejected" });
  await expect(page.getByText("WhatsApp rejected the signature of the passkey.")).toBeVisible();
  await expect(page.getByAltText(/QR code/)).toBeVisible();
});

test("key that reads only sees the step without its actions", async ({ page, daemon, device }) => {
  const passkey = await PasskeyApi.start(page, device);
  passkey.ask();
  await signIn(page, daemon.url, await daemon.keyWith(["devices:read", "events:read"]));
  await open(page, daemon.url, "devices");
  await expect(page.locator(`[data-device="${device}"]`)).toContainText("Open the page and sign with the passkey of the account.");
  await page.locator(`[data-device="${device}"] a`).click();
  await expect(page.getByText("Signing needs the scope devices:write.")).toBeVisible();
  await expect(page.locator("main").getByRole("button")).toHaveCount(0);
  expect(passkey.calls).toEqual([]);
});

test("passkey step is done by keyboard", async ({ page, daemon, device }) => {
  const passkey = await openLinkPage(page, daemon, device);
  passkey.ask();
  await expect(page.getByRole("timer")).toBeVisible();
  const reached: string[] = [];
  await page.locator("main h1").evaluate((heading: HTMLElement) => { heading.tabIndex = -1; heading.focus(); });
  for (let presses = 0; presses < 9; presses += 1) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement?.textContent || (document.activeElement as HTMLTextAreaElement | null)?.labels?.[0]?.textContent || ""));
  }
  expect(reached).toEqual(expect.arrayContaining(["Download the extension", "Open WhatsApp Web to sign", "Without the extension", "Response", "Send the response", "Cancel linking"]));
  passkey.confirm("K7QT-92XA");
  await expect(page.getByRole("heading", { name: "Compare the code" })).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Yes, link the device" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByText("The phone accepted the code. Linking …")).toBeVisible();
});

for (const look of ["light", "dark", "rtl"] as const) {
  test(`passkey step is accessible and fits 320 px: ${look}`, async ({ page, daemon, device }, info) => {
    const passkey = await PasskeyApi.start(page, device);
    passkey.ask();
    await page.emulateMedia({ colorScheme: look === "dark" ? "dark" : "light", reducedMotion: "reduce" });
    await signIn(page, daemon.url);
    if (look === "rtl") await page.evaluate(() => localStorage.setItem("wharf.locale", "rtl"));
    await open(page, daemon.url, `devices/${device}/link`);
    await page.reload();
    const steps = [
      ["signature", async () => {
        await page.locator("summary").click();
        await page.locator("section button").first().click();
        await expect(page.locator('a[href*="#wharf-passkey="]')).toBeVisible();
        await page.locator("form textarea").fill("{");
        await page.locator("form button").click();
        await expect(page.locator("[aria-invalid=true]")).toBeVisible();
      }],
      ["confirmation", async () => {
        passkey.confirm("K7QT-92XA");
        await expect(page.locator("[data-code]")).toBeVisible();
      }],
    ] as const;
    for (const [name, prepare] of steps) {
      await prepare();
      for (const width of [1280, 320]) {
        await page.setViewportSize({ width, height: 800 });
        expect.soft(await violations(page), name).toEqual([]);
        const overflow = await page.evaluate(() => {
          const main = document.querySelector("main")!;
          return Math.max(document.documentElement.scrollWidth - innerWidth, main.scrollWidth - main.clientWidth);
        });
        expect.soft(overflow, `${name} ${width}`).toBeLessThanOrEqual(0);
        await page.screenshot({ path: info.outputPath(`passkey-${name}-${width}-${look}.png`), fullPage: true });
      }
      await page.setViewportSize({ width: 1280, height: 800 });
    }
  });
}
