import { expect, test } from "vitest";
import { readPoll, withEmptyLast } from "./poll_draft";

test("poll needs two different answers", () => {
  expect(readPoll("Day?", ["Friday", " ", ""], false)).toBe("tooFew");
  expect(readPoll("Day?", ["Friday", " Friday "], false)).toBe("repeated");
  expect(readPoll(" Day? ", ["Friday ", "", "Sunday"], true)).toEqual({ name: "Day?", options: ["Friday", "Sunday"], allowMultipleAnswers: true });
});

test("an empty answer follows the last one up to the limit", () => {
  expect(withEmptyLast(["a", "b"])).toEqual(["a", "b", ""]);
  expect(withEmptyLast(["a", ""])).toEqual(["a", ""]);
  const full = Array.from({ length: 12 }, (_, at) => String(at));
  expect(withEmptyLast(full)).toEqual(full);
});
