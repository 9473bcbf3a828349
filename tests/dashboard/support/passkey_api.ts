import type { Page, Route, WebSocketRoute } from "@playwright/test";

type Json = Record<string, unknown>;

export const OPTIONS = {
  challenge: "Y2hhbGxlbmdl", rpId: "whatsapp.com", timeout: 60_000, userVerification: "required",
  allowCredentials: [{ type: "public-key", id: "Y3JlZGVudGlhbA" }],
};

/** The passkey step of one device, in front of the real daemon: its calls, its state and its events. */
export class PasskeyApi {
  /** What the device is; undefined leaves the daemon's answer as it is. */
  device: Json | undefined;
  /** What `GET …/passkey` answers; undefined is 409. */
  step: Json | undefined;
  /** The next answer of a call, by the last part of its path. */
  readonly refusals = new Map<string, { status: number; json: Json }>();
  readonly calls: { name: string; body: string | null }[] = [];
  private socket: WebSocketRoute | undefined;

  private constructor(private readonly id: string) {}

  static async start(page: Page, id: string): Promise<PasskeyApi> {
    const own = new PasskeyApi(id);
    await page.route(/\/api\/v1\/devices(\?|$)/, (route) => own.list(route));
    await page.route(new RegExp(`/api/v1/devices/${id}$`), (route) => own.one(route));
    await page.route(new RegExp(`/api/v1/devices/${id}/(start|passkey.*)$`), (route) => own.call(route));
    await page.routeWebSocket(/\/ws\//, (socket) => {
      const server = socket.connectToServer();
      socket.onMessage((message) => {
        // The first packet of Socket.IO names the namespace.
        if (String(message).startsWith(`40/device/${id},`)) own.socket = socket;
        server.send(message);
      });
    });
    return own;
  }

  /** Lets the device wait for a signature, with its event if the page has connected. */
  ask(fields: Json = {}): void {
    const expiresAt = Date.now() + 300_000;
    this.step = { stage: "signature", options: OPTIONS, expiresAt, openUrl: "https://web.whatsapp.com/", ...fields };
    this.device = { state: "passkey", status: "connecting", reason: undefined, passkey: { stage: "signature", expiresAt } };
    const { stage: _, ...payload } = this.step;
    if (this.socket) this.emit("passkey:request", payload);
  }

  /** Lets the device wait for the comparison of the code, with its event. */
  confirm(code: string): void {
    const expiresAt = Date.now() + 120_000;
    this.step = { stage: "confirmation", code, expiresAt };
    this.device = { state: "passkey", status: "connecting", reason: undefined, passkey: { stage: "confirmation", expiresAt } };
    if (this.socket) this.emit("passkey:confirmation", { code, expiresAt });
  }

  end(state: string, reason?: string): void {
    this.step = undefined;
    this.device = { state, reason, passkey: undefined };
  }

  /** Emits an event of `/device/<id>`. */
  emit(type: string, payload: Json): void {
    if (!this.socket) throw new Error("the page has not connected");
    this.socket.send(`42/device/${this.id},${JSON.stringify([type, { deviceId: this.id, timestamp: Date.now(), ...payload }])}`);
  }

  get isConnected(): boolean {
    return this.socket !== undefined;
  }

  bodies(name: string): (string | null)[] {
    return this.calls.filter((call) => call.name === name).map(({ body }) => body);
  }

  private async list(route: Route): Promise<void> {
    const answer = await route.fetch();
    const body = (await answer.json()) as { data: Json[] };
    body.data = body.data.map((device) => (device.id === this.id ? { ...device, ...this.device } : device));
    await route.fulfill({ response: answer, json: body });
  }

  private async one(route: Route): Promise<void> {
    const answer = await route.fetch();
    const body = (await answer.json()) as { data: Json };
    await route.fulfill({ response: answer, json: { ...body, data: { ...body.data, ...this.device } } });
  }

  private async call(route: Route): Promise<void> {
    const request = route.request();
    const name = request.url().split("/").pop()!;
    this.calls.push({ name, body: request.postData() });
    const refusal = this.refusals.get(name);
    if (refusal) {
      this.refusals.delete(name);
      return route.fulfill(refusal);
    }
    const ok = (data: unknown, status = 200) => route.fulfill({ status, json: { success: true, data } });
    switch (name) {
      case "passkey":
        return this.step ? ok(this.step) : route.fulfill({ status: 409, json: { success: false, code: "no_passkey_pending", error: "no passkey is pending" } });
      case "ticket":
        return ok({ ticket: "a-secret-ticket", expiresAt: Date.now() + 600_000 }, 201);
      case "confirm":
        this.end("pairing");
        return route.fulfill({ status: 204 });
      case "cancel":
        this.end("stopped", "passkey_failed");
        return ok({});
      case "start":
        this.device = undefined;
        return route.continue();
      default:
        return ok({});
    }
  }
}
