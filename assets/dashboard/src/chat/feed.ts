import { signal } from "@preact/signals";
import { api, body } from "../api/client";
import { allows } from "../api/session";
import { type Connection, connect, type LiveEvent } from "../api/socket";
import { EventCursor } from "./event_cursor";

const PAGE = 100;
const NOTICE_AFTER_MS = 3000;

interface Listener {
  onEvent: (event: LiveEvent) => void;
  /** The state must be loaded again over REST. */
  onReload: () => void;
}

/** The events of one device, each logged one once and in order, for the chat list and the open conversation. */
export class DeviceFeed {
  readonly isConnected = signal(false);
  /** Disconnected for longer than a moment. */
  readonly isInterrupted = signal(false);
  readonly #cursor = new EventCursor();
  readonly #listeners = new Set<Listener>();
  #connection: Connection | undefined;
  #notice: ReturnType<typeof setTimeout> | undefined;
  #isFilling = false;
  #wasConnected = false;

  constructor(readonly deviceId: string) {}

  open(): void {
    if (!allows("events:read")) return;
    // Without a first connection (a proxy that passes no WebSockets) the pages poll, and nothing is interrupted.
    this.#connection = connect(
      `/device/${this.deviceId}`,
      { onEvent: (event) => this.#receive(event), onConnection: (isConnected) => this.#setConnected(isConnected) },
      () => this.#cursor.seq,
    );
  }

  close(): void {
    clearTimeout(this.#notice);
    this.#connection?.close();
    this.#listeners.clear();
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: string, payload: unknown): void {
    this.#connection?.emit(event, payload);
  }

  #setConnected(isConnected: boolean): void {
    if (this.isConnected.value === isConnected) return;
    this.isConnected.value = isConnected;
    if (!isConnected) {
      this.#expectConnection();
      return;
    }
    clearTimeout(this.#notice);
    this.isInterrupted.value = false;
    // Without a position the events of the interruption are unknown.
    if (this.#wasConnected && this.#cursor.seq === undefined) this.#reload();
    if (!this.#wasConnected) this.#reload();
    this.#wasConnected = true;
  }

  #expectConnection(): void {
    clearTimeout(this.#notice);
    this.#notice = setTimeout(() => {
      this.isInterrupted.value = true;
    }, NOTICE_AFTER_MS);
  }

  #receive(event: LiveEvent): void {
    if (event.type === "resync") {
      this.#cursor.reset();
      this.#reload();
      return;
    }
    if (event.seq === undefined) {
      this.#emit([event]);
      return;
    }
    this.#emit(this.#cursor.accept(event));
    if (this.#cursor.gapAfter !== undefined) void this.#fillGap();
  }

  /** Reads missing entries from the log. Some numbers have no entry for this client, so a gap can be empty. */
  async #fillGap(): Promise<void> {
    if (this.#isFilling) return;
    this.#isFilling = true;
    try {
      while (this.#cursor.gapAfter !== undefined) {
        const after = this.#cursor.gapAfter;
        const page = await body(api.GET("/api/v1/devices/{id}/events", { params: { path: { id: this.deviceId }, query: { after, limit: PAGE } }, parseAs: "json" }));
        if (typeof page === "string") break;
        if (page.resync || this.#cursor.isOverfull) {
          this.#cursor.reset();
          this.#reload();
          break;
        }
        const entries = page.data.map((entry): LiveEvent => ({
          type: entry.type, seq: entry.seq, timestamp: entry.timestamp, deviceId: this.deviceId, payload: entry.payload as Record<string, unknown>,
        }));
        this.#emit(this.#cursor.fill(entries, page.hasMore ? page.nextAfter : Math.max(page.nextAfter, page.newestSeq)));
      }
    } catch {
      this.#cursor.reset();
      this.#reload();
    } finally {
      this.#isFilling = false;
    }
  }

  #emit(events: LiveEvent[]): void {
    for (const event of events) for (const listener of this.#listeners) listener.onEvent(event);
  }

  #reload(): void {
    for (const listener of this.#listeners) listener.onReload();
  }
}
