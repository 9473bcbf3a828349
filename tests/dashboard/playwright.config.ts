import { existsSync } from "node:fs";
import { defineConfig } from "@playwright/test";

// Debian's Chromium: nothing is downloaded.
const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => existsSync(path));

export default defineConfig({
  testDir: ".",
  timeout: 90_000,
  expect: { timeout: 20_000 },
  workers: 1,
  retries: process.env.CI ? 1 : 0,
  reporter: [["list"], ["./support/reporter.ts"]],
  outputDir: process.env.WHARF_DASHBOARD_OUT ?? "test-results",
  use: {
    // A root user, as in containers, cannot use Chromium's sandbox.
    launchOptions: { executablePath: chromium, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] },
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
  },
});
