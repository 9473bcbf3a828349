// The database of the peer: prepared statements, and one transaction for each use case.

import { DatabaseSync } from 'node:sqlite';
import { existsSync, readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';

const HOUR_MS = 3_600_000;
const STATUS = { 1: 'sent', 2: 'delivered', 3: 'read' };
const ACK_NAMES = { 1: 'SERVER', 2: 'DEVICE', 3: 'READ' };
const MAX_COUNTED = 1_000;

export function openStore(path, schema) {
  const isNew = !existsSync(path);
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000');
  if (isNew) db.exec(readFileSync(schema, 'utf8'));
  return new Store(db);
}

class Store {
  #db;
  #sql;

  constructor(db) {
    this.#db = db;
    this.#sql = prepareAll(db);
  }

  // The events that `work` appends are returned, to be emitted after the commit.
  #transaction(work) {
    const events = [];
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = work(events);
      this.#db.exec('COMMIT');
      return { result, events };
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #append(events, deviceId, type, now, body) {
    const { last_seq: seq } = this.#sql.nextSeq.get(deviceId);
    const payload = { deviceId, timestamp: now, seq, ...body };
    this.#sql.insertEvent.run(deviceId, seq, type, now, JSON.stringify(payload));
    events.push({ type, payload });
  }

  devices() {
    return this.#sql.devices.all().map((row) => ({ id: row.id, settings: JSON.parse(row.settings), state: row.state }));
  }

  addDevice({ id, settings, state }) {
    this.#sql.insertDevice.run(id, JSON.stringify(settings), state, Date.now());
  }

  // A message from the network: with its chat, contact, event and counters, in one transaction.
  ingest(deviceId, me, { from, body, networkId }) {
    const now = Date.now();
    const at = Math.floor(now / 1000) * 1000;
    const chatId = `${from}@c.us`;
    const id = `false_${chatId}_${networkId ?? randomId()}`;
    return this.#transaction((events) => {
      const message = newMessage({ id, chatId, from: chatId, to: me, fromMe: false, body, timestamp: at, ack: 2 });
      const inserted = this.#sql.insertMessage.run(
        deviceId, id, chatId, chatId, me, 0, body, at, now, 2, 'delivered', 1, from);
      if (inserted.changes === 0) return { id };
      this.#sql.touchChat.run(deviceId, chatId, 1, inserted.lastInsertRowid, at);
      const contact = this.#sql.contact.get(deviceId, chatId);
      if (contact === undefined) {
        this.#sql.insertContact.run(deviceId, chatId, from);
        this.#append(events, deviceId, 'contact:update', now, { contact: { id: chatId, number: from } });
      }
      this.#append(events, deviceId, 'message', now, { message });
      this.#count(deviceId, now, 1, 0, 0);
      return { id, chatId };
    });
  }

  // A message to be sent: with its chat, outbox row and events, in one transaction.
  accept(deviceId, me, to, text, maxQueued) {
    const now = Date.now();
    const chatId = to.includes('@') ? to : `${to}@c.us`;
    const id = `true_${chatId}_${randomId()}`;
    return this.#transaction((events) => {
      if ((this.#sql.outboxSize.get(deviceId)?.messages ?? 0) >= maxQueued) return { full: true };
      const message = newMessage({ id, chatId, from: me, to: chatId, fromMe: true, body: text, timestamp: now, ack: 0 });
      const { lastInsertRowid: pk } = this.#sql.insertMessage.run(
        deviceId, id, chatId, me, chatId, 1, text, now, now, 0, 'queued', 0, null);
      this.#sql.touchChat.run(deviceId, chatId, 0, pk, now);
      this.#sql.enqueue.run(deviceId, pk, chatId);
      this.#append(events, deviceId, 'message:created', now, { message });
      this.#append(events, deviceId, 'message:status', now, { messageId: id, chatId, status: 'queued' });
      return { row: { pk, id, chatId, storedAt: now }, answer: { messageId: id, chatId, status: 'queued', ack: 0, timestamp: now } };
    });
  }

  // Durable before the message leaves.
  markSending(deviceId, { pk, id, chatId }) {
    const now = Date.now();
    return this.#transaction((events) => {
      this.#sql.sending.run(now, pk);
      const opens = this.#sql.hasHistory.get(deviceId, chatId) === undefined ? 1 : 0;
      this.#sql.insertDeparture.run(deviceId, now, pk, chatId, opens);
      this.#sql.setAck.run(0, 'sending', pk);
      this.#append(events, deviceId, 'message:status', now, { messageId: id, chatId, status: 'sending' });
    });
  }

  // An acknowledgement: 1 by the network, 2 by the recipient's device, 3 by its reader.
  raiseAck(deviceId, { pk, id, chatId, storedAt }, ack) {
    const now = Date.now();
    return this.#transaction((events) => {
      const row = this.#sql.ackOf.get(pk);
      if (row === undefined || row.ack >= ack) return;
      if (ack > 1) this.#sql.receipt.run(pk, chatId, ack, now);
      this.#sql.setAck.run(ack, STATUS[ack], pk);
      this.#append(events, deviceId, 'message:ack', now, { messageId: id, chatId, ack, ackName: ACK_NAMES[ack] });
      this.#append(events, deviceId, 'message:status', now, { messageId: id, chatId, status: STATUS[ack] });
      if (ack === 3) this.#append(events, deviceId, 'message:read', now, { chatId, messageIds: [id], readBy: chatId });
      if (this.#sql.dequeue.run(pk).changes > 0) this.#count(deviceId, now, 0, 1, now - storedAt);
    });
  }

  #count(deviceId, now, received, sent, responseMs) {
    this.#sql.countHour.run(deviceId, now - (now % HOUR_MS), received, sent, responseMs);
    this.#sql.countTotal.run(deviceId, received, sent, now);
  }

  chat(deviceId, chatId) {
    return toChat(this.#sql.chat.get(deviceId, chatId));
  }

  chats(deviceId, limit, offset) {
    const { total } = this.#sql.chatCount.get(deviceId);
    return { total, chats: this.#sql.chats.all(deviceId, limit, offset).map(toChat) };
  }

  messages(deviceId, chatId, limit, before) {
    const rows = before === undefined
      ? this.#sql.newestMessages.all(deviceId, chatId, limit + 1)
      : this.#sql.messagesBefore.all(deviceId, before, deviceId, chatId, limit + 1);
    const total = this.#sql.chatSize.get(deviceId, chatId)?.messages ?? 0;
    const hasMore = rows.length > limit;
    return { total, hasMore, messages: rows.slice(0, limit).reverse().map(toMessage) };
  }

  // The newest matches of all words, the last of which may be unfinished, and their number up to 1,000.
  search(deviceId, words, limit) {
    const quoted = words.split(/\s+/).filter(Boolean).map((word) => `"${word.replaceAll('"', '""')}"`);
    const query = `device_id : "${deviceId}" AND body : (${quoted.join(' AND ')} *)`;
    const rows = this.#sql.search.all(query, limit);
    const { total } = this.#sql.searchCount.get(query, MAX_COUNTED + 1);
    return { messages: rows.map(toMessage), total };
  }
}

function prepareAll(db) {
  const chatColumns = `c.id, c.name, c.unread, c.pinned, c.archived, c.muted, c.at,
    k.address_book_name, k.pushname, k.number, m.id AS last_id, m.body AS last_body, m.at AS last_at, m.from_me AS last_from_me, m.type AS last_type
    FROM chats c LEFT JOIN messages m ON m.pk = c.last_message_pk
    LEFT JOIN contacts k ON k.device_id = c.device_id AND k.id = c.id`;
  const statements = {
    devices: 'SELECT id, settings, state FROM devices ORDER BY id',
    insertDevice: 'INSERT INTO devices (id, settings, state, created_at) VALUES (?, ?, ?, ?)',
    nextSeq: `INSERT INTO log_heads (device_id, last_seq) VALUES (?, 1)
      ON CONFLICT (device_id) DO UPDATE SET last_seq = last_seq + 1 RETURNING last_seq`,
    insertEvent: 'INSERT INTO events (device_id, seq, type, at, payload) VALUES (?, ?, ?, ?, ?)',
    insertMessage: `INSERT INTO messages (device_id, id, chat_id, from_jid, to_jid, from_me, body, type, at, stored_at, ack, status, unread, notify_name)
      VALUES (?, ?, ?, ?, ?, ?, ?, 'chat', ?, ?, ?, ?, ?, ?) ON CONFLICT (device_id, id) DO NOTHING`,
    touchChat: `INSERT INTO chats (device_id, id, unread, last_message_pk, at) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (device_id, id) DO UPDATE SET unread = unread + excluded.unread,
        last_message_pk = CASE WHEN excluded.at >= at THEN excluded.last_message_pk ELSE last_message_pk END,
        at = max(at, excluded.at)`,
    contact: 'SELECT 1 FROM contacts WHERE device_id = ? AND id = ?',
    insertContact: 'INSERT INTO contacts (device_id, id, number) VALUES (?, ?, ?)',
    enqueue: 'INSERT INTO outbox (device_id, message_pk, chat_id) VALUES (?, ?, ?)',
    outboxSize: 'SELECT messages FROM outbox_sizes WHERE device_id = ?',
    sending: 'UPDATE outbox SET sending_since = ?, attempts = attempts + 1 WHERE message_pk = ?',
    hasHistory: 'SELECT 1 FROM messages WHERE device_id = ? AND chat_id = ? AND (from_me = 0 OR ack >= 1) LIMIT 1',
    insertDeparture: 'INSERT INTO departures (device_id, at, message_pk, chat_id, opens) VALUES (?, ?, ?, ?, ?)',
    ackOf: 'SELECT ack FROM messages WHERE pk = ?',
    setAck: 'UPDATE messages SET ack = ?, status = ? WHERE pk = ?',
    receipt: `INSERT INTO receipts (message_pk, participant, ack, at) VALUES (?, ?, ?, ?)
      ON CONFLICT (message_pk, participant) DO UPDATE SET ack = excluded.ack, at = excluded.at`,
    dequeue: 'DELETE FROM outbox WHERE message_pk = ?',
    countHour: `INSERT INTO activity (device_id, hour, received, sent, response_ms) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (device_id, hour) DO UPDATE SET received = received + excluded.received, sent = sent + excluded.sent,
        response_ms = response_ms + excluded.response_ms`,
    countTotal: `INSERT INTO totals (device_id, received, sent, last_activity) VALUES (?, ?, ?, ?)
      ON CONFLICT (device_id) DO UPDATE SET received = received + excluded.received, sent = sent + excluded.sent,
        last_activity = excluded.last_activity`,
    chat: `SELECT ${chatColumns} WHERE c.device_id = ? AND c.id = ?`,
    chats: `SELECT ${chatColumns} WHERE c.device_id = ? ORDER BY c.pinned DESC, c.at DESC, c.id LIMIT ? OFFSET ?`,
    chatCount: 'SELECT count(*) AS total FROM chats WHERE device_id = ?',
    chatSize: 'SELECT messages FROM chat_sizes WHERE device_id = ? AND chat_id = ?',
    newestMessages: 'SELECT * FROM messages WHERE device_id = ? AND chat_id = ? ORDER BY at DESC, pk DESC LIMIT ?',
    messagesBefore: `SELECT m.* FROM (SELECT at, pk FROM messages WHERE device_id = ? AND id = ?) b, messages m
      WHERE m.device_id = ? AND m.chat_id = ? AND (m.at, m.pk) < (b.at, b.pk) ORDER BY m.at DESC, m.pk DESC LIMIT ?`,
    search: `SELECT m.* FROM messages_text t JOIN messages m ON m.pk = t.rowid
      WHERE messages_text MATCH ? ORDER BY t.rowid DESC LIMIT ?`,
    searchCount: 'SELECT count(*) AS total FROM (SELECT 1 FROM messages_text WHERE messages_text MATCH ? LIMIT ?)',
  };
  return Object.fromEntries(Object.entries(statements).map(([name, sql]) => [name, db.prepare(sql)]));
}

function randomId() {
  return randomBytes(10).toString('hex').toUpperCase();
}

function newMessage({ id, chatId, from, to, fromMe, body, timestamp, ack }) {
  return {
    id, chatId, from, to, fromMe, body, type: 'chat', timestamp, ack, hasMedia: false, isForwarded: false,
    isStarred: false, isEdited: false, notifyName: from.split('@')[0], mentionedIds: [], reactions: [],
  };
}

function toMessage(row) {
  const message = {
    id: row.id, chatId: row.chat_id, from: row.from_jid, to: row.to_jid, fromMe: row.from_me === 1, body: row.body,
    timestamp: row.at, ack: row.ack,
  };
  return newMessage(message);
}

function toChat(row) {
  const name = row.name ?? row.address_book_name ?? row.pushname ?? row.number ?? row.id.split('@')[0];
  const lastMessage = row.last_id === null ? null : {
    id: row.last_id, body: row.last_body, timestamp: row.last_at, fromMe: row.last_from_me === 1, type: row.last_type,
  };
  return {
    id: row.id, chatId: row.id, name, isGroup: false, lastMessage, unreadCount: row.unread, pinned: row.pinned === 1,
    archived: row.archived === 1, muted: row.muted === 1, mutedUntil: null, profilePicUrl: null, timestamp: row.at,
  };
}
