import createClient from "openapi-fetch";
import { basePath } from "../lib/base";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export interface FieldError {
  field: string;
  message: string;
}

/** A refusal of the API, or a request that got no answer. */
export class ApiFailure extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: FieldError[] = [],
    readonly retryAfterMs = 0,
    readonly requestId = "",
  ) {
    super(message);
  }

  /** The sentence about one field of the request. */
  field(name: string): string | undefined {
    return this.details.find((detail) => detail.field === name)?.message;
  }
}

const MAX_WAIT_MS = 10_000;
const MAX_RETRIES = 3;

/** Asks for the key in place; settled when a session exists again. Set by the session module. */
let renew: (() => Promise<void>) | undefined;
export function onSessionExpired(handler: () => Promise<void>): void {
  renew = handler;
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export function retryAfterMs(header: string | null): number {
  const seconds = Number(header);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

/** Whether to send a refused request again: after a renewed session, or after a short wait that `Retry-After` names. */
export async function mayRepeat(tries: number, status: number, retryAfter: string | null): Promise<boolean> {
  if (tries >= MAX_RETRIES) return false;
  if (status === 401 && renew) {
    await renew();
    return true;
  }
  const pause = retryAfterMs(retryAfter);
  if ((status !== 429 && status !== 503) || pause === 0 || pause > MAX_WAIT_MS) return false;
  await wait(pause);
  return true;
}

/** Fetches, waits as `Retry-After` says, and renews an expired session. */
async function patientFetch(request: Request): Promise<Response> {
  const isSignIn = new URL(request.url).pathname.endsWith("/api/v1/session");
  for (let tries = 0; ; tries += 1) {
    const response = await fetch(request.clone());
    if (isSignIn || !(await mayRepeat(tries, response.status, response.headers.get("retry-after")))) return response;
  }
}

export const api = createClient<paths>({ baseUrl: `${location.origin}${basePath}`, fetch: patientFetch });

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

function failureOf(error: unknown, response: Response): ApiFailure {
  const body = (typeof error === "object" && error !== null ? error : {}) as Partial<Schemas["Error"]>;
  const text = typeof body.error === "string" ? body.error : `HTTP ${response.status}`;
  const details = Array.isArray(body.details) ? (body.details as FieldError[]) : [];
  const requestId = response.headers.get("x-request-id") ?? "";
  return new ApiFailure(response.status, body.code ?? "unknown", text, details, retryAfterMs(response.headers.get("retry-after")), requestId);
}

/** The whole body of a successful answer; throws an `ApiFailure` otherwise. */
export async function body<T>(call: Promise<Answered<T>>): Promise<T> {
  let answer: Answered<T>;
  try {
    answer = await call;
  } catch (error) {
    if (error instanceof ApiFailure) throw error;
    throw new ApiFailure(0, "unreachable", error instanceof Error ? error.message : String(error));
  }
  if (answer.data === undefined || !answer.response.ok) throw failureOf(answer.error, answer.response);
  return answer.data;
}

/** The `data` of a successful answer. */
export async function data<T>(call: Promise<Answered<{ data: T }>>): Promise<T> {
  return (await body(call)).data;
}
