import { expect, test } from "vitest";
import { roundedUp } from "../lib/scale";
import { type Hour, spansOf } from "./activity";

const HOUR = 3_600_000;
const hour = (at: number, sent: number, averageResponseMs: number | null): Hour => ({ hour: at, received: 1, sent, failed: 0, disconnections: 0, averageResponseMs });

test("hours stay hours", () => {
  const start = new Date(2026, 0, 5, 22).getTime();
  expect(spansOf([hour(start, 2, 100), hour(start + HOUR, 0, null)], false)).toEqual([
    { hour: start, received: 1, sent: 2, failed: 0, disconnections: 0, responseMs: 100 },
    { hour: start + HOUR, received: 1, sent: 0, failed: 0, disconnections: 0, responseMs: undefined },
  ]);
});

test("days sum their hours and weigh the response time", () => {
  const start = new Date(2026, 0, 5, 22).getTime();
  const days = spansOf([hour(start, 1, 100), hour(start + HOUR, 3, 200), hour(start + 2 * HOUR, 5, 50)], true);
  expect(days.map(({ sent, received, responseMs }) => ({ sent, received, responseMs }))).toEqual([
    { sent: 4, received: 2, responseMs: 175 },
    { sent: 5, received: 1, responseMs: 50 },
  ]);
});

test("scale ends at a round number with a whole half", () => {
  expect([0, 1, 3, 7, 10, 11, 40, 51, 999].map(roundedUp)).toEqual([2, 2, 4, 10, 10, 20, 40, 100, 1000]);
});
