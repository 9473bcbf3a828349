import { api, data } from "../api/client";
import { session } from "../api/session";
import { basePath } from "./base";

/** Why push cannot be enabled in this browser, as the end of a key of words. */
export type PushObstacle = "insecure" | "unsupported" | "denied" | "off";

interface TrustedPolicy {
  createScriptURL: (url: string) => string;
}
interface TrustedTypes {
  createPolicy: (name: string, rules: { createScriptURL: (url: string) => string }) => TrustedPolicy;
}

let policy: TrustedPolicy | undefined;

/** The worker's URL; with Trusted Types only this one URL can be registered. */
function workerUrl(): string {
  const url = `${basePath}/sw.js`;
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  policy ??= types?.createPolicy("wharf-sw", {
    createScriptURL: (wanted) => {
      if (wanted !== url) throw new TypeError("only the service worker's URL");
      return wanted;
    },
  });
  return policy ? policy.createScriptURL(url) : url;
}

export function pushObstacle(): PushObstacle | undefined {
  if (!isSecureContext) return "insecure";
  if (!("serviceWorker" in navigator) || !("PushManager" in globalThis)) return "unsupported";
  if (!session.value?.server.push.publicKey) return "off";
  return Notification.permission === "denied" ? "denied" : undefined;
}

const registration = () => navigator.serviceWorker.getRegistration(`${basePath}/`);

export async function currentSubscription(): Promise<PushSubscription | null> {
  if (pushObstacle()) return null;
  return (await (await registration())?.pushManager.getSubscription()) ?? null;
}

/** Asks for permission and subscribes; false if the person declined. */
export async function enablePush(label: string): Promise<boolean> {
  if ((await Notification.requestPermission()) !== "granted") return false;
  const worker = await navigator.serviceWorker.register(workerUrl(), { scope: `${basePath}/` });
  await navigator.serviceWorker.ready;
  const key = await data(api.GET("/api/v1/notifications/push/key"));
  const subscription = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key.publicKey });
  const { endpoint, keys } = subscription.toJSON();
  await data(api.POST("/api/v1/notifications/push", { body: { endpoint: endpoint!, keys: { auth: keys!.auth!, p256dh: keys!.p256dh! }, label } }));
  return true;
}

export async function disablePush(): Promise<void> {
  const subscription = await currentSubscription();
  if (!subscription) return;
  const origin = new URL(subscription.endpoint).origin;
  await subscription.unsubscribe();
  // The API names a subscription by the origin of its push service only; the daemon removes an expired one by itself.
  const known = await data(api.GET("/api/v1/notifications/push"));
  const own = known.filter((entry) => entry.origin === origin);
  if (own.length === 1) await data(api.DELETE("/api/v1/notifications/push/{pid}", { params: { path: { pid: own[0]!.id } } }));
}

/** A click on a notification names the page to show. */
export function followPushClicks(): void {
  navigator.serviceWorker?.addEventListener("message", (event: MessageEvent) => {
    const hash: unknown = (event.data as { open?: unknown } | null)?.open;
    if (typeof hash === "string" && hash.startsWith("#/")) location.hash = hash;
  });
}
