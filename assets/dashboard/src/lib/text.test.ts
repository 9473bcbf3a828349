import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readableId, spans, visible } from "./text";

test("marks of WhatsApp become spans", () => {
  expect(spans("a *b* _c_ ~d~ `e`")).toEqual([
    { text: "a " }, { text: "b", mark: "bold" }, { text: " " }, { text: "c", mark: "italic" }, { text: " " }, { text: "d", mark: "strike" }, { text: " " }, { text: "e", mark: "code" },
  ]);
});

test("marks inside of words stay text", () => {
  expect(spans("2*3*4 snake_case_name")).toEqual([{ text: "2*3*4 snake_case_name" }]);
});

test("only http and https become links", () => {
  const links = (text: string) => spans(text).filter((span) => span.link).map((span) => span.link);
  expect(links("see https://example.com/a?b=1, or http://example.org.")).toEqual(["https://example.com/a?b=1", "http://example.org"]);
  expect(links("javascript:alert(1) data:text/html,x file:///etc/passwd ftp://example.com")).toEqual([]);
});

test("spans together are the whole text", () => {
  const text = "*a* https://example.com/x_y_z) `c` <b>&amp;</b>";
  expect(spans(text).map((span) => (span.mark ? "" : span.text)).join("")).toContain("<b>&amp;</b>");
});

test("control characters of a name are visible", () => {
  expect(visible("a\u202Eb\u0000")).toBe("a⟨U+202E⟩b⟨U+0000⟩");
});

test("chat id is shown as a number where it is one", () => {
  expect(readableId("15550100001@c.us")).toBe("+15550100001");
  expect(readableId("123@g.us")).toBe("123@g.us");
});

test("no source file inserts HTML or uses eval", () => {
  const root = join(import.meta.dirname, "..");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) => /\.tsx?$/.test(file) && !file.endsWith(".test.ts") && !file.endsWith(".d.ts"));
  expect(files.length).toBeGreaterThan(20);
  for (const file of files) {
    expect(readFileSync(join(root, file), "utf8"), file).not.toMatch(/dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/);
  }
});
