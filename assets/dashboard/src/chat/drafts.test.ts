import { expect, test } from "vitest";
import { draft, keepDraft } from "./drafts";

test("draft keeps text and files of its chat only", () => {
  const file = new File(["bread"], "list.txt");
  keepDraft("desk", "a", { text: "half" });
  keepDraft("desk", "a", { files: [file] });
  expect(draft("desk", "a")).toEqual({ text: "half", files: [file] });
  expect(draft("desk", "b")).toEqual({ text: "", files: [] });
  keepDraft("desk", "a", { text: "", files: [] });
  expect(draft("desk", "a")).toEqual({ text: "", files: [] });
});

test("oldest drafts are dropped", () => {
  for (let at = 0; at <= 200; at += 1) keepDraft("desk", `chat ${at}`, { text: "x" });
  expect(draft("desk", "chat 0").text).toBe("");
  expect(draft("desk", "chat 200").text).toBe("x");
});
