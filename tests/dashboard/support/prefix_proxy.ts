import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { connect } from "node:net";

/** A reverse proxy that serves a daemon below a path prefix, with its WebSockets. */
export class PrefixProxy {
  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(port: number, prefix: string): Promise<PrefixProxy> {
    const inner = (incoming: IncomingMessage) => (incoming.url?.startsWith(prefix) ? incoming.url.slice(prefix.length) || "/" : undefined);
    const server = createServer((incoming, outgoing) => {
      const path = inner(incoming);
      if (!path) {
        outgoing.writeHead(404).end();
        return;
      }
      const upstream = request({ host: "127.0.0.1", port, path, method: incoming.method, headers: incoming.headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      upstream.on("error", () => outgoing.writeHead(502).end());
      incoming.pipe(upstream);
    });
    server.on("upgrade", (incoming, socket, head) => {
      const path = inner(incoming);
      const upstream = connect(port, "127.0.0.1", () => {
        const headers = Object.entries(incoming.headers).map(([name, value]) => `${name}: ${String(value)}`);
        upstream.write(`GET ${path ?? "/"} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`);
        upstream.write(head);
        socket.pipe(upstream).pipe(socket);
      });
      upstream.on("error", () => socket.destroy());
      socket.on("error", () => upstream.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const own = typeof address === "object" && address ? address.port : 0;
    return new PrefixProxy(server, `http://127.0.0.1:${own}${prefix}`);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
