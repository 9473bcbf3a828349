import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { connect, type Socket } from "node:net";

/** A reverse proxy that serves a daemon below a path prefix, with its WebSockets. */
export class PrefixProxy {
  private readonly clients = new Set<Socket>();

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
      upstream.on("error", () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end()));
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
    const proxy = new PrefixProxy(server, `http://127.0.0.1:${own}${prefix}`);
    server.on("connection", (socket) => {
      proxy.clients.add(socket);
      socket.on("close", () => proxy.clients.delete(socket));
    });
    return proxy;
  }

  /** Ends every connection at once, also in the middle of a request or of a frame. Answers how many there were. */
  cut(): number {
    const open = this.clients.size;
    for (const socket of this.clients) socket.resetAndDestroy();
    return open;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    // The server does not count connections that became WebSockets as its own.
    this.cut();
    await closed;
  }
}
