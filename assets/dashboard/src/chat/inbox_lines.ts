import type { Schemas } from "../api/client";

type ChatMessage = Schemas["ChatMessage"];

/** An internal note, or a system message of an inbox. The network has neither. */
export interface InboxLine {
  id: string;
  at: number;
  text: string;
  /** The author of a note; a system message has none. */
  author: string | undefined;
}

const SYSTEM_AUTHOR = "system";
const NOTE_PREFIX = "📝 ";

/** Notes and system messages by id; other messages come with the device's own list. */
export class InboxLines {
  readonly #lines = new Map<string, InboxLine>();
  #oldest = Number.POSITIVE_INFINITY;

  add(messages: readonly ChatMessage[]): void {
    for (const message of messages) {
      const line = readLine(message);
      this.#oldest = Math.min(this.#oldest, Date.parse(message.createdAt));
      if (line) this.#lines.set(line.id, line);
    }
  }

  remove(id: string): void {
    this.#lines.delete(id);
  }

  clear(): void {
    this.#lines.clear();
    this.#oldest = Number.POSITIVE_INFINITY;
  }

  /** The time of the oldest message that was read, of any type. */
  oldest(): number {
    return this.#oldest;
  }

  sorted(): InboxLine[] {
    return [...this.#lines.values()].sort((a, b) => a.at - b.at || Number(a.id) - Number(b.id));
  }
}

/** A message of the type `SYSTEM`, else undefined. */
export function readLine(message: ChatMessage): InboxLine | undefined {
  const at = Date.parse(message.createdAt);
  if (message.type !== "SYSTEM" || typeof message.content !== "string" || Number.isNaN(at)) return undefined;
  const isSystem = message.author?.id === SYSTEM_AUTHOR;
  const text = message.content.startsWith(NOTE_PREFIX) ? message.content.slice(NOTE_PREFIX.length) : message.content;
  return { id: message.id, at, text, author: isSystem ? undefined : (message.author?.name ?? message.sender.displayName) };
}
