import { createDecipheriv, createECDH, hkdfSync, randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";

interface Received {
  headers: Record<string, string | string[] | undefined>;
  /** What the daemon encrypted for the browser. */
  text: string;
}

/** A push service on loopback with one subscribed browser, whose private key the test has. */
export class PushService {
  readonly received: Received[] = [];
  private readonly auth = randomBytes(16);
  private readonly pair = createECDH("prime256v1");
  private server: Server | undefined;
  endpoint = "";

  static async start(): Promise<PushService> {
    const service = new PushService();
    service.pair.generateKeys();
    service.server = createServer((request, answer) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        service.received.push({ headers: request.headers, text: service.decrypt(Buffer.concat(parts)) });
        answer.writeHead(201).end();
      });
    });
    await new Promise<void>((resolve) => service.server!.listen(0, "127.0.0.1", resolve));
    const address = service.server.address();
    service.endpoint = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/push/browser`;
    return service;
  }

  get subscription() {
    return { endpoint: this.endpoint, keys: { auth: this.auth.toString("base64url"), p256dh: this.pair.getPublicKey("base64url") } };
  }

  /** RFC 8291 with one record of RFC 8188: salt (16), record size (4), length and bytes of the sender's key, ciphertext. */
  private decrypt(body: Buffer): string {
    const salt = body.subarray(0, 16);
    const keyEnd = 21 + body[20]!;
    const sender = body.subarray(21, keyEnd);
    const derive = (secret: Buffer, from: Buffer, info: Buffer, length: number) => Buffer.from(hkdfSync("sha256", secret, from, info, length));
    const info = Buffer.concat([Buffer.from("WebPush: info\0"), this.pair.getPublicKey(), sender]);
    const secret = derive(this.pair.computeSecret(sender), this.auth, info, 32);
    const key = derive(secret, salt, Buffer.from("Content-Encoding: aes128gcm\0"), 16);
    const nonce = derive(secret, salt, Buffer.from("Content-Encoding: nonce\0"), 12);
    const decipher = createDecipheriv("aes-128-gcm", key, nonce);
    decipher.setAuthTag(body.subarray(-16));
    const plain = Buffer.concat([decipher.update(body.subarray(keyEnd, -16)), decipher.final()]);
    // The last record ends with 2 and zeros.
    return plain.subarray(0, plain.lastIndexOf(2)).toString("utf8");
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve));
  }
}
