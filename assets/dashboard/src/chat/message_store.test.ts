import { describe, expect, test } from "vitest";
import type { LiveEvent } from "../api/socket";
import { EventCursor } from "./event_cursor";
import { type ApiMessage, MessageStore, raisedAck } from "./message_store";

const CHAT = "15550100001@c.us";
const OWN = "15550100099@c.us";

function message(number: number, fields: Partial<ApiMessage> = {}): ApiMessage {
  return {
    id: `m${number}`, chatId: CHAT, from: CHAT, to: OWN, fromMe: number % 2 === 0, body: `text ${number}`, type: "chat", timestamp: 1000 + number, ack: 0,
    hasMedia: false, reactions: [], mentionedIds: [], isForwarded: false, isStarred: false, isEdited: false, notifyName: "Ada", ...fields,
  } as ApiMessage;
}

/** Random numbers that are the same in each run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}

function shuffled<T>(list: T[], next: () => number): T[] {
  const result = [...list];
  for (let at = result.length - 1; at > 0; at -= 1) {
    const other = Math.floor(next() * (at + 1));
    [result[at], result[other]] = [result[other]!, result[at]!];
  }
  return result;
}

/** A log of a chat's life, and the state that REST answers after each entry. */
function history(next: () => number, length: number): { log: LiveEvent[]; states: ApiMessage[][] } {
  const log: LiveEvent[] = [];
  const states: ApiMessage[][] = [];
  let state: ApiMessage[] = [];
  let number = 0;
  const change = (id: string, fields: (old: ApiMessage) => Partial<ApiMessage>) => {
    state = state.map((old) => (old.id === id ? { ...old, ...fields(old) } : old));
  };
  while (log.length < length) {
    const kind = state.length < 3 ? 0 : Math.floor(next() * 8);
    const target = state[Math.floor(next() * state.length)];
    const id = target?.id ?? "";
    let type = "message";
    let payload: Record<string, unknown> = {};
    if (kind <= 1 || !target) {
      number += 1;
      const added = message(number);
      type = added.fromMe ? "message:created" : "message";
      payload = { message: added };
      state = [...state, added];
    } else if (kind === 2) {
      const ack = Math.max(target.ack, Math.floor(next() * 5));
      type = "message:ack";
      payload = { messageId: id, chatId: CHAT, ack };
      change(id, (old) => ({ ack: raisedAck(old.ack, ack) }));
    } else if (kind === 3) {
      const from = next() < 0.5 ? OWN : CHAT;
      const emoji = next() < 0.3 ? "" : ["👍", "😂"][Math.floor(next() * 2)]!;
      type = "message:reaction";
      payload = { messageId: id, chatId: CHAT, from, emoji };
      change(id, (old) => {
        const others = old.reactions.filter((reaction) => reaction.from !== from);
        return { reactions: emoji ? [...others, { emoji, from, fromMe: from === OWN }] : others };
      });
    } else if (kind === 4) {
      type = "message:edited";
      change(id, () => ({ body: `edited ${log.length}`, isEdited: true }));
      payload = { messageId: id, chatId: CHAT, message: state.find((known) => known.id === id) };
    } else if (kind === 5) {
      type = "message:starred";
      const isStarred = next() < 0.5;
      payload = { messageId: id, chatId: CHAT, isStarred };
      change(id, () => ({ isStarred }));
    } else if (kind === 6 && next() < 0.3) {
      type = "message:deleted";
      payload = { messageId: id, chatId: CHAT };
      state = state.filter((known) => known.id !== id);
    } else {
      type = "notification";
      payload = { id: `n${log.length}` };
    }
    log.push({ type, seq: log.length + 1, deviceId: "shop", timestamp: 0, payload });
    states.push(state);
  }
  return { log, states };
}

const plain = (store: MessageStore): ApiMessage[] => store.items.map((item) => ({ ...item }));

describe("message store behind the event cursor", () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    test(`events out of order, duplicated and with gaps give the state of REST (${seed})`, () => {
      const next = random(seed);
      const { log, states } = history(next, 200);
      const joined = Math.floor(next() * 100);
      // The page of REST can be newer than the first entries that are delivered.
      const store = new MessageStore(CHAT, OWN);
      const loadedAt = Math.min(199, joined + Math.floor(next() * 20));
      store.replace(states[loadedAt]!);
      const cursor = new EventCursor();
      const apply = (events: LiveEvent[]) => {
        for (const event of events) store.apply(event);
      };
      // Positions start with the first delivered entry.
      apply(cursor.accept(log[joined]!));
      const rest = log.slice(joined + 1);
      const lost = new Set(rest.filter(() => next() < 0.1).map((event) => event.seq));
      const delivered: LiveEvent[] = [];
      for (let at = 0; at < rest.length; at += 10) {
        const window = rest.slice(at, at + 10).filter((event) => !lost.has(event.seq));
        delivered.push(...shuffled([...window, ...window.filter(() => next() < 0.3)], next));
      }
      for (const event of delivered) {
        apply(cursor.accept(event));
        if (cursor.gapAfter !== undefined && next() < 0.2) {
          const until = Math.max(event.seq ?? 0, cursor.gapAfter + 1);
          apply(cursor.fill(log.slice(cursor.gapAfter, until), until));
        }
      }
      apply(cursor.fill(log.slice(cursor.seq), log.length));
      expect(cursor.seq).toBe(log.length);
      expect(plain(store)).toEqual(states.at(-1));
    });
  }
});

describe("event cursor", () => {
  const entry = (seq: number): LiveEvent => ({ type: "message", seq, deviceId: "shop", timestamp: 0, payload: {} });

  test("duplicate is passed on once", () => {
    const cursor = new EventCursor();
    expect(cursor.accept(entry(5))).toHaveLength(1);
    expect(cursor.accept(entry(5))).toHaveLength(0);
  });

  test("entry after a gap waits until the gap is filled", () => {
    const cursor = new EventCursor();
    cursor.accept(entry(1));
    expect(cursor.accept(entry(3))).toEqual([]);
    expect(cursor.gapAfter).toBe(1);
    expect(cursor.fill([entry(2)], 3).map((event) => event.seq)).toEqual([2, 3]);
    expect(cursor.gapAfter).toBeUndefined();
  });

  test("number without an entry for this client does not block", () => {
    const cursor = new EventCursor();
    cursor.accept(entry(1));
    cursor.accept(entry(4));
    expect(cursor.fill([], 4).map((event) => event.seq)).toEqual([4]);
    expect(cursor.seq).toBe(4);
  });
});

describe("message store", () => {
  test("malformed and unknown events change nothing", () => {
    const store = new MessageStore(CHAT, OWN);
    store.replace([message(1)]);
    const event = (type: string, payload: Record<string, unknown>): LiveEvent => ({ type, seq: 1, deviceId: "shop", timestamp: 0, payload });
    for (const broken of [event("message", {}), event("message", { message: 7 }), event("message:ack", { messageId: "m1", ack: "x" }), event("unheard-of", {}), event("poll:vote", { messageId: "m1" })]) {
      expect(store.apply(broken)).toBe(false);
    }
    expect(plain(store)).toEqual([message(1)]);
  });

  test("acknowledgement never decreases and a failure is final", () => {
    expect(raisedAck(3, 1)).toBe(3);
    expect(raisedAck(1, -1)).toBe(-1);
    expect(raisedAck(2, -1)).toBe(2);
    expect(raisedAck(-1, 3)).toBe(-1);
  });

  test("message of another chat is ignored", () => {
    const store = new MessageStore(CHAT, OWN);
    expect(store.apply({ type: "message", deviceId: "shop", timestamp: 0, payload: { message: message(1, { chatId: "15550100002@c.us" }) } })).toBe(false);
  });

  test("older page is added before the rest without duplicates", () => {
    const store = new MessageStore(CHAT, OWN);
    store.replace([message(3), message(4)]);
    store.prepend([message(1), message(2), message(3)]);
    expect(store.items.map((item) => item.id)).toEqual(["m1", "m2", "m3", "m4"]);
  });
});
