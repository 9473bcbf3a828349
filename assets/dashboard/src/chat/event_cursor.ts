import type { LiveEvent } from "../api/socket";

const MAX_WAITING = 1000;

/**
 * Passes each logged event on once, in the order of `seq`. Events after a gap wait until the gap is filled.
 * Ephemeral events have no `seq` and do not go through it.
 */
export class EventCursor {
  #seq: number | undefined;
  readonly #waiting = new Map<number, LiveEvent>();

  /** The last `seq` that was passed on. */
  get seq(): number | undefined {
    return this.#seq;
  }

  /** The position after which entries are missing, if any are. */
  get gapAfter(): number | undefined {
    return this.#waiting.size > 0 ? this.#seq : undefined;
  }

  /** More events wait than the cursor holds: reload over REST. */
  get isOverfull(): boolean {
    return this.#waiting.size > MAX_WAITING;
  }

  /** The events that can be applied now. */
  accept(event: LiveEvent): LiveEvent[] {
    if (event.seq === undefined) return [];
    this.#seq ??= event.seq - 1;
    if (event.seq > this.#seq) this.#waiting.set(event.seq, event);
    return this.#release();
  }

  /** Entries of the log up to `until`: numbers that are not among them have no entry for this client. */
  fill(entries: LiveEvent[], until: number): LiveEvent[] {
    for (const entry of entries) {
      if (entry.seq !== undefined && entry.seq > (this.#seq ?? 0)) this.#waiting.set(entry.seq, entry);
    }
    const released: LiveEvent[] = [];
    while ((this.#seq ?? 0) < until) {
      released.push(...this.#release());
      if ((this.#seq ?? 0) >= until) break;
      const next = Math.min(until + 1, ...this.#waiting.keys());
      this.#seq = next - 1;
    }
    released.push(...this.#release());
    return released;
  }

  /** Starts again without a position, after `resync`. */
  reset(): void {
    this.#seq = undefined;
    this.#waiting.clear();
  }

  #release(): LiveEvent[] {
    const released: LiveEvent[] = [];
    for (let next = this.#waiting.get((this.#seq ?? 0) + 1); next; next = this.#waiting.get((this.#seq ?? 0) + 1)) {
      this.#waiting.delete(next.seq!);
      this.#seq = next.seq;
      released.push(next);
    }
    return released;
  }
}
