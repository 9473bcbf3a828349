import type { Device } from "../api/fleet";
import { waitsForPasskey } from "../api/passkey";
import { type Key, t, tMaybe } from "../i18n";
import type { Tone } from "../ui/basics";

const TONES: Record<Device["state"] | "passkey", Tone> = {
  ready: "good", qr: "info", passkey: "info", pairing: "info", connecting: "info", reconnecting: "warn",
  created: "", stopped: "", logged_out: "warn", failed: "bad",
};

export const stateTone = (state: Device["state"]): Tone => TONES[state] ?? "";
export const stateName = (state: Device["state"]): string => tMaybe(`deviceState.${state}`) ?? state;

/** What a person does while the device is being linked. */
export function linkingAdvice(state: Device["state"]): string | undefined {
  if (state === "qr") return t("device.scanNow");
  return waitsForPasskey({ state }) ? t("device.signNow") : undefined;
}

/** What happened, and what to do about it. */
export function reasonWords(code: string | undefined): { what: string; todo: string } | undefined {
  if (!code) return undefined;
  const what = tMaybe(`reason.${code}`);
  return what ? { what, todo: tMaybe(`reason.${code}.do`) ?? "" } : { what: t("reason.unknown", { code }), todo: "" };
}

export function phone(number: string | null | undefined): string {
  if (!number) return "";
  return number.startsWith("+") ? number : `+${number}`;
}

export const healthTone = (status: string): Tone => (status === "healthy" ? "good" : status === "warning" ? "warn" : "bad");
export const healthName = (status: string): string => tMaybe(`health.${status}`) ?? status;
export const engineName = (engine: string): string => tMaybe(`engine.${engine}` as Key) ?? engine;
