import { computed, signal } from "@preact/signals";
import { ApiFailure, api, data, onSessionExpired, type Schemas } from "./client";

export type Session = Schemas["CurrentSession"];
export type Capability = keyof Session["server"]["engines"][number]["capabilities"];
export type Scope = "admin" | "devices:read" | "devices:write" | "messages:read" | "messages:send" | "events:read" | "chat:read" | "chat:write";

/** `undefined` until the first answer, `null` when signed out. */
export const session = signal<Session | null | undefined>(undefined);
/** The daemon could not be asked for the session. */
export const sessionFailure = signal<ApiFailure | null>(null);
/** The session ended while the page was in use. */
export const isExpired = signal(false);
/** The daemon was upgraded since this page was loaded. */
export const isOutdated = signal(false);
/** The daemon's clock minus the browser's. */
export const clockOffset = signal(0);

const scopes = computed(() => new Set(session.value?.key.scopes ?? []));

export function allows(scope: Scope): boolean {
  return scopes.value.has("admin") || scopes.value.has(scope);
}

/** True for a key with `admin` that is not limited to some devices. */
export function isFullAdmin(): boolean {
  return scopes.value.has("admin") && !session.value?.key.devices;
}

export function capability(engine: string, name: Capability): boolean {
  return session.value?.server.engines.find((known) => known.name === engine)?.capabilities[name] ?? false;
}

export const serverNow = (): number => Date.now() + clockOffset.value;

let resume: (() => void) | undefined;
let renewal: Promise<void> | undefined;

onSessionExpired(() => {
  isExpired.value = session.value !== null;
  renewal ??= new Promise((resolve) => {
    resume = resolve;
  });
  return renewal;
});

function accept(next: Session, asked: number): void {
  const known = session.value?.server.version;
  if (known && known !== next.server.version) isOutdated.value = true;
  clockOffset.value = next.server.time - (asked + Date.now()) / 2;
  session.value = next;
  sessionFailure.value = null;
  isExpired.value = false;
  resume?.();
  resume = renewal = undefined;
}

export async function loadSession(): Promise<void> {
  const asked = Date.now();
  try {
    accept(await data(api.GET("/api/v1/session")), asked);
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 401) {
      if (session.value) isExpired.value = true;
      else session.value = null;
      return;
    }
    if (!session.value) sessionFailure.value = error as ApiFailure;
  }
}

export async function signIn(apiKey: string): Promise<void> {
  const asked = Date.now();
  accept(await data(api.POST("/api/v1/session", { body: { apiKey } })), asked);
}

/** Ends the session and drops everything that the page holds. */
export async function signOut(): Promise<void> {
  await data(api.DELETE("/api/v1/session"));
  location.hash = "";
  location.reload();
}
