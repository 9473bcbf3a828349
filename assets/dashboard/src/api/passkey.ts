import { api, body, data, type Schemas } from "./client";
import type { Device } from "./fleet";

/** What the device waits for; `options` belong to the signature, `code` to the confirmation. */
export type PasskeyStep = Schemas["PasskeyObject"];
export type PasskeyTicket = Schemas["TicketObject"];

const of = (id: string) => ({ params: { path: { id } } });

interface Done {
  data?: unknown;
  error?: unknown;
  response: Response;
}
/** Waits for a call whose success may have no body. */
const done = (call: Promise<Done>) => body(call.then((answer) => (answer.response.ok ? { ...answer, data: answer.data ?? {} } : answer)));

/** A device waits for a passkey between the scan and the link. */
export const waitsForPasskey = (device: Pick<Device, "state">): boolean => device.state === "passkey";

export const loadPasskeyStep = (id: string): Promise<PasskeyStep> => data(api.GET("/api/v1/devices/{id}/passkey", of(id)));
/** The daemon checks the response of the browser, and names the invalid field. */
export const sendPasskeyResponse = (id: string, response: Record<string, unknown>) => done(api.POST("/api/v1/devices/{id}/passkey/response", { ...of(id), body: response as Schemas["PasskeyResponse"] }));
/** `code` is the one that the person compared. */
export const confirmPasskey = (id: string, code?: string) => done(api.POST("/api/v1/devices/{id}/passkey/confirm", { ...of(id), body: code ? { code } : {} }));
export const cancelPasskey = (id: string) => done(api.POST("/api/v1/devices/{id}/passkey/cancel", of(id)));
export const createPasskeyTicket = (id: string): Promise<PasskeyTicket> => data(api.POST("/api/v1/devices/{id}/passkey/ticket", of(id)));
