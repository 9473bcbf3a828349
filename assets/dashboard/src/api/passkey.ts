import type { Client } from "openapi-fetch";
import { api, body, data } from "./client";
import type { Device } from "./fleet";

/** What the device waits for; `options` belong to the signature, `code` to the confirmation. */
export interface PasskeyStep {
  stage: "signature" | "confirmation";
  options?: Record<string, unknown>;
  code?: string;
  expiresAt: number;
  openUrl?: string;
}
export interface PasskeyTicket {
  ticket: string;
  expiresAt: number;
}

interface Id {
  path: { id: string };
}
interface Answer<T> {
  content: { "application/json": { success: boolean; data: T } };
}
interface Call<T, Body = undefined> {
  parameters: Id;
  requestBody?: Body extends undefined ? never : { content: { "application/json": Body } };
  responses: { 200: Answer<T>; 201: Answer<T> };
}
/** The calls for one passkey attempt of a device. */
interface PasskeyPaths {
  "/api/v1/devices/{id}/passkey": { get: Call<PasskeyStep> };
  "/api/v1/devices/{id}/passkey/response": { post: Call<unknown, Record<string, unknown>> };
  "/api/v1/devices/{id}/passkey/confirm": { post: Call<unknown, { code?: string }> };
  "/api/v1/devices/{id}/passkey/cancel": { post: Call<unknown> };
  "/api/v1/devices/{id}/passkey/ticket": { post: Call<PasskeyTicket> };
}

const calls = api as unknown as Client<PasskeyPaths>;
const of = (id: string) => ({ params: { path: { id } } });

interface Done {
  data?: unknown;
  error?: unknown;
  response: Response;
}
/** Waits for a call whose success may have no body. */
const done = (call: Promise<Done>) => body(call.then((answer) => (answer.response.ok ? { ...answer, data: answer.data ?? {} } : answer)));

/** A device waits for a passkey between the scan and the link. */
export const waitsForPasskey = (device: Pick<Device, "state">): boolean => (device.state as string) === "passkey";

export const loadPasskeyStep = (id: string): Promise<PasskeyStep> => data(calls.GET("/api/v1/devices/{id}/passkey", of(id)));
export const sendPasskeyResponse = (id: string, response: Record<string, unknown>) => done(calls.POST("/api/v1/devices/{id}/passkey/response", { ...of(id), body: response }));
/** `code` is the one that the person compared. */
export const confirmPasskey = (id: string, code?: string) => done(calls.POST("/api/v1/devices/{id}/passkey/confirm", { ...of(id), body: code ? { code } : {} }));
export const cancelPasskey = (id: string) => done(calls.POST("/api/v1/devices/{id}/passkey/cancel", of(id)));
export const createPasskeyTicket = (id: string): Promise<PasskeyTicket> => data(calls.POST("/api/v1/devices/{id}/passkey/ticket", of(id)));
