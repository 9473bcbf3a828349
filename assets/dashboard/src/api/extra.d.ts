// Calls that docs/openapi.json does not describe yet.
export type Capability =
  | "qr" | "pairingCode" | "typing" | "presence" | "readReceipts" | "groups" | "media" | "location" | "contacts" | "polls"
  | "templates" | "edit" | "react" | "revoke" | "control";

export interface Session {
  key: { id: string; name: string; scopes: string[]; devices: string[] | null; expiresAt: number | null };
  session: { expiresAt: number } | null;
  server: {
    version: string;
    engines: { name: string; capabilities: Record<Capability, boolean> }[];
    defaultEngine: string;
    limits: { maxDevices: number; mediaMaxBytes: number; bodyMaxBytes: number; textMaxChars: number };
    push: { publicKey: string | null };
    simulator: boolean;
    socketPath: string;
    time: number;
  };
}

interface Answer<T> {
  headers: { [name: string]: unknown };
  content: { "application/json": T };
}
interface Failure {
  success: false;
  error: string;
  code: string;
}
interface Parameters {
  query?: never;
  header?: never;
  path?: never;
  cookie?: never;
}
interface Responses<T> {
  200: Answer<{ success: boolean; data: T }>;
  default: Answer<Failure>;
}

export interface ExtraPaths {
  "/api/v1/session": {
    parameters: Parameters;
    get: { parameters: Parameters; requestBody?: never; responses: Responses<Session> };
    post: {
      parameters: Parameters;
      requestBody: { content: { "application/json": { apiKey: string } } };
      responses: Responses<Session>;
    };
    delete: { parameters: Parameters; requestBody?: never; responses: Responses<{ signedOut: boolean }> };
  };
}
