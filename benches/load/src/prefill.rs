//! Fills a stopped server's database with messages, by SQL: requests would take hours.
//!
//! The daemon's tables and those of the peer have the same columns where this writes; their triggers fill the search
//! index and the counters.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::devices::{BODY, name};

/// The moment of the newest message: an hour before the benches' own.
const NEWEST: i64 = 1_763_900_000_000;
const SECOND: i64 = 1_000;
const BATCH: u32 = 50_000;

/// What a database is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// Messages of the first device.
    pub messages: u32,
    /// Its chats. The first has a fifth of the messages.
    pub chats: u32,
}

/// The word that this many messages contain, whatever their number.
pub const RARE: (&str, u32) = ("quetzal", 3);
/// A word of every message.
pub const COMMON: &str = "ordinary";

impl Content {
    /// The chat of a message.
    fn chat_of(self) -> String {
        format!(
            "'15550100' || substr('000' || (CASE WHEN n % 5 = 0 THEN 0 ELSE 1 + n % {} END), -3) || '@c.us'",
            self.chats - 1
        )
    }

    /// The network id of a message in the middle of the first chat.
    pub fn middle(self) -> String {
        let middle = self.messages / 2;
        format!("false_15550100000@c.us_PAST{:015}", middle - middle % 5)
    }
}

/// Fills the database of a data directory; the server must have been started and stopped before.
pub fn fill(data: &Path, content: Content) {
    let mut connection = Connection::open(data.join("wharf.db")).unwrap();
    // A crash here only ends the bench.
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    connection.pragma_update(None, "cache_size", -200_000).unwrap();
    let device = name(0);
    for from in (0..content.messages).step_by(usize::try_from(BATCH).unwrap()) {
        let to = (from + BATCH).min(content.messages);
        let tx = connection.transaction().unwrap();
        tx.execute(
            &insert_messages(content),
            params![from, to, device, NEWEST, content.messages, SECOND, BODY],
        )
        .unwrap();
        tx.commit().unwrap();
    }
    let tx = connection.transaction().unwrap();
    tx.execute(
        "INSERT INTO chats (device_id, id, unread, last_message_pk, at)
         SELECT device_id, chat_id, 0, max(pk), max(at) FROM messages WHERE device_id = ?1 GROUP BY chat_id
         ON CONFLICT DO NOTHING",
        [&device],
    )
    .unwrap();
    tx.execute(
        "INSERT INTO contacts (device_id, id, number)
         SELECT device_id, id, replace(id, '@c.us', '') FROM chats WHERE device_id = ?1 ON CONFLICT DO NOTHING",
        [&device],
    )
    .unwrap();
    tx.commit().unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn insert_messages(content: Content) -> String {
    let chat = content.chat_of();
    let (word, times) = RARE;
    format!(
        "WITH RECURSIVE numbers (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2),
              drafts AS (SELECT n, {chat} AS chat, ?4 - (?5 - n) * ?6 AS at FROM numbers)
         INSERT INTO messages (device_id, id, chat_id, from_jid, to_jid, from_me, body, type, at, stored_at, ack, status, unread, notify_name)
         SELECT ?3, 'false_' || chat || '_PAST' || substr('000000000000000' || n, -15), chat, chat, '15550190000@c.us', 0,
             ?7 || ' Number ' || n || CASE WHEN n % max(?5 / {times}, 1) = 0 THEN ' {word}' ELSE '' END,
             'chat', at, at, 2, 'delivered', 0, replace(chat, '@c.us', '')
         FROM drafts"
    )
}
