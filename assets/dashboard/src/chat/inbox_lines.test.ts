import { expect, test } from "vitest";
import type { Schemas } from "../api/client";
import { InboxLines, readLine } from "./inbox_lines";

function message(id: string, fields: Partial<Schemas["ChatMessage"]> = {}): Schemas["ChatMessage"] {
  return {
    id, conversationId: "21", senderId: "bela", content: "Ask for the number.", type: "SYSTEM", attachmentUrl: null,
    createdAt: `2026-11-22T10:00:0${id}.000Z`, deliveredAt: null, readAt: null, isRead: false,
    sender: { id: "bela", displayName: "Bela", avatar: null, role: null }, author: { id: "bela", name: "Bela" }, ...fields,
  } as Schemas["ChatMessage"];
}

test("a note has an author and a system message has none", () => {
  expect(readLine(message("1"))).toEqual({ id: "1", at: Date.parse("2026-11-22T10:00:01.000Z"), text: "Ask for the number.", author: "Bela" });
  expect(readLine(message("1", { author: { id: "system", name: "System" } }))?.author).toBeUndefined();
  expect(readLine(message("1", { type: "TEXT" }))).toBeUndefined();
  expect(readLine(message("1", { createdAt: "soon" }))).toBeUndefined();
});

test("lines are kept once each, in their order", () => {
  const lines = new InboxLines();
  lines.add([message("3"), message("2"), message("1", { type: "TEXT" })]);
  lines.add([message("2")]);
  expect(lines.sorted().map((line) => line.id)).toEqual(["2", "3"]);
  expect(lines.oldest()).toBe(Date.parse("2026-11-22T10:00:01.000Z"));
  lines.remove("3");
  expect(lines.sorted().map((line) => line.id)).toEqual(["2"]);
});
