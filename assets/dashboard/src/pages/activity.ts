import type { Schemas } from "../api/client";
import { grouped } from "../lib/grouped";

export type Hour = Schemas["HourOfActivity"];

/** A clock hour or a day of the browser's time zone. */
export interface Span extends Omit<Hour, "averageResponseMs"> {
  responseMs: number | undefined;
}

function sum(hours: Hour[], start: number): Span {
  const span: Span = { hour: start, received: 0, sent: 0, failed: 0, disconnections: 0, responseMs: undefined };
  let answered = 0;
  let total = 0;
  for (const hour of hours) {
    span.received += hour.received;
    span.sent += hour.sent;
    span.failed += hour.failed;
    span.disconnections += hour.disconnections;
    if (hour.averageResponseMs == null) continue;
    answered += hour.sent;
    total += hour.averageResponseMs * hour.sent;
  }
  // An average weighted by the messages of each hour.
  if (answered > 0) span.responseMs = total / answered;
  return span;
}

const dayOf = (at: number): number => new Date(at).setHours(0, 0, 0, 0);

/** Hours as they are, or summed to days. */
export function spansOf(hours: Hour[], isByDay: boolean): Span[] {
  if (!isByDay) return hours.map((hour) => sum([hour], hour.hour));
  const days = grouped(hours, (hour) => dayOf(hour.hour));
  return [...days].map(([start, list]) => sum(list, start));
}
