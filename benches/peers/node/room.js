// One chat room in plain Node, with fastify, socket.io and node:sqlite: a message is stored with its event, counted as unread
// by the other members, and emitted to all sockets that joined. Usage as of server.js.

import { createHash, timingSafeEqual } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import fastify from 'fastify';
import { Server } from 'socket.io';

const { values: args } = parseArgs({ options: { listen: { type: 'string' }, 'data-dir': { type: 'string' } } });
const [host, port] = args.listen.split(':');
mkdirSync(args['data-dir'], { recursive: true });
const db = new DatabaseSync(join(args['data-dir'], 'room.db'));
db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
  CREATE TABLE members (conversation TEXT NOT NULL, user TEXT NOT NULL, unread INTEGER NOT NULL DEFAULT 0,
    activity INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (conversation, user)) WITHOUT ROWID;
  CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL, sender TEXT NOT NULL, content TEXT NOT NULL, at INTEGER NOT NULL);
  CREATE INDEX messages_by_conversation ON messages (conversation, id);
  CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, at INTEGER NOT NULL);`);
const sql = {
  join: db.prepare('INSERT OR IGNORE INTO members (conversation, user) VALUES (?, ?)'),
  message: db.prepare('INSERT INTO messages (conversation, sender, content, at) VALUES (?, ?, ?, ?)'),
  members: db.prepare('UPDATE members SET activity = ?, unread = unread + (user <> ?) WHERE conversation = ?'),
  event: db.prepare('INSERT INTO events (subject, at) VALUES (?, ?)'),
};

const digest = (text) => createHash('sha256').update(text).digest();
const keyDigest = digest(process.env.WHARF_API_KEY);
const isKey = (text) => typeof text === 'string' && timingSafeEqual(digest(text), keyDigest);

const app = fastify({ logger: false, bodyLimit: 6_291_456 });
const io = new Server(app.server, { path: '/socket.io', serveClient: false });
io.use((socket, next) => {
  const [id, type] = String(socket.handshake.auth.token ?? '').split(':');
  socket.data.user = id;
  next(id && type ? undefined : new Error('Authentication error'));
});
io.on('connection', (socket) => {
  socket.emit('auth:success', { userId: socket.data.user });
  socket.on('join:conversation', (id, answer) => {
    sql.join.run(id, socket.data.user);
    socket.join(id);
    answer({ success: true });
  });
});

app.get('/healthz', async () => ({ status: 'ok' }));
const schema = {
  body: { type: 'object', properties: { senderId: { type: 'string' }, content: { type: 'string', maxLength: 4096 } }, required: ['senderId', 'content'] },
};
app.post('/api/v1/conversations/:id/messages', { schema }, async (request, reply) => {
  if (!isKey(request.headers['x-api-key'])) return reply.code(401).send({ success: false, code: 'unauthorized' });
  const { id: conversation } = request.params;
  const { senderId, content } = request.body;
  const now = Date.now();
  db.exec('BEGIN IMMEDIATE');
  const id = Number(sql.message.run(conversation, senderId, content, now).lastInsertRowid);
  sql.members.run(id, senderId, conversation);
  sql.event.run(JSON.stringify({ kind: 'message', conversation, message: id }), now);
  db.exec('COMMIT');
  const message = {
    id: String(id), conversationId: conversation, senderId, content, type: 'TEXT', attachmentUrl: null, createdAt: new Date(now).toISOString(),
    deliveredAt: null, readAt: null, isRead: false, sender: { id: senderId, displayName: senderId, avatar: null, role: 'SUPPORT' },
  };
  io.to(conversation).emit('message:new', message);
  return reply.code(201).send({ success: true, data: { ...message, status: 'sent' } });
});

await app.listen({ host, port: Number(port) });
process.on('SIGTERM', () => process.exit(0));
