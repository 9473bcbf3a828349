import { test as base, expect } from "@playwright/test";
import { violations } from "./support/axe.ts";
import { ExtensionBrowser, fileNames, fileText, runScript } from "./support/passkey_extension.ts";
import { PasskeyServer, removeJsonFunctions } from "./support/passkey_server.ts";

interface Fixtures {
  server: PasskeyServer;
  /** With the permission to reach the server. */
  browserWithExtension: ExtensionBrowser;
}
const test = base.extend<Fixtures>({
  server: async ({}, use) => {
    const server = await PasskeyServer.start("whatsapp.com");
    await use(server);
    await server.stop();
  },
  browserWithExtension: async ({ launchOptions }, use) => {
    const browser = await ExtensionBrowser.start(launchOptions, true);
    await use(browser);
    await browser.stop();
  },
});

interface Link {
  server: string;
  device: string;
  ticket: string;
}
interface LinkFunctions {
  read: (fragment: string) => Link | undefined;
  originPattern: (server: string) => string;
  isReadableByOthers: (server: string) => boolean;
  passkeyUrl: (link: Link) => string;
  refusal: (status: number, body: unknown) => string;
  optionsOf: (body: unknown) => unknown;
}
const links = runScript("link.js").WharfLink as LinkFunctions;
const fragment = (fields: unknown) => `#wharf-passkey=${Buffer.from(typeof fields === "string" ? fields : JSON.stringify(fields)).toString("base64url")}`;
const LINK = { server: "https://wharf.example", device: "shop", ticket: "abc" };

test("link gives server, device and ticket", () => {
  expect({ ...links.read(fragment(LINK)) }).toEqual(LINK);
  expect(links.read(fragment({ ...LINK, server: "http://192.168.1.5:3000/" }))?.server).toBe("http://192.168.1.5:3000");
  expect(links.read(fragment({ ...LINK, server: "https://host.example/wharf/" }))?.server).toBe("https://host.example/wharf");
  expect(links.passkeyUrl({ ...LINK, server: "https://host.example/wharf" })).toBe("https://host.example/wharf/api/v1/devices/shop/passkey");
  for (const other of ["", "#", "#/chats", "#wharf-other=abc"]) expect(links.read(other)).toBeUndefined();
});

test("damaged link is refused with a sentence", () => {
  const damaged = [
    "#wharf-passkey=", "#wharf-passkey=%%%", fragment("not json"), fragment("null"), fragment([]), fragment({}), fragment({ ...LINK, ticket: "" }), fragment({ ...LINK, ticket: 7 }),
    fragment({ ...LINK, ticket: "two\r\nlines" }), fragment({ ...LINK, device: "../keys" }), fragment({ ...LINK, device: ".." }), fragment({ ...LINK, ticket: "x".repeat(600) }),
    `#wharf-passkey=${"A".repeat(5000)}`,
  ];
  for (const text of damaged) expect(() => links.read(text), text).toThrow("This link is damaged. Get a new one from Wharf.");
  for (const server of ["javascript:alert(1)", "file:///etc/passwd", "ftp://host", "nonsense", "https://user:secret@host", "https://host/?q=1", "https://host/#part"]) {
    expect(() => links.read(fragment({ ...LINK, server })), server).toThrow(/The server's address in this link/);
  }
});

test("permission is for the host of the server only", () => {
  expect(links.originPattern("http://127.0.0.1:3000")).toBe("http://127.0.0.1/*");
  expect(links.originPattern("https://wharf.example/prefix")).toBe("https://wharf.example/*");
  expect(["http://localhost:3000", "http://127.0.0.1", "http://[::1]:3000", "https://wharf.example"].some(links.isReadableByOthers)).toBe(false);
  expect(["http://192.168.1.5", "http://wharf.example", "http://localhost.example"].every(links.isReadableByOthers)).toBe(true);
});

test("each refusal of the server has a sentence", () => {
  const sentences: [number, unknown, RegExp][] = [
    [409, { code: "no_passkey_pending" }, /no longer waits for a passkey/],
    [422, { code: "passkey_response_invalid", error: "`rawId` is wrong." }, /`rawId` is wrong\. Sign again/],
    [401, {}, /link has expired/], [403, undefined, /link has expired/], [404, {}, /does not have this device/],
    [429, {}, /Wait a minute/], [500, undefined, /status 500/], [503, { error: "it stops" }, /refused the request: it stops/],
  ];
  for (const [status, body, sentence] of sentences) expect(links.refusal(status, body)).toMatch(sentence);
  expect(() => links.optionsOf({ data: { stage: "confirmation", code: "12345678" } })).toThrow(/signed already/);
  for (const body of [undefined, {}, { data: null }, { data: { options: {} } }]) expect(() => links.optionsOf(body)).toThrow(/no passkey request/);
  expect(links.optionsOf({ data: { stage: "signature", options: { challenge: "abc", extra: 1 } } })).toEqual({ challenge: "abc", extra: 1 });
});

test("extension has minimal permissions and no remote code", () => {
  const manifest = JSON.parse(fileText("manifest.json")) as Record<string, unknown>;
  expect(manifest.manifest_version).toBe(3);
  for (const key of ["permissions", "host_permissions", "optional_permissions", "web_accessible_resources", "externally_connectable"]) expect(manifest[key], key).toBeUndefined();
  const scripts = manifest.content_scripts as { matches: string[]; all_frames?: boolean; js: string[] }[];
  expect(scripts.flatMap(({ matches }) => matches)).toEqual(["https://web.whatsapp.com/*", "https://web.whatsapp.com/*"]);
  expect(scripts.some(({ all_frames }) => all_frames)).toBe(false);
  const policy = (manifest.content_security_policy as { extension_pages: string }).extension_pages;
  expect(policy).toContain("script-src 'self';");
  // Firefox would otherwise change http:// to https:// for a daemon on the local network.
  expect(policy).not.toContain("upgrade-insecure-requests");
  const used = [...scripts.flatMap(({ js }) => js), "background.js", "popup.html", "popup.js", "popup.css", "manifest.json", "README.md", "console.js"];
  expect(new Set(used)).toEqual(new Set(fileNames()));
  for (const name of fileNames().filter((file) => /\.(js|html)$/.test(file))) {
    expect(fileText(name), name).not.toMatch(/\b(localStorage|sessionStorage|indexedDB|storage\.|cookie|eval\(|new Function|innerHTML|insertAdjacentHTML|document\.write|import\(|XMLHttpRequest|sendBeacon)/);
    expect(fileText(name), name).not.toMatch(/src="(?![a-z]+\.js")/);
  }
  // The page cannot read the dialog of the extension.
  expect(fileText("dialog.js")).toContain('attachShadow({ mode: "closed" })');
  // Only the background worker sends requests.
  for (const name of fileNames().filter((file) => file.endsWith(".js") && file !== "background.js")) expect(fileText(name), name).not.toMatch(/\bfetch\(/);
});

interface Messages {
  onMessage: (message: unknown, sender: unknown, answer: (value: unknown) => void) => unknown;
}

/** The background worker with a stubbed browser, which allows `origins` only. */
function worker(fetchStub: (url: string, init: RequestInit) => Promise<unknown>, origins: string[]) {
  const messages = {} as Messages;
  const removed: string[] = [];
  const chrome = {
    runtime: { id: "own", onMessage: { addListener: (listener: Messages["onMessage"]) => { messages.onMessage = listener; } } },
    permissions: {
      contains: async (asked: { origins: string[] }) => asked.origins.every((origin) => origins.includes(origin)),
      remove: async (asked: { origins: string[] }) => removed.push(...asked.origins),
    },
  };
  runScript("background.js", { chrome, fetch: fetchStub, AbortSignal, importScripts: undefined, WharfLink: links });
  const sender = { id: "own", frameId: 0, url: "https://web.whatsapp.com/" };
  const ask = (message: unknown, from: unknown = sender) => new Promise((resolve) => {
    if (messages.onMessage(message, from, resolve) === false) resolve("ignored");
  });
  return { ask, sender, removed };
}

test("worker serves the top frame of WhatsApp Web only", async () => {
  const calls: string[] = [];
  const { ask, sender } = worker(async (url) => (calls.push(url), { ok: false, status: 500, json: async () => ({}) }), ["https://wharf.example/*"]);
  const message = { type: "options", link: LINK };
  for (const change of [{ id: "other" }, { frameId: 1 }, { url: "https://evil.example/" }, { url: "https://web.whatsapp.com.evil.example/" }, { url: "http://web.whatsapp.com/" }, { url: undefined }]) {
    expect(await ask(message, { ...sender, ...change }), JSON.stringify(change)).toBe("ignored");
  }
  expect(await ask({ type: "other", link: LINK })).toBe("ignored");
  expect(calls).toEqual([]);
  await ask(message);
  expect(calls).toEqual(["https://wharf.example/api/v1/devices/shop/passkey"]);
});

test("worker sends nothing without permission or a valid link", async () => {
  const calls: string[] = [];
  const { ask } = worker(async (url) => (calls.push(url), {}), []);
  expect(await ask({ type: "options", link: LINK })).toEqual({ isPermissionMissing: true });
  expect(await ask({ type: "options", link: { ...LINK, device: "a/b" } })).toEqual({ failure: "This link is damaged. Get a new one from Wharf." });
  expect(await ask({ type: "options" })).toEqual({ failure: "This link is damaged. Get a new one from Wharf." });
  expect(calls).toEqual([]);
});

test("worker sends the ticket only and follows no redirect", async () => {
  const sent: RequestInit[] = [];
  const answers = [{ ok: true, status: 200, json: async () => ({ data: { stage: "signature", options: { challenge: "abc" } } }) }, { ok: true, status: 200, json: async () => ({ data: {} }) }];
  const { ask, removed } = worker(async (_, init) => (sent.push(init), answers.shift()), ["https://wharf.example/*"]);
  expect(await ask({ type: "options", link: LINK })).toEqual({ ok: { challenge: "abc" } });
  expect(removed).toEqual([]);
  expect(await ask({ type: "response", link: LINK, response: { id: "x" } })).toEqual({ ok: true });
  expect(removed).toEqual(["https://wharf.example/*"]);
  expect(sent.map(({ method, headers, body, redirect, credentials, cache }) => ({ method, headers: { ...headers }, body, redirect, credentials, cache }))).toEqual([
    { method: "GET", headers: { "X-Passkey-Ticket": "abc" }, body: undefined, redirect: "error", credentials: "omit", cache: "no-store" },
    { method: "POST", headers: { "X-Passkey-Ticket": "abc", "Content-Type": "application/json" }, body: '{"id":"x"}', redirect: "error", credentials: "omit", cache: "no-store" },
  ]);
  expect(await ask({ type: "response", link: LINK, response: { id: "x".repeat(17_000) } })).toEqual({ failure: "The response of the passkey is too large." });
});

test("worker gives a sentence when the server is away or late", async () => {
  let error: Error = new TypeError("failed");
  const { ask } = worker(() => Promise.reject(error), ["https://wharf.example/*"]);
  expect(await ask({ type: "options", link: LINK })).toEqual({ failure: expect.stringContaining("https://wharf.example cannot be reached") });
  error = Object.assign(new Error(), { name: "TimeoutError" });
  expect(await ask({ type: "options", link: LINK })).toEqual({ failure: expect.stringContaining("did not answer in 20 seconds") });
});

test("passkey is signed on a click and sent to the server", async ({ server, browserWithExtension: { context, page } }) => {
  await server.addAuthenticator(context, page);
  await page.goto(server.link());
  expect(page.url()).toBe("https://web.whatsapp.com/");
  const dialog = page.getByRole("dialog", { name: "Link a device to Wharf" });
  await expect(dialog).toContainText(server.url);
  await expect(dialog).toContainText("shop");
  const sign = dialog.getByRole("button", { name: "Sign with passkey" });
  await expect(sign).toBeFocused();
  expect(await violations(page)).toEqual([]);
  // A click that a script of the page makes does not count.
  await sign.evaluate((button: HTMLElement) => button.click());
  await expect(dialog).toContainText("Your browser asks for the passkey");
  expect(server.requests.map(({ method }) => method)).toEqual(["GET"]);
  await page.keyboard.press("Enter");
  await expect(dialog).toContainText("Done. Go back to Wharf");
  expect(server.accepted?.type).toBe("public-key");
  expect(server.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(["GET /api/v1/devices/shop/passkey", "POST /api/v1/devices/shop/passkey/response"]);
  for (const { headers } of server.requests) {
    expect(headers["x-passkey-ticket"]).toBe(server.ticket);
    expect(headers.cookie).toBeUndefined();
  }
  await page.keyboard.press("Escape");
  await expect(dialog).toHaveCount(0);
  expect(await page.evaluate(() => localStorage.length + sessionStorage.length)).toBe(0);
});

test("refused response is explained and can be signed again", async ({ server, browserWithExtension: { context, page } }) => {
  await server.addAuthenticator(context, page);
  await page.goto(server.link());
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByRole("button", { name: "Sign with passkey" })).toBeVisible();
  server.override = { status: 422, body: { success: false, code: "passkey_response_invalid", error: "`response.signature` is not valid." } };
  await dialog.getByRole("button", { name: "Sign with passkey" }).click();
  await expect(dialog).toContainText("The server did not accept the response: `response.signature` is not valid. Sign again.");
  await dialog.getByRole("button", { name: "Copy the response" }).click();
  await expect(dialog).toContainText("The response is copied");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(server.wrongField(copied)).toBeUndefined();
  server.override = undefined;
  await dialog.getByRole("button", { name: "Send again" }).click();
  await expect(dialog).toContainText("Done. Go back to Wharf");
  expect(server.accepted).toEqual(JSON.parse(copied));
});

test("missing passkey is explained, and signing is possible later", async ({ server, browserWithExtension: { context, page } }) => {
  const remove = await server.addAuthenticator(context, page, false);
  await page.goto(server.link());
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Sign with passkey" }).click();
  await expect(dialog).toContainText("The browser did not sign: the request was cancelled, took too long, or no passkey of this account is here.");
  expect(server.accepted).toBeUndefined();
  await remove();
  await server.addAuthenticator(context, page);
  await dialog.getByRole("button", { name: "Sign with passkey" }).click();
  await expect(dialog).toContainText("Done. Go back to Wharf");
});

test("link of an earlier attempt and a finished one are explained", async ({ server, browserWithExtension: { page } }) => {
  await page.goto(server.link({ ticket: "of-an-earlier-attempt" }));
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("This link has expired, or it belongs to an earlier attempt. Get a new link from Wharf.");
  server.override = { status: 409, body: { success: false, code: "no_passkey_pending", error: "no passkey is pending" } };
  await dialog.getByRole("button", { name: "Try again" }).click();
  await expect(dialog).toContainText("The server no longer waits for a passkey. Start the linking again in Wharf.");
  // A link that is opened in a tab that shows WhatsApp Web already.
  server.override = undefined;
  await page.evaluate((hash) => { location.hash = hash; }, new URL(server.link()).hash);
  await expect(dialog.getByRole("button", { name: "Sign with passkey" })).toBeVisible();
  await expect(dialog).toHaveCount(1);
  expect(new URL(page.url()).hash).toBe("");
});

test("foreign rpId and damaged links are explained", async ({ browserWithExtension: { context, page } }) => {
  const server = await PasskeyServer.start("example.com");
  await server.addAuthenticator(context, page);
  await page.goto(server.link());
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Sign with passkey" }).click();
  await expect(dialog).toContainText("This page may not use the passkey of example.com.");
  await dialog.getByRole("button", { name: "Close" }).click();
  await expect(dialog).toHaveCount(0);
  await page.goto("about:blank");
  await page.goto("https://web.whatsapp.com/#wharf-passkey=broken");
  await expect(dialog).toContainText("This link is damaged. Get a new one from Wharf.");
  await page.goto("about:blank");
  await page.goto(server.link({ device: "<img src=x onerror=alert(1)>" }));
  await expect(dialog).toContainText("This link is damaged.");
  await expect(page.locator("img")).toHaveCount(0);
  await server.stop();
});

test("browser without the JSON functions of WebAuthn signs too", async ({ server, browserWithExtension: { context, page } }) => {
  await page.addInitScript(removeJsonFunctions);
  await server.addAuthenticator(context, page);
  await page.goto(server.link());
  await page.getByRole("button", { name: "Sign with passkey" }).click();
  await expect(page.getByRole("dialog")).toContainText("Done. Go back to Wharf");
  expect(server.accepted?.id).toBe(server.credentialId.toString("base64url"));
});

test("without its permission the extension sends nothing", async ({ server, launchOptions }) => {
  const browser = await ExtensionBrowser.start(launchOptions, false);
  try {
    await browser.page.goto(server.link());
    const dialog = browser.page.getByRole("dialog");
    await expect(dialog).toContainText("The extension may not reach this server yet. Click Wharf passkey in the browser's toolbar");
    await dialog.getByRole("button", { name: "Try again" }).click();
    await expect(dialog.getByRole("button", { name: "Try again" })).toBeFocused();
    expect(server.requests).toEqual([]);
    const popup = await browser.context.newPage();
    await popup.goto(`chrome-extension://${await browser.id()}/popup.html`);
    // In a tab of its own the popup finds no link.
    await expect(popup.getByText("No link is open in this tab.")).toBeVisible();
  } finally {
    await browser.stop();
  }
});

test("popup asks for the permission in the click", async ({ page }) => {
  await page.route("http://popup.test/**", (route) => {
    const name = new URL(route.request().url()).pathname.slice(1);
    return route.fulfill({ contentType: name.endsWith(".html") ? "text/html" : name.endsWith(".css") ? "text/css" : "text/javascript", body: fileText(name) });
  });
  await page.addInitScript(() => {
    const asked: unknown[] = [];
    const sent: unknown[] = [];
    const grants = [false, true];
    Object.assign(globalThis, { asked, sent });
    const status = { server: "http://192.168.1.5:3000", device: "shop", isWaiting: true };
    Object.assign(globalThis, { browser: {
      tabs: { query: async () => [{ id: 7 }], sendMessage: async (tab: number, message: { type: string }) => (sent.push([tab, message.type]), status) },
      permissions: { request: async (what: unknown) => (asked.push([what, navigator.userActivation.isActive]), grants.shift()) },
    } });
  });
  await page.goto("http://popup.test/popup.html");
  await expect(page.getByRole("status")).toContainText("“shop” to http://192.168.1.5:3000?");
  const allow = page.getByRole("button", { name: "Allow" });
  await expect(allow).toBeFocused();
  expect(await page.evaluate("asked")).toEqual([]);
  await allow.click();
  await expect(page.getByRole("status")).toContainText("Without the permission the extension cannot reach the server.");
  await allow.click();
  await expect(page.getByRole("status")).toContainText("Allowed. Continue in the page.");
  const request = [{ origins: ["http://192.168.1.5/*"] }, true];
  expect(await page.evaluate("asked")).toEqual([request, request]);
  expect(await page.evaluate("sent")).toEqual([[7, "status"], [7, "granted"]]);
});
