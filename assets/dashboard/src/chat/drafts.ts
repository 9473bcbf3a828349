const MAX_KEPT = 200;

/** What is written but not sent in a chat. */
export interface Draft {
  text: string;
  files: File[];
}

const EMPTY: Draft = { text: "", files: [] };
/** By device and chat, in memory only; the oldest is dropped first. */
const drafts = new Map<string, Draft>();

const keyOf = (deviceId: string, chatId: string): string => `${deviceId} ${chatId}`;

export function draft(deviceId: string, chatId: string): Draft {
  return drafts.get(keyOf(deviceId, chatId)) ?? EMPTY;
}

export function keepDraft(deviceId: string, chatId: string, change: Partial<Draft>): void {
  const key = keyOf(deviceId, chatId);
  const next = { ...draft(deviceId, chatId), ...change };
  drafts.delete(key);
  if (next.text || next.files.length > 0) drafts.set(key, next);
  if (drafts.size > MAX_KEPT) drafts.delete(drafts.keys().next().value!);
}
