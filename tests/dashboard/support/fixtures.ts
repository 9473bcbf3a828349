import { test as base, expect, type Page } from "@playwright/test";
import { ADMIN_KEY, Daemon } from "./daemon.ts";

interface Worker {
  daemon: Daemon;
}
interface Fixtures {
  /** Violations of the policy and errors of the page; each test fails if there are any. */
  problems: string[];
}

/** One daemon for a file; each page reports violations of its content policy. */
export const test = base.extend<Fixtures, Worker>({
  daemon: [
    async ({}, use) => {
      const daemon = await Daemon.start();
      await use(daemon);
      await daemon.stop();
    },
    { scope: "worker" },
  ],
  problems: [
    async ({ page, context }, use) => {
      const problems: string[] = [];
      await context.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
      });
      page.on("pageerror", (error) => problems.push(String(error)));
      page.on("console", (message) => {
        if (message.type() === "error" && /policy|Content Security|Trusted/i.test(message.text())) problems.push(message.text());
      });
      await use(problems);
      expect(problems).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

export async function signIn(page: Page, url: string, key = ADMIN_KEY): Promise<void> {
  await page.goto(`${url}/`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("navigation", { name: "Main" })).toBeVisible();
}

/** Opens a page of the dashboard by its hash route. */
export async function open(page: Page, url: string, route: string): Promise<void> {
  await page.goto(`${url}/#/${route}`);
}
