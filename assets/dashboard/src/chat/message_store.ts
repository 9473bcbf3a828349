import type { Schemas } from "../api/client";
import type { LiveEvent } from "../api/socket";

export type ApiMessage = Schemas["Message"];
export interface Message extends ApiMessage {
  /** Why it failed. */
  failure?: { code?: string; text?: string };
}

type Fields = Record<string, unknown>;
const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Levels never decrease; -1 overrides 0 and 1 and is then final. */
export function raisedAck(old: number, next: number): number {
  if (old === -1) return -1;
  if (next === -1) return old <= 1 ? -1 : old;
  return Math.max(old, next);
}

/** A message with the fields that the page needs, else undefined. */
export function readMessage(value: unknown): ApiMessage | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Fields;
  if (typeof fields.id !== "string" || typeof fields.chatId !== "string" || typeof fields.timestamp !== "number") return undefined;
  const message = value as ApiMessage;
  return {
    ...message,
    body: text(fields.body),
    type: typeof fields.type === "string" ? message.type : "unknown",
    ack: typeof fields.ack === "number" ? fields.ack : 0,
    reactions: Array.isArray(fields.reactions) ? message.reactions : [],
  };
}

/**
 * The messages of one chat in time order. Entries of the log are applied in the order of `seq`; applying an entry
 * that the state already includes changes nothing in the end, so a page of REST can be newer than the entries after it.
 */
export class MessageStore {
  #items: Message[] = [];
  readonly #byId = new Map<string, Message>();

  constructor(
    readonly chatId: string,
    readonly ownId: string | undefined,
  ) {}

  get items(): readonly Message[] {
    return this.#items;
  }

  get(id: string): Message | undefined {
    return this.#byId.get(id);
  }

  /** Replaces everything by a page of REST. */
  replace(page: ApiMessage[]): void {
    this.#byId.clear();
    this.#items = [];
    for (const message of page) this.#append(message);
  }

  /** Adds a page of REST; known messages take its state. */
  merge(page: ApiMessage[]): void {
    for (const message of page) {
      if (this.#byId.has(message.id)) this.#update(message.id, message);
      else this.#insert(message);
    }
  }

  /** Adds an older page before everything else. */
  prepend(page: ApiMessage[]): void {
    const fresh = page.filter((message) => !this.#byId.has(message.id));
    this.#items = [...fresh, ...this.#items];
    for (const message of fresh) this.#byId.set(message.id, message);
  }

  /** True if the entry changed this chat. */
  apply(event: LiveEvent): boolean {
    const { payload } = event;
    const id = text(payload.messageId);
    switch (event.type) {
      case "message":
      case "message:created":
        return this.#put(readMessage(payload.message));
      case "message:edited":
      case "message:revoked":
        return this.#replaceContent(readMessage(payload.message));
      case "message:ack":
      case "message-ack":
        return typeof payload.ack === "number" && this.#update(id, { ack: payload.ack });
      case "message:status":
        return payload.status === "failed" && this.#update(id, { ack: -1, failure: { code: text(payload.code), text: text(payload.error) } });
      case "message:reaction":
        return this.#react(id, text(payload.from), text(payload.emoji));
      case "message:starred":
        return this.#update(id, { isStarred: payload.isStarred === true });
      case "poll:vote":
        return this.#vote(id, text(payload.voter), payload.options, event.timestamp);
      case "message:deleted":
        return this.#remove(id);
      case "chat:cleared":
      case "chat:deleted":
        return payload.chatId === this.chatId && this.#clear();
      default:
        return false;
    }
  }

  #put(message: ApiMessage | undefined): boolean {
    if (!message || message.chatId !== this.chatId) return false;
    if (this.#byId.has(message.id)) return this.#update(message.id, { ack: message.ack });
    this.#insert(message);
    return true;
  }

  #replaceContent(message: ApiMessage | undefined): boolean {
    return message !== undefined && this.#update(message.id, message);
  }

  #react(id: string, from: string, emoji: string): boolean {
    const old = this.#byId.get(id);
    if (!old) return false;
    const others = old.reactions.filter((reaction) => reaction.from !== from);
    const reactions = emoji ? [...others, { emoji, from, fromMe: from === this.ownId }] : others;
    return this.#update(id, { reactions });
  }

  #vote(id: string, voter: string, options: unknown, timestamp: number): boolean {
    const poll = this.#byId.get(id)?.poll;
    if (!poll || !Array.isArray(options)) return false;
    const chosen = options.filter((option): option is string => typeof option === "string");
    const others = poll.votes.filter((vote) => vote.voter !== voter);
    return this.#update(id, { poll: { ...poll, votes: chosen.length > 0 ? [...others, { voter, options: chosen, timestamp }] : others } });
  }

  #update(id: string, change: Partial<Message>): boolean {
    const old = this.#byId.get(id);
    if (!old) return false;
    const next = { ...old, ...change, ack: raisedAck(old.ack, change.ack ?? old.ack) };
    // The place in the list stays: edits keep the time of the message.
    next.timestamp = old.timestamp;
    this.#byId.set(id, next);
    this.#items = this.#items.with(this.#indexOf(old), next);
    return true;
  }

  #indexOf(message: Message): number {
    return this.#items.lastIndexOf(message);
  }

  #append(message: ApiMessage): void {
    if (this.#byId.has(message.id)) return;
    this.#byId.set(message.id, message);
    this.#items.push(message);
  }

  #insert(message: ApiMessage): void {
    let at = this.#items.length;
    while (at > 0 && this.#items[at - 1]!.timestamp > message.timestamp) at -= 1;
    this.#byId.set(message.id, message);
    this.#items = this.#items.toSpliced(at, 0, message);
  }

  #remove(id: string): boolean {
    if (!this.#byId.delete(id)) return false;
    this.#items = this.#items.filter((message) => message.id !== id);
    return true;
  }

  #clear(): boolean {
    const hadAny = this.#items.length > 0;
    this.#byId.clear();
    this.#items = [];
    return hadAny;
  }
}
