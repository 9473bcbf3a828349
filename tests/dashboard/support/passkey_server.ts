import { createHash, generateKeyPairSync, randomBytes, verify } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { BrowserContext, Page } from "@playwright/test";

interface Assertion {
  id: string;
  rawId: string;
  type: string;
  response: { clientDataJSON: string; authenticatorData: string; signature: string };
}
interface Request {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

const MAX_BODY = 16 * 1024;

/** The daemon's calls for a passkey, with a real ES256 credential: a response is accepted only if its signature is right. */
export class PasskeyServer {
  readonly ticket = randomBytes(24).toString("base64url");
  readonly credentialId = randomBytes(16);
  readonly requests: Request[] = [];
  /** The accepted response. */
  accepted: Assertion | undefined;
  /** Answers the next requests instead of the usual answers. */
  override: { status: number; body: unknown } | undefined;
  private readonly keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  private challenge = randomBytes(32).toString("base64url");

  private constructor(
    private readonly server: Server,
    readonly rpId: string,
    readonly device: string,
  ) {}

  static async start(rpId: string, device = "shop"): Promise<PasskeyServer> {
    const server = createServer();
    const own = new PasskeyServer(server, rpId, device);
    server.on("request", (request, answer) => void own.handle(request, answer));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return own;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get options() {
    return {
      challenge: this.challenge, rpId: this.rpId, timeout: 60_000, userVerification: "required",
      allowCredentials: [{ type: "public-key", id: this.credentialId.toString("base64url"), transports: ["internal", "hybrid"] }],
    };
  }

  /** The link for the extension; `fields` replace its own. */
  link(fields: Record<string, unknown> = {}): string {
    const json = JSON.stringify({ server: this.url, device: this.device, ticket: this.ticket, ...fields });
    return `https://web.whatsapp.com/#wharf-passkey=${Buffer.from(json).toString("base64url")}`;
  }

  /** Makes the pending request another one, so that earlier responses are wrong. */
  renew(): void {
    this.challenge = randomBytes(32).toString("base64url");
  }

  private async handle(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts).toString("utf8");
    this.requests.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
    const send = (status: number, json: unknown) => answer.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(json));
    if (this.override) return void send(this.override.status, this.override.body);
    if (request.headers["x-passkey-ticket"] !== this.ticket) return void send(401, { success: false, code: "unauthorized", error: "the ticket is not valid" });
    const path = `/api/v1/devices/${this.device}/passkey`;
    if (request.method === "GET" && request.url === path) {
      const data = { stage: "signature", options: this.options, expiresAt: Date.now() + 60_000, openUrl: "https://web.whatsapp.com/" };
      return void send(200, { success: true, data });
    }
    if (request.method !== "POST" || request.url !== `${path}/response`) return void send(404, { success: false, code: "not_found", error: "not found" });
    const wrong = this.wrongField(body);
    if (wrong) return void send(422, { success: false, code: "passkey_response_invalid", error: `\`${wrong}\` is not valid` });
    this.accepted = JSON.parse(body) as Assertion;
    send(200, { success: true, data: {} });
  }

  /** The field of a response that is wrong, or undefined. */
  wrongField(body: string): string | undefined {
    if (body.length > MAX_BODY) return "body";
    const json = JSON.parse(body) as Assertion;
    const bytes = (text: unknown) => (typeof text === "string" && /^[A-Za-z0-9_-]+$/.test(text) ? Buffer.from(text, "base64url") : Buffer.alloc(0));
    const clientData = bytes(json.response?.clientDataJSON);
    const authenticatorData = bytes(json.response?.authenticatorData);
    const client = JSON.parse(clientData.toString("utf8")) as { type: string; challenge: string; origin: string };
    if (json.type !== "public-key") return "type";
    if (json.id !== json.rawId || !bytes(json.rawId).equals(this.credentialId)) return "rawId";
    if (client.type !== "webauthn.get") return "clientDataJSON.type";
    if (client.challenge !== this.challenge) return "clientDataJSON.challenge";
    const { hostname } = new URL(client.origin);
    if (hostname !== this.rpId && !hostname.endsWith(`.${this.rpId}`)) return "clientDataJSON.origin";
    if (!authenticatorData.subarray(0, 32).equals(createHash("sha256").update(this.rpId).digest())) return "authenticatorData";
    const isVerified = (authenticatorData[32]! & 0b101) === 0b101;
    if (!isVerified) return "authenticatorData.flags";
    const signed = Buffer.concat([authenticatorData, createHash("sha256").update(clientData).digest()]);
    return verify("sha256", signed, this.keys.publicKey, bytes(json.response.signature)) ? undefined : "signature";
  }

  /** Gives the page an authenticator with the credential, or without one. Answers how to remove it. */
  async addAuthenticator(context: BrowserContext, page: Page, hasCredential = true): Promise<() => Promise<void>> {
    const session = await context.newCDPSession(page);
    await session.send("WebAuthn.enable");
    const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
      options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
    });
    if (hasCredential) {
      const privateKey = this.keys.privateKey.export({ format: "der", type: "pkcs8" }).toString("base64");
      await session.send("WebAuthn.addCredential", {
        authenticatorId,
        credential: { credentialId: this.credentialId.toString("base64"), isResidentCredential: true, rpId: this.rpId, privateKey, signCount: 1, userHandle: Buffer.from("owner").toString("base64") },
      });
    }
    return async () => {
      await session.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId });
      await session.detach();
    };
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** In a page: older browsers convert no JSON. */
export function removeJsonFunctions(): void {
  const type = PublicKeyCredential as unknown as Record<string, unknown> & { prototype: Record<string, unknown> };
  delete type.parseRequestOptionsFromJSON;
  delete type.prototype.toJSON;
}
