import { signal } from "@preact/signals";
import { ApiFailure, api, data, type Schemas } from "../api/client";
import { allows, session } from "../api/session";
import { basePath } from "../lib/base";
import { InboxLines, type InboxLine } from "./inbox_lines";

export type InboxConversation = Schemas["InboxConversation"];
type ChatMessage = Schemas["ChatMessage"];

const PAGE = 100;
const REOPEN_MS = 15_000;
/** Events of the chat log that change what is shown. */
const EVENTS = ["conversation:created", "conversation:assigned", "conversation:closed", "conversation:opened", "conversation:note", "chat:message", "chat:message_deleted"];

/** The workflow of an open chat that belongs to an inbox: assignee, state, internal notes and system messages. */
export class Inbox {
  /** Undefined while the chat belongs to no inbox that the key may read. */
  readonly conversation = signal<InboxConversation | undefined>(undefined);
  /** Notes and system messages, oldest first. */
  readonly lines = signal<readonly InboxLine[]>([]);
  readonly #lines = new InboxLines();
  #older: string | undefined;
  #source: EventSource | undefined;
  #reopening: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly deviceId: string,
    readonly chatId: string,
  ) {}

  /** Follows the chat log; returns how to stop. Nothing is asked while operator chat is off. */
  follow(): () => void {
    if (!session.value?.server.operatorChat || !allows("chat:read")) return () => undefined;
    this.#open();
    return () => {
      clearTimeout(this.#reopening);
      this.#source?.close();
      this.#source = undefined;
    };
  }

  /** Opens the stream before the first page is read, so that no change is missed in between. */
  #open(): void {
    const source = new EventSource(`${basePath}/api/v1/conversations/events`);
    this.#source = source;
    source.addEventListener("resync", () => void this.load());
    for (const name of EVENTS) source.addEventListener(name, (event) => this.#apply(name, event));
    source.addEventListener("error", () => {
      // A refused stream, such as one too many, does not reconnect by itself.
      if (source.readyState === EventSource.CLOSED) this.#reopening = setTimeout(() => this.#open(), REOPEN_MS);
    });
    void this.load();
  }

  async load(): Promise<void> {
    try {
      const query = { device: this.deviceId, chat: this.chatId, limit: 1 };
      const [found] = (await data(api.GET("/api/v1/conversations", { params: { query } }))).conversations;
      this.conversation.value = found && "deviceId" in found ? found : undefined;
      if (!this.conversation.value) return;
      this.#lines.clear();
      this.#older = undefined;
      await this.#page();
    } catch (error) {
      // A refusal means that nothing of an inbox is shown; after a failure the next event tries again.
      if (error instanceof ApiFailure && (error.status === 403 || error.status === 404)) this.conversation.value = undefined;
    }
  }

  /** Loads older notes until they are as old as the oldest message that is shown. */
  async loadSince(timestamp: number): Promise<void> {
    const isMissing = () => this.#older !== undefined && this.#lines.oldest() > timestamp;
    for (let page = 0; page < 10 && isMissing(); page += 1) await this.#page().catch(() => undefined);
  }

  async assign(user: string | null): Promise<void> {
    await this.#change(data(api.POST("/api/v1/conversations/{conversationId}/assign", { ...this.#path(), body: { user } })));
  }

  async setOpen(isOpen: boolean): Promise<void> {
    await this.#change(isOpen
      ? data(api.POST("/api/v1/conversations/{conversationId}/open", this.#path()))
      : data(api.POST("/api/v1/conversations/{conversationId}/close", this.#path())));
  }

  async addNote(content: string): Promise<void> {
    this.#put(await data(api.POST("/api/v1/conversations/{conversationId}/notes", { ...this.#path(), body: { content } })));
  }

  #path() {
    return { params: { path: { conversationId: this.conversation.value!.id } } };
  }

  async #change(call: Promise<InboxConversation>): Promise<void> {
    this.conversation.value = await call;
  }

  async #page(): Promise<void> {
    const page = await data(api.GET("/api/v1/conversations/{conversationId}/messages", {
      params: { path: { conversationId: this.conversation.value!.id }, query: { limit: PAGE, cursor: this.#older } },
    }));
    this.#older = page.nextCursor ?? undefined;
    this.#lines.add(page.messages);
    this.#publish();
  }

  #put(message: ChatMessage): void {
    this.#lines.add([message]);
    this.#publish();
  }

  #publish(): void {
    this.lines.value = this.#lines.sorted();
  }

  #apply(name: string, event: Event): void {
    const payload = parsed((event as MessageEvent<string>).data);
    if (!payload || this.#source === undefined) return;
    const known = this.conversation.value;
    if (!known) {
      if (name === "conversation:created" && payload.deviceId === this.deviceId) void this.load();
      return;
    }
    if (payload.conversationId !== known.id) return;
    if (name === "conversation:assigned") this.conversation.value = { ...known, assignee: payload.assignee ?? null };
    if (name === "conversation:closed") this.conversation.value = { ...known, state: "closed" };
    if (name === "conversation:opened") this.conversation.value = { ...known, state: "open" };
    if (payload.message) this.#put(payload.message);
    if (name === "chat:message_deleted" && payload.messageId) {
      this.#lines.remove(payload.messageId);
      this.#publish();
    }
  }
}

function parsed(text: string): Schemas["ConversationEvent"] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Schemas["ConversationEvent"]) : undefined;
  } catch {
    return undefined;
  }
}
