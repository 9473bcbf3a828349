import { signal } from "@preact/signals";
import { ApiFailure, api, body, data, type Schemas } from "../api/client";
import type { LiveEvent } from "../api/socket";
import { type Message, MessageStore, readMessage } from "./message_store";
import type { PollDraft } from "./poll_draft";
import { uploadFile } from "./upload";

const PAGE = 50;

export interface Outgoing {
  /** The idempotency key: it stays until the message is answered, so that a second try sends nothing twice. */
  key: string;
  text: string;
  file?: File;
  quoted?: Message;
  poll?: PollDraft;
  progress: number;
  state: "sending" | "failed";
  error?: unknown;
  abort?: AbortController;
  mediaId?: string;
}

function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** One open chat: its messages, what is being sent, and who types. */
export class Conversation {
  readonly messages = signal<readonly Message[]>([]);
  readonly outgoing = signal<readonly Outgoing[]>([]);
  readonly isLoaded = signal(false);
  readonly failure = signal<unknown>(null);
  readonly hasOlder = signal(false);
  readonly isLoadingOlder = signal(false);
  /** Older messages were added at the start with the last change. */
  readonly isPrepended = signal(false);
  readonly typing = signal<string | null>(null);
  readonly mergedInto = signal<string | null>(null);
  readonly #store: MessageStore;
  #older: string | undefined;
  #typingTimer: ReturnType<typeof setTimeout> | undefined;
  #isScheduled = false;

  constructor(
    readonly deviceId: string,
    readonly chatId: string,
    readonly ownId: string | undefined,
  ) {
    this.#store = new MessageStore(chatId, ownId);
  }

  get #path() {
    return { id: this.deviceId, chatId: this.chatId };
  }

  async load(): Promise<void> {
    try {
      const page = await body(api.GET("/api/v1/devices/{id}/chats/{chatId}/messages", { params: { path: this.#path, query: { limit: PAGE } } }));
      // A reload keeps older pages only if it overlaps with what is shown.
      const overlaps = page.data.some((message) => this.#store.get(message.id));
      if (overlaps) {
        this.#store.merge(page.data);
      } else {
        this.#store.replace(page.data);
        this.#older = page.pagination.cursors.older?.before;
        this.hasOlder.value = page.pagination.hasMore && this.#older !== undefined;
      }
      this.failure.value = null;
      this.isLoaded.value = true;
      this.#publish();
    } catch (error) {
      // A chat without messages does not exist yet: a first message can be sent to it.
      if (error instanceof ApiFailure && error.status === 404) this.isLoaded.value = true;
      else this.failure.value = error;
    }
  }

  async loadOlder(): Promise<void> {
    if (this.isLoadingOlder.value || !this.hasOlder.value || !this.#older) return;
    this.isLoadingOlder.value = true;
    try {
      const page = await body(api.GET("/api/v1/devices/{id}/chats/{chatId}/messages", { params: { path: this.#path, query: { limit: PAGE, before: this.#older } } }));
      this.#store.prepend(page.data);
      this.#older = page.pagination.cursors.older?.before;
      this.hasOlder.value = page.data.length > 0 && page.pagination.hasMore && this.#older !== undefined;
      this.isPrepended.value = true;
      this.#publish();
    } catch (error) {
      this.failure.value = error;
    } finally {
      this.isLoadingOlder.value = false;
    }
  }

  /** Loads older pages until the message is there; false if it is not found within the bound. */
  async loadUntil(messageId: string, maxPages = 40): Promise<boolean> {
    for (let page = 0; page < maxPages && !this.#store.get(messageId) && this.hasOlder.value; page += 1) await this.loadOlder();
    return this.#store.get(messageId) !== undefined;
  }

  get(id: string): Message | undefined {
    return this.#store.get(id);
  }

  apply(event: LiveEvent): void {
    if (event.type === "typing:start" || event.type === "typing:stop") this.#applyTyping(event);
    if (event.type === "chat:merged" && event.payload.from === this.chatId && typeof event.payload.to === "string") this.mergedInto.value = event.payload.to;
    if (!this.#store.apply(event)) return;
    if (event.type === "message") this.typing.value = null;
    // Starred messages can stay in a cleared chat.
    if (event.type === "chat:cleared") void this.load();
    this.#schedule();
  }

  /** Shows the state that a request answered, before its event arrives. */
  put(message: unknown): void {
    const read = readMessage(message);
    if (!read) return;
    this.#store.merge([read]);
    this.#schedule();
  }

  remove(id: string): void {
    this.#store.apply({ type: "message:deleted", deviceId: this.deviceId, timestamp: 0, payload: { messageId: id } });
    this.#schedule();
  }

  #applyTyping(event: LiveEvent): void {
    if (event.payload.chatId !== this.chatId) return;
    clearTimeout(this.#typingTimer);
    this.typing.value = event.type === "typing:start" && typeof event.payload.from === "string" ? event.payload.from : null;
    this.#typingTimer = setTimeout(() => {
      this.typing.value = null;
    }, 25_000);
  }

  send(text: string, options: { file?: File; quoted?: Message; poll?: PollDraft } = {}): void {
    const next: Outgoing = { key: randomKey(), text, ...options, progress: 0, state: "sending" };
    this.outgoing.value = [...this.outgoing.value, next];
    void this.#deliver(next.key);
  }

  retry(key: string): void {
    this.#change(key, { state: "sending", error: undefined });
    void this.#deliver(key);
  }

  cancel(key: string): void {
    this.outgoing.value.find((item) => item.key === key)?.abort?.abort();
    this.outgoing.value = this.outgoing.value.filter((item) => item.key !== key);
  }

  #change(key: string, change: Partial<Outgoing>): void {
    this.outgoing.value = this.outgoing.value.map((item) => (item.key === key ? { ...item, ...change } : item));
  }

  async #deliver(key: string): Promise<void> {
    const item = this.outgoing.value.find((known) => known.key === key);
    if (!item) return;
    try {
      const mediaId = item.file ? (item.mediaId ?? (await this.#upload(item))) : undefined;
      const common = { to: this.chatId, quotedMessageId: item.quoted?.id, tempId: key };
      const request = mediaId
        ? { ...common, media: { mediaId, caption: item.text || undefined, filename: item.file?.name } }
        : item.poll ? { ...common, poll: item.poll } : { ...common, text: item.text };
      const answer = await data(
        api.POST("/api/v1/devices/{id}/messages/send", { params: { path: { id: this.deviceId }, header: { "Idempotency-Key": key } }, body: request }),
      );
      this.outgoing.value = this.outgoing.value.filter((known) => known.key !== key);
      await this.#show(answer.id);
    } catch (error) {
      this.#change(key, { state: "failed", error });
    }
  }

  async #upload(item: Outgoing): Promise<string> {
    const abort = new AbortController();
    this.#change(item.key, { abort });
    const mediaId = await uploadFile(this.deviceId, item.file!, abort.signal, (progress) => this.#change(item.key, { progress }));
    this.#change(item.key, { mediaId, abort: undefined });
    return mediaId;
  }

  async #show(id: string): Promise<void> {
    if (this.#store.get(id)) return;
    this.put(await data(api.GET("/api/v1/devices/{id}/messages/{mid}", { params: { path: { id: this.deviceId, mid: id } } })).catch(() => undefined));
  }

  async react(message: Message, emoji: string): Promise<void> {
    this.put(await data(api.POST("/api/v1/devices/{id}/messages/{mid}/react", { params: { path: { id: this.deviceId, mid: message.id } }, body: { emoji } })));
  }

  async star(message: Message): Promise<void> {
    this.put(await data(api.POST("/api/v1/devices/{id}/messages/{mid}/star", { params: { path: { id: this.deviceId, mid: message.id } }, body: { star: !message.isStarred } })));
  }

  async vote(message: Message, options: string[]): Promise<void> {
    this.put(await data(api.POST("/api/v1/devices/{id}/messages/{mid}/vote", { params: { path: { id: this.deviceId, mid: message.id } }, body: { options } })));
  }

  async edit(message: Message, newText: string): Promise<void> {
    this.put(await data(api.POST("/api/v1/devices/{id}/messages/edit", { params: { path: { id: this.deviceId } }, body: { messageId: message.id, newText } })));
  }

  async delete(message: Message, forEveryone: boolean): Promise<void> {
    await data(api.POST("/api/v1/devices/{id}/messages/delete", { params: { path: { id: this.deviceId } }, body: { messageId: message.id, forEveryone } }));
    if (!forEveryone) this.remove(message.id);
  }

  /** Cancels a message that still waits to be sent. */
  async cancelQueued(message: Message): Promise<void> {
    await data(api.POST("/api/v1/devices/{id}/messages/{mid}/cancel", { params: { path: { id: this.deviceId, mid: message.id } } }));
    this.#store.apply({ type: "message:status", deviceId: this.deviceId, timestamp: 0, payload: { messageId: message.id, status: "failed", code: "cancelled" } });
    this.#schedule();
  }

  async forward(message: Message, to: string[]): Promise<void> {
    await data(api.POST("/api/v1/devices/{id}/messages/forward", { params: { path: { id: this.deviceId }, header: { "Idempotency-Key": randomKey() } }, body: { messageId: message.id, to } }));
  }

  async markRead(): Promise<void> {
    await data(api.POST("/api/v1/devices/{id}/chats/{chatId}/read", { params: { path: this.#path }, body: {} }));
  }

  async receipts(message: Message): Promise<Schemas["MessageWithReceipts"]> {
    return data(api.GET("/api/v1/devices/{id}/messages/{mid}", { params: { path: { id: this.deviceId, mid: message.id } } }));
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.isPrepended.value = false;
      this.#publish();
    });
  }

  #publish(): void {
    this.messages.value = [...this.#store.items];
  }
}
