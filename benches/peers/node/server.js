// The service that the benches compare Wharf with: the same REST calls, sockets and rows, written plainly with fastify,
// socket.io and node:sqlite. Usage: node server.js --listen ADDRESS:PORT --data-dir DIRECTORY; the key is in WHARF_API_KEY.

import { createHash, timingSafeEqual } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import fastify from 'fastify';
import { Server } from 'socket.io';
import { Fleet } from './fleet.js';
import { openStore } from './store.js';

const { values: args } = parseArgs({ options: { listen: { type: 'string' }, 'data-dir': { type: 'string' } } });
const [host, port] = args.listen.split(':');
mkdirSync(args['data-dir'], { recursive: true });
const schema = fileURLToPath(new URL('../schema.sql', import.meta.url));
const store = openStore(join(args['data-dir'], 'wharf.db'), schema);

const digest = (text) => createHash('sha256').update(text).digest();
const keyDigest = digest(process.env.WHARF_API_KEY);
const isKey = (text) => typeof text === 'string' && timingSafeEqual(digest(text), keyDigest);

const app = fastify({ logger: false, bodyLimit: 6_291_456 });
const io = new Server(app.server, {
  path: '/ws', transports: ['polling', 'websocket'], pingInterval: 25_000, pingTimeout: 20_000, serveClient: false,
});
const fleet = new Fleet(store, (id, type, payload) => {
  const namespace = io.of(`/device/${id}`);
  namespace.emit(type, payload);
  // The older name of the event.
  if (type === 'message:ack') namespace.emit('message-ack', payload);
});

const stateEvent = (device) => ({ status: 'connected', state: device.state });

io.of(/^\/device\/[A-Za-z0-9_-]{1,64}$/)
  .use((socket, next) => {
    const key = socket.handshake.headers['x-api-key'] ?? socket.handshake.query.apiKey ?? socket.handshake.auth.apiKey;
    socket.data.device = fleet.get(socket.nsp.name.slice('/device/'.length));
    if (!isKey(key)) return next(new Error('unauthorized'));
    next(socket.data.device === undefined ? new Error('device_not_found') : undefined);
  })
  .on('connection', (socket) => {
    const { device } = socket.data;
    socket.emit('state', { deviceId: device.id, timestamp: Date.now(), ...stateEvent(device) });
    socket.on('subscribe', (body, answer) => {
      if (typeof answer !== 'function') return;
      if (body?.deviceId && body.deviceId !== device.id) return answer({ success: false, code: 'validation_failed' });
      answer({ success: true, deviceId: device.id, timestamp: Date.now(), ...stateEvent(device) });
    });
  });

app.get('/healthz', async () => ({ status: 'ok' }));
app.get('/readyz', async () => ({ status: 'ready' }));

app.register(async (api) => {
  api.addHook('onRequest', async (request, reply) => {
    if (!isKey(request.headers['x-api-key'])) {
      return reply.code(401).send({ success: false, code: 'unauthorized', error: 'the API key is missing or wrong' });
    }
  });
  api.decorateRequest('device', null);
  api.addHook('preHandler', async (request, reply) => {
    if (request.params.id === undefined) return;
    request.device = fleet.get(request.params.id);
    if (request.device === undefined) {
      return reply.code(404).send({ success: false, code: 'device_not_found', error: 'there is no such device' });
    }
  });

  const text = (name) => ({ [name]: { type: 'string', minLength: 1 } });
  const limit = { limit: { type: 'integer', minimum: 1, maximum: 100, default: 50 } };
  const query = (properties, required = []) => ({ querystring: { type: 'object', properties, required } });
  const body = (properties) => ({ body: { type: 'object', properties, required: Object.keys(properties) } });

  api.get('/stats', async () => ({ success: true, data: { devicesByState: { ready: fleet.size } } }));

  api.post('/devices', { schema: body(text('id')) }, async (request, reply) => {
    const { id, settings } = request.body;
    if (fleet.get(id) !== undefined) return reply.code(409).send({ success: false, code: 'device_exists' });
    fleet.create(id, settings);
    return reply.code(201).send({ success: true, data: { id } });
  });

  api.get('/devices/:id/status', async ({ device }) => ({
    success: true,
    data: {
      deviceId: device.id, ...stateEvent(device), isConnected: true, phoneNumber: device.me.split('@')[0],
      lastSeen: device.lastSeen, queued: device.waiting.length - device.first,
    },
  }));

  api.post('/devices/:id/messages/send', { schema: body({ ...text('to'), ...text('text') }) }, async (request, reply) => {
    const data = fleet.send(request.device, request.body.to, request.body.text);
    if (data === undefined) return reply.code(429).send({ success: false, code: 'queue_full' });
    return reply.code(201).send({ success: true, data });
  });

  api.post('/simulator/:id/incoming', { schema: body({ ...text('from'), ...text('body') }) }, async (request) => ({
    success: true,
    data: { messageId: fleet.receive(request.device, request.body) },
  }));

  const chatsQuery = query({ ...limit, offset: { type: 'integer', minimum: 0, default: 0 } });
  api.get('/devices/:id/chats', { schema: chatsQuery }, async ({ device, query: { limit, offset } }) => {
    const { chats, total } = store.chats(device.id, limit, offset);
    const pagination = { total, limit, offset, hasMore: offset + chats.length < total };
    return { success: true, data: chats, pagination };
  });

  const pageQuery = query({ ...limit, ...text('before') });
  api.get('/devices/:id/chats/:chat/messages', { schema: pageQuery }, async ({ device, params, query: { limit, before } }) => {
    const { messages, total, hasMore } = store.messages(device.id, params.chat, limit, before);
    const pagination = { total, returned: messages.length, requestedLimit: limit, hasMore, older: messages[0]?.id ?? null };
    return { success: true, data: messages, pagination };
  });

  const searchQuery = query({ ...limit, ...text('query') }, ['query']);
  api.get('/devices/:id/messages/search', { schema: searchQuery }, async ({ device, query: { limit, query: words } }) => {
    const { messages, total } = store.search(device.id, words, limit);
    const isLowerBound = total > 1_000 ? { totalIsLowerBound: true } : {};
    return { success: true, data: messages, query: words, totalResults: Math.min(total, 1_000), ...isLowerBound };
  });
}, { prefix: '/api/v1' });

await app.listen({ host, port: Number(port) });
process.on('SIGTERM', () => process.exit(0));
