// The origin of the page: a server of a Next.js application that passes /api/socket, /api/chat and the signed addresses of
// files on to the daemon, with `Host` as it came, so that the page, its calls and its sockets share one origin.
import { once } from 'node:events';
import http from 'node:http';
import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

const HTML = '<!doctype html><meta charset="utf-8"><title>Chat</title><div id="page"></div><script src="/page.js"></script>';
const SOCKET = /^\/api\/socket(\/|\?|$)/;
const PASSED_ON = /^\/api\/((socket|chat)(\/|\?|$)|v1\/devices\/[^/]+\/messages\/[^/]+\/media\/download\?)/;

let bundle;
/** The page with its libraries, as one script. */
async function script() {
  bundle ??= build({
    entryPoints: [fileURLToPath(new URL('./next_page_entry.mjs', import.meta.url))],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'silent',
  }).then(({ outputFiles }) => outputFiles[0].text);
  return bundle;
}

export class PageOrigin {
  #sockets = new Set();
  #server;
  #isCut = false;

  static async start(daemon) {
    const origin = new PageOrigin();
    const code = await script();
    origin.#server = http.createServer((request, response) => {
      if (origin.#isCut && SOCKET.test(request.url)) return response.writeHead(502).end();
      if (PASSED_ON.test(request.url)) return origin.#pass(daemon, request, response);
      if (request.url === '/page.js') return response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(code);
      return response.writeHead(200, { 'Content-Type': 'text/html' }).end(HTML);
    });
    origin.#server.on('connection', (socket) => {
      origin.#sockets.add(socket);
      socket.on('close', () => origin.#sockets.delete(socket));
    });
    origin.#server.on('upgrade', (request, socket, head) => origin.#upgrade(daemon, request, socket, head));
    origin.#server.listen(0, '127.0.0.1');
    await once(origin.#server, 'listening');
    origin.url = `http://127.0.0.1:${origin.#server.address().port}`;
    return origin;
  }

  #upstream(daemon, { method, url, headers }) {
    const [host, port] = daemon.address.split(':');
    return http.request({ host, port, method, path: url, headers });
  }

  #pass(daemon, request, response) {
    const upstream = this.#upstream(daemon, request);
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    upstream.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end('{"error":"Bad gateway"}')));
    response.on('close', () => upstream.destroy());
    request.pipe(upstream);
  }

  #upgrade(daemon, request, socket, head) {
    if (this.#isCut) return socket.destroy();
    const upstream = this.#upstream(daemon, request);
    const fail = () => socket.destroy();
    upstream.on('error', fail);
    upstream.on('response', (answer) => {
      socket.end(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\nConnection: close\r\n\r\n`);
      answer.resume();
    });
    upstream.on('upgrade', (answer, other, first) => {
      const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
      socket.write(first);
      other.on('error', fail).on('close', fail);
      socket.on('error', () => other.destroy()).on('close', () => other.destroy());
      other.write(head);
      socket.pipe(other).pipe(socket);
    });
    return upstream.end();
  }

  /** Cuts all connections of pages, and refuses new ones of their sockets until `restore`. */
  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  restore() {
    this.#isCut = false;
  }

  async stop() {
    this.#server.close();
    this.cut();
  }
}
