import en from "./en.json";

export type Words = typeof en;
export type Key = keyof Words;
type PluralBase<K> = K extends `${infer Base}.other` ? Base : never;
export type PluralKey = PluralBase<Key>;
export type Values = Record<string, string | number>;

/** `en`, or one of two locales for tests: `pseudo` is 40 % longer, `rtl` runs from right to left. */
const locale = readLocale();

function readLocale(): string {
  try {
    return localStorage.getItem("wharf.locale") ?? "en";
  } catch {
    return "en";
  }
}

export const language = locale === "rtl" || locale === "pseudo" ? "en" : locale;
export const direction = locale === "rtl" ? "rtl" : "ltr";

function fill(text: string, values?: Values): string {
  const filled = values ? text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole)) : text;
  return locale === "en" ? filled : lengthen(filled);
}

function lengthen(text: string): string {
  return `${text} ${"·".repeat(Math.ceil(text.length * 0.4))}`;
}

export function t(key: Key, values?: Values): string {
  return fill(en[key] ?? key, values);
}

/** The words of a key that is known at run time only, or undefined. */
export function tMaybe(key: string, values?: Values): string | undefined {
  const text = (en as Record<string, string>)[key];
  return text === undefined ? undefined : fill(text, values);
}

const plurals = new Intl.PluralRules(language);

export function tn(base: PluralKey, count: number, values?: Values): string {
  const text = tMaybe(`${base}.${plurals.select(count)}`, { n: number(count), ...values });
  return text ?? t(`${base}.other` as Key, { n: number(count), ...values });
}

/** The region of the browser decides formats, for example of times. */
const region = globalThis.navigator?.languages?.find((known) => known.split("-")[0] === language) ?? language;
const numbers = new Intl.NumberFormat(region);
const times = new Intl.DateTimeFormat(region, { hour: "2-digit", minute: "2-digit" });
const days = new Intl.DateTimeFormat(region, { day: "numeric", month: "short", year: "numeric" });
const shortDays = new Intl.DateTimeFormat(region, { weekday: "short", day: "numeric", month: "short" });
const weekdays = new Intl.DateTimeFormat(region, { weekday: "long" });
const moments = new Intl.DateTimeFormat(region, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(region, { numeric: "auto" });

export const number = (value: number): string => numbers.format(value);
export const clockTime = (at: number): string => times.format(at);
export const dateName = (at: number): string => shortDays.format(at);
export const moment = (at: number): string => moments.format(at);

const DAY = 86_400_000;

function dayStart(at: number): number {
  const day = new Date(at);
  return day.setHours(0, 0, 0, 0);
}

/** *Today*, *yesterday*, a weekday of the last week, or a date. */
export function dayName(at: number, now = Date.now()): string {
  const ago = Math.round((dayStart(now) - dayStart(at)) / DAY);
  if (ago === 0 || ago === 1) return relative.format(-ago, "day");
  if (ago > 1 && ago < 7) return weekdays.format(at);
  return days.format(at);
}

/** The time of today, else the day. */
export function shortTime(at: number, now = Date.now()): string {
  return dayStart(at) === dayStart(now) ? clockTime(at) : dayName(at, now);
}

export function ago(at: number, now = Date.now()): string {
  const seconds = Math.round((at - now) / 1000);
  const size = Math.abs(seconds);
  if (size < 60) return relative.format(0, "second");
  if (size < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (size < 86_400) return relative.format(Math.round(seconds / 3600), "hour");
  return relative.format(Math.round(seconds / 86_400), "day");
}

export function duration(ms: number): string {
  const total = Math.max(0, Math.round(ms / 1000));
  const minutes = Math.floor(total / 60);
  return `${minutes}:${String(total % 60).padStart(2, "0")}`;
}

export function fileSize(bytes: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  let value = bytes;
  let at = 0;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  const digits = value < 10 && at > 0 ? 1 : 0;
  return new Intl.NumberFormat(region, { style: "unit", unit: units[at]!, unitDisplay: "short", maximumFractionDigits: digits }).format(value);
}
