import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { type BrowserContext, chromium, type Page } from "@playwright/test";

export const EXTENSION = fileURLToPath(new URL("../../../assets/passkey-extension/", import.meta.url));
export const fileNames = (): string[] => readdirSync(EXTENSION);
export const fileText = (name: string): string => readFileSync(join(EXTENSION, name), "utf8");

/** Runs a script of the extension in a context of its own, with `globals`; answers the context. */
export function runScript(name: string, globals: Record<string, unknown> = {}): Record<string, unknown> {
  const context = createContext({ URL, TextDecoder, atob, btoa, ...globals });
  runInContext(fileText(name), context, { filename: name });
  return context;
}

/** A browser with the extension, and a page that stands for WhatsApp Web. */
export class ExtensionBrowser {
  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
    private readonly directories: string[],
  ) {}

  /** `isAllowed` grants the permission that the popup asks for: no test can answer the browser's own question. */
  static async start(launchOptions: { executablePath?: string; args?: string[] }, isAllowed: boolean): Promise<ExtensionBrowser> {
    const directories = ["extension", "profile"].map((name) => mkdtempSync(join(tmpdir(), `wharf-passkey-${name}-`)));
    const [extension, profile] = directories as [string, string];
    cpSync(EXTENSION, extension, { recursive: true });
    const change = (name: string, edit: (text: string) => string) => writeFileSync(join(extension, name), edit(fileText(name)));
    if (isAllowed) change("manifest.json", (text) => JSON.stringify({ ...JSON.parse(text), host_permissions: ["http://127.0.0.1/*"] }));
    // So that the test can see the dialog.
    change("dialog.js", (text) => text.replace('mode: "closed"', 'mode: "open"'));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: launchOptions.executablePath,
      headless: false,
      args: [...(launchOptions.args ?? []), "--headless=new", `--disable-extensions-except=${extension}`, `--load-extension=${extension}`],
      locale: "en-GB",
      permissions: ["clipboard-read", "clipboard-write"],
    });
    const policy = "default-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'";
    await context.route("https://web.whatsapp.com/**", (route) =>
      route.fulfill({ contentType: "text/html", headers: { "Content-Security-Policy": policy }, body: "<!doctype html><html lang=\"en\"><title>WhatsApp</title><main><h1>WhatsApp Web</h1></main>" }));
    return new ExtensionBrowser(context, context.pages()[0] ?? (await context.newPage()), directories);
  }

  /** The id that the browser gave the extension. */
  async id(): Promise<string> {
    const worker = this.context.serviceWorkers()[0] ?? (await this.context.waitForEvent("serviceworker"));
    return new URL(worker.url()).host;
  }

  async stop(): Promise<void> {
    await this.context.close();
    for (const directory of this.directories) rmSync(directory, { recursive: true, force: true });
  }
}
