import type { Schemas } from "../api/client";

export type PollDraft = Schemas["PollToSend"];
/** Limits of the API. */
export const MAX_OPTIONS = 12;
export const MAX_CHARS = 255;

/** The poll as the API accepts it, or the reason why it is incomplete. */
export function readPoll(name: string, options: readonly string[], allowMultipleAnswers: boolean): PollDraft | "tooFew" | "repeated" {
  const given = options.map((option) => option.trim()).filter(Boolean);
  if (new Set(given).size < given.length) return "repeated";
  return given.length < 2 ? "tooFew" : { name: name.trim(), options: given, allowMultipleAnswers };
}

/** An empty field follows the last answer, as long as another answer is allowed. */
export function withEmptyLast(options: readonly string[]): string[] {
  return options.at(-1) === "" || options.length >= MAX_OPTIONS ? [...options] : [...options, ""];
}
