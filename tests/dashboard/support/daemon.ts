import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const ADMIN_KEY = "a-key-for-tests-that-may-do-everything";
const START_MS = 30_000;

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** A daemon with temporary data. */
export class Daemon {
  private constructor(
    readonly url: string,
    readonly port: number,
    private process: ChildProcess,
    private readonly directory: string,
    private readonly settings: Record<string, string>,
  ) {}

  /** Settings are given as environment variables; `{port}` in a value is the daemon's port. */
  static async start(settings: Record<string, string> = {}): Promise<Daemon> {
    const directory = await mkdtemp(join(tmpdir(), "wharf-dashboard-"));
    const port = await freePort();
    const daemon = new Daemon(`http://127.0.0.1:${port}`, port, Daemon.spawn(port, directory, settings), directory, settings);
    await daemon.waitUntilHealthy();
    return daemon;
  }

  private static spawn(port: number, directory: string, settings: Record<string, string>): ChildProcess {
    const bin = process.env.WHARF_BIN;
    if (!bin) throw new Error("WHARF_BIN must name the built daemon");
    return spawn(bin, ["serve"], {
      env: {
        ...process.env,
        WHARF_API_KEY: ADMIN_KEY,
        WHARF__STORE__DATA_DIR: join(directory, "data"),
        WHARF__DEVICES__DIR: join(directory, "devices"),
        WHARF__SERVER__LISTEN: `127.0.0.1:${port}`,
        WHARF__EFFECTS__DESKTOP__ENABLED: "false",
        WHARF__EFFECTS__SOUND__ENABLED: "false",
        WHARF__NET__ALLOW_PRIVATE: "127.0.0.1",
        ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, value.replaceAll("{port}", String(port))])),
      },
      stdio: "ignore",
    });
  }

  /** Ends the daemon and starts it again with its data at the same address. */
  async restart(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.end(signal);
    this.process = Daemon.spawn(this.port, this.directory, this.settings);
    await this.waitUntilHealthy();
  }

  private async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill(signal);
    await ended;
  }

  private async waitUntilHealthy(): Promise<void> {
    const end = Date.now() + START_MS;
    while (Date.now() < end && this.process.exitCode === null) {
      const answer = await fetch(`${this.url}/healthz`).catch(() => undefined);
      if (answer?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("the daemon does not answer");
  }

  async stop(): Promise<void> {
    await this.end("SIGTERM");
    await rm(this.directory, { recursive: true, force: true });
  }

  /** A request with the admin key; answers `data`. */
  async call<T = unknown>(path: string, body?: unknown, method = body === undefined ? "GET" : "POST", headers: Record<string, string> = {}): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: { "X-API-KEY": ADMIN_KEY, "Content-Type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const json = (await answer.json()) as { data: T };
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(json)}`);
    return json.data;
  }

  /** A linked simulated device whose contacts do not answer. */
  async linkedDevice(id: string, name = id): Promise<void> {
    await this.call("/devices", { id, name, settings: { ackServerMs: 0, ackDeviceMs: 10, ackReadMs: 30, echo: false } });
    await this.untilState(id, "qr");
    await this.call(`/simulator/${id}/scan`, {});
    await this.untilState(id, "ready");
  }

  async untilState(id: string, state: string): Promise<void> {
    const end = Date.now() + START_MS;
    while (Date.now() < end) {
      if ((await this.call<{ state: string }>(`/devices/${id}`)).state === state) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`the device ${id} is not ${state}`);
  }

  async incoming(id: string, body: string, from = "15550100001", fields: Record<string, unknown> = {}): Promise<void> {
    await this.call(`/simulator/${id}/incoming`, { from, body, ...fields });
  }

  async keyWith(scopes: string[], devices?: string[]): Promise<string> {
    return (await this.call<{ key: string }>("/api-keys", { name: scopes.join(" "), scopes, devices })).key;
  }
}
