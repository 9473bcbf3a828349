import type { CDPSession, Locator, Page } from "@playwright/test";
import { Daemon } from "./support/daemon.ts";
import { expect, open, signIn, test } from "./support/fixtures.ts";
import { PushService } from "./support/push_service.ts";

const CHAT = "15550100001@c.us";

/** Debian's Chromium has no push service, so the browser's own subscription is replaced by one at the test's. */
async function subscribeAt(page: Page, service: PushService): Promise<void> {
  await page.addInitScript(({ endpoint, keys }) => {
    let current: object | null = null;
    const subscription = { endpoint, toJSON: () => ({ endpoint, keys }), unsubscribe: async () => ((current = null), true) };
    PushManager.prototype.subscribe = async (options) => {
      Object.assign(globalThis, { subscribedWith: options });
      current = subscription;
      return subscription as unknown as PushSubscription;
    };
    PushManager.prototype.getSubscription = async () => current as PushSubscription | null;
  }, service.subscription);
}

const cardOf = (page: Page): Locator => page.locator("section", { has: page.getByRole("heading", { name: "This browser" }) });

/** The worker's registration, once the browser has announced it. */
async function registrationOf(session: CDPSession): Promise<string> {
  const registrations: { registrationId: string }[] = [];
  session.on("ServiceWorker.workerRegistrationUpdated", (event: { registrations: typeof registrations }) => registrations.push(...event.registrations));
  await session.send("ServiceWorker.enable");
  await expect.poll(() => registrations.length).toBeGreaterThan(0);
  return registrations.at(-1)!.registrationId;
}

test.beforeAll(async ({ daemon }) => {
  await daemon.linkedDevice("bell", "Bell");
  await daemon.incoming("bell", "before push");
  await daemon.call("/notifications/rules", { name: "Orders", match: { events: ["message"], text: "order" }, actions: ["push"] });
});

test("notification of a rule is pushed and its click opens the chat", async ({ page, context, daemon }) => {
  const service = await PushService.start();
  try {
    await context.grantPermissions(["notifications"], { origin: daemon.url });
    await subscribeAt(page, service);
    await signIn(page, daemon.url);
    await open(page, daemon.url, "notifications");
    const card = cardOf(page);
    await card.getByRole("button", { name: "Enable" }).click();
    await expect(card).toContainText("Notifications reach this browser.");
    const { publicKey } = await daemon.call<{ publicKey: string }>("/notifications/push/key");
    expect(await page.evaluate(() => (globalThis as unknown as { subscribedWith: unknown }).subscribedWith)).toEqual({ userVisibleOnly: true, applicationServerKey: publicKey });

    await daemon.incoming("bell", "a new order");
    await expect.poll(() => service.received.length).toBe(1);
    expect(service.received[0]!.headers["content-encoding"]).toBe("aes128gcm");
    expect(service.received[0]!.headers.authorization).toContain(`k=${publicKey}`);

    const session = await context.newCDPSession(page);
    const registrationId = await registrationOf(session);
    await session.send("ServiceWorker.deliverPushMessage", { origin: daemon.url, registrationId, data: service.received[0]!.text });
    const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent("serviceworker"));
    const shown = () => worker.evaluate(async () => {
      const { registration } = globalThis as unknown as { registration: ServiceWorkerRegistration };
      return (await registration.getNotifications()).map(({ title, body, data }) => ({ title, body, data: data as unknown }));
    });
    await expect.poll(shown).toHaveLength(1);
    expect((await shown())[0]).toMatchObject({ body: expect.stringContaining("a new order"), data: { deviceId: "bell", chatId: CHAT } });

    // The click is dispatched, because a headless browser shows no notification to click on.
    await worker.evaluate(async () => {
      const scope = globalThis as unknown as EventTarget & { registration: ServiceWorkerRegistration; NotificationEvent: new (type: string, init: object) => Event };
      const [notification] = await scope.registration.getNotifications();
      scope.dispatchEvent(new scope.NotificationEvent("notificationclick", { notification }));
    });
    await expect(page).toHaveURL(`${daemon.url}/#/devices/bell/chats/${encodeURIComponent(CHAT)}`);
    await expect(page.locator("[data-message]", { hasText: "a new order" })).toBeVisible();
    await expect.poll(shown).toHaveLength(0);

    await open(page, daemon.url, "notifications");
    await card.getByRole("button", { name: "Disable" }).click();
    await expect(card.getByRole("button", { name: "Enable" })).toBeVisible();
    expect(await daemon.call<unknown[]>("/notifications/push")).toEqual([]);
  } finally {
    await service.stop();
  }
});

test("blocked notifications are explained", async ({ page, context, daemon }) => {
  await context.clearPermissions();
  await page.addInitScript(() => Object.defineProperty(Notification, "permission", { get: () => "denied" }));
  await signIn(page, daemon.url);
  await open(page, daemon.url, "notifications");
  const card = cardOf(page);
  await expect(card).toContainText("Notifications are blocked.");
  await expect(card.getByRole("button")).toHaveCount(0);
});

test("plain http beyond this machine says why push is missing", async ({ playwright, launchOptions }) => {
  const daemon = await Daemon.start({ WHARF__SERVER__PUBLIC_URL: "http://wharf.test:{port}" });
  const args = [...(launchOptions.args ?? []), "--no-proxy-server", "--host-resolver-rules=MAP wharf.test 127.0.0.1"];
  const browser = await playwright.chromium.launch({ ...launchOptions, args });
  try {
    const page = await browser.newPage();
    const url = `http://wharf.test:${daemon.port}`;
    await signIn(page, url);
    await open(page, url, "notifications");
    const card = cardOf(page);
    await expect(card).toContainText("Push needs https or localhost.");
    await expect(card.getByRole("button")).toHaveCount(0);
  } finally {
    await browser.close();
    await daemon.stop();
  }
});
