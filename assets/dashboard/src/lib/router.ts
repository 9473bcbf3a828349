import { signal } from "@preact/signals";

/** The parts of the hash route, decoded: `#/devices/shop` is `["devices", "shop"]`. */
export const route = signal<string[]>(parseHash(globalThis.location?.hash ?? ""));

export function parseHash(hash: string): string[] {
  return hash.replace(/^#?\/?/, "").split("/").filter(Boolean).map(decode);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** A hash URL of the given parts. */
export function href(...parts: string[]): string {
  return `#/${parts.map((part) => encodeURIComponent(part).replaceAll("%40", "@")).join("/")}`;
}

export function navigate(...parts: string[]): void {
  location.hash = href(...parts);
}

/** Replaces the current history entry. */
export function redirect(...parts: string[]): void {
  history.replaceState(null, "", href(...parts));
  route.value = parts;
}

export function followHash(): void {
  addEventListener("hashchange", () => {
    route.value = parseHash(location.hash);
  });
}
