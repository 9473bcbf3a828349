import { test as base, expect, type Page } from "@playwright/test";
import { violations } from "./support/axe.ts";
import { fileText } from "./support/passkey_extension.ts";
import { PasskeyServer, removeJsonFunctions } from "./support/passkey_server.ts";

const PLACEHOLDER = "__WHARF_PASSKEY_OPTIONS__";
const test = base.extend<{ server: PasskeyServer }>({
  server: async ({}, use) => {
    const server = await PasskeyServer.start("web.whatsapp.com");
    await use(server);
    await server.stop();
  },
});

/** Runs the script as the console does, in a page that stands for WhatsApp Web. Answers what it prints. */
async function paste(page: Page, server: PasskeyServer, options: unknown = server.options, url = "https://web.whatsapp.com/"): Promise<string[]> {
  const printed: string[] = [];
  page.on("console", (message) => message.type() === "log" && printed.push(message.text()));
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.route(new URL("**", url).href, (route) => route.fulfill({
    contentType: "text/html", headers: { "Content-Security-Policy": "default-src 'none'; require-trusted-types-for 'script'" }, body: "<!doctype html><html lang=\"en\"><title>WhatsApp</title><body>",
  }));
  await page.goto(url);
  const session = await page.context().newCDPSession(page);
  const { exceptionDetails } = await session.send("Runtime.evaluate", { expression: fileText("console.js").replace(PLACEHOLDER, () => JSON.stringify(options)) });
  expect(exceptionDetails).toBeUndefined();
  return printed;
}

test("script has one placeholder, and sends and stores nothing", () => {
  const text = fileText("console.js");
  expect(text.split(PLACEHOLDER)).toHaveLength(2);
  expect(text).not.toMatch(/\b(fetch|XMLHttpRequest|sendBeacon|WebSocket|localStorage|sessionStorage|cookie|eval|innerHTML)\b/);
});

for (const hasJson of [true, false]) {
  test(`script signs on a click, ${hasJson ? "with" : "without"} JSON functions`, async ({ page, context, server }) => {
    if (!hasJson) await page.addInitScript(removeJsonFunctions);
    await server.addAuthenticator(context, page);
    const printed = await paste(page, server);
    const dialog = page.getByRole("dialog", { name: "Link a device to Wharf" });
    await expect(dialog.getByRole("button", { name: "Sign with passkey" })).toBeFocused();
    expect(printed).toEqual([]);
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press("Enter");
    await expect(dialog).toContainText("Signed. The response is copied: paste it into Wharf.");
    const shown = await dialog.getByLabel("Response for Wharf").inputValue();
    expect(server.wrongField(shown)).toBeUndefined();
    expect(printed).toEqual([shown]);
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(shown);
    // The stub can refuse: another request makes this response wrong.
    server.renew();
    expect(server.wrongField(shown)).toBe("clientDataJSON.challenge");
    await dialog.getByRole("button", { name: "Close" }).click();
    await expect(dialog).toHaveCount(0);
  });
}

test("script explains a missing passkey and a wrong page", async ({ page, context, server }) => {
  await server.addAuthenticator(context, page, false);
  await paste(page, server);
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Sign with passkey" }).click();
  await expect(dialog).toContainText("no passkey of this account is here");
  await expect(dialog.getByRole("button", { name: "Sign with passkey" })).toBeEnabled();
  await expect(dialog.getByLabel("Response for Wharf")).toBeHidden();
  await paste(page, server, server.options, "https://wharf.example/");
  await dialog.getByRole("button", { name: "Sign with passkey" }).click();
  await expect(dialog).toContainText("This page may not use the passkey of web.whatsapp.com. Paste the script into the console of https://web.whatsapp.com.");
  await paste(page, server, { ...server.options, challenge: "not base64url!" });
  await dialog.getByRole("button", { name: "Sign with passkey" }).click();
  await expect(dialog).toContainText("The passkey request in the script is not valid.");
});
