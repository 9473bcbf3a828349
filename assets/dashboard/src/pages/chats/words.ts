import { basePath } from "../../lib/base";
import type { Device } from "../../api/fleet";
import { allows, capability, type Capability } from "../../api/session";
import { t, tMaybe } from "../../i18n";
import type { Message } from "../../chat/message_store";

/** One line that stands for a message, in the chat list and in quotes. */
export function summary(message: { type: string; body: string }): string {
  if (message.type === "chat") return message.body;
  const kind = tMaybe(`type.${message.type}`) ?? t("type.unknown");
  return message.body ? `${kind}: ${message.body}` : kind;
}

export function ackName(ack: number): string {
  return tMaybe(`ack.${ack}`) ?? "";
}

export function failureWords(message: Message): string {
  const code = message.failure?.code;
  const what = code ? tMaybe(`messageCode.${code}`) : undefined;
  if (what) return `${what} ${tMaybe(`messageCode.${code}.do`) ?? ""}`.trim();
  return message.failure?.text || t("message.failed");
}

/** Why an action is disabled, or undefined. */
export function refusal(engine: string, needed: Capability): string | undefined {
  return capability(engine, needed) ? undefined : t("message.notSupported");
}

export const maySend = (): boolean => allows("messages:send");

/** The picture of a chat; the network is asked only while the device is connected. */
export function pictureUrl(device: Device | undefined, chatId: string): string | undefined {
  if (device?.state !== "ready") return undefined;
  return `${basePath}/api/v1/devices/${encodeURIComponent(device.id)}/chats/${encodeURIComponent(chatId)}/picture`;
}
