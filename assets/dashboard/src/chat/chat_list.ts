import { signal } from "@preact/signals";
import { api, body, type Schemas } from "../api/client";
import type { LiveEvent } from "../api/socket";

export type Chat = Schemas["Chat"];
export type ChatFilter = "all" | "unread" | "groups" | "private" | "archived";

const PAGE = 100;

function compare(a: Chat, b: Chat): number {
  return Number(b.pinned) - Number(a.pinned) || b.timestamp - a.timestamp || a.id.localeCompare(b.id);
}

/** The chats of one device, loaded in pages and kept current by `chat:update`. */
export class ChatList {
  readonly chats = signal<readonly Chat[]>([]);
  readonly isLoaded = signal(false);
  readonly failure = signal<unknown>(null);
  readonly hasMore = signal(false);
  filter: ChatFilter = "all";
  search = "";
  #byId = new Map<string, Chat>();
  #isBusy = false;
  #round = 0;
  #isScheduled = false;

  constructor(readonly deviceId: string) {}

  get(id: string): Chat | undefined {
    return this.#byId.get(id);
  }

  async select(filter: ChatFilter, search: string): Promise<void> {
    this.filter = filter;
    this.search = search;
    await this.reload();
  }

  async reload(): Promise<void> {
    const count = Math.max(PAGE, Math.min(this.#byId.size, PAGE * 5));
    await this.#load(0, count, true);
  }

  async loadMore(): Promise<void> {
    if (this.#isBusy || !this.hasMore.value) return;
    await this.#load(this.#byId.size, PAGE, false);
  }

  async #load(offset: number, count: number, isFresh: boolean): Promise<void> {
    const round = isFresh ? (this.#round += 1) : this.#round;
    this.#isBusy = true;
    try {
      const found = new Map(isFresh ? [] : this.#byId);
      let hasMore = true;
      for (let at = offset; at < offset + count && hasMore; at += PAGE) {
        const query = { filter: this.filter, search: this.search || undefined, limit: PAGE, offset: at };
        const page = await body(api.GET("/api/v1/devices/{id}/chats", { params: { path: { id: this.deviceId }, query: query as never } }));
        if (round !== this.#round) return;
        for (const chat of page.data) found.set(chat.id, chat);
        hasMore = page.pagination.hasMore;
      }
      this.#byId = found;
      this.hasMore.value = hasMore;
      this.failure.value = null;
      this.isLoaded.value = true;
      this.#publish();
    } catch (error) {
      if (round === this.#round) this.failure.value = error;
    } finally {
      this.#isBusy = false;
    }
  }

  put(chat: Chat): void {
    if (this.#matches(chat)) this.#byId.set(chat.id, chat);
    else this.#byId.delete(chat.id);
    this.#schedule();
  }

  drop(id: string): void {
    if (this.#byId.delete(id)) this.#schedule();
  }

  apply(event: LiveEvent): void {
    const { payload } = event;
    if (event.type === "chat:update" && typeof payload.chat === "object" && payload.chat !== null) {
      const chat = payload.chat as Chat;
      if (typeof chat.id === "string" && typeof chat.timestamp === "number") this.put({ ...this.#byId.get(chat.id), ...chat });
    }
    if (event.type === "chat:deleted" && typeof payload.chatId === "string") this.drop(payload.chatId);
    if (event.type === "chat:merged" && typeof payload.from === "string") this.drop(payload.from);
  }

  /** A search finds by more than the name, so an unknown chat stays out until the next load. */
  #matches(chat: Chat): boolean {
    if (this.search) return this.#byId.has(chat.id);
    if (this.filter === "archived") return chat.archived;
    if (chat.archived) return false;
    if (this.filter === "unread") return chat.unreadCount > 0;
    if (this.filter === "groups") return chat.isGroup;
    return this.filter !== "private" || !chat.isGroup;
  }

  /** One publication for all events of a frame. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#publish();
    });
  }

  #publish(): void {
    this.chats.value = [...this.#byId.values()].sort(compare);
  }
}
