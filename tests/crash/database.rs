//! Checks of the database file after the last daemon ended.

use rusqlite::{Connection, Params};
use wharf::domain::state::State;

use crate::log::Log;
use crate::process::DaemonHome;

/// The database of a daemon that has ended.
pub struct Database(Connection);

impl Database {
    /// Opens it; no daemon may be running on it.
    pub fn open(home: &DaemonHome) -> Self {
        Self(Connection::open(home.database()).unwrap())
    }

    fn number(&self, sql: &str, params: impl Params) -> i64 {
        self.0.query_row(sql, params, |row| row.get(0)).unwrap()
    }

    fn nothing(&self, what: &str, sql: &str) {
        assert_eq!(self.number(&format!("SELECT count(*) FROM ({sql})"), []), 0, "{what}: {sql}");
    }

    /// SQLite's own check: `ok` or the first problem.
    pub fn integrity(&self) -> String {
        self.0.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
    }

    /// Invariants of every database.
    pub fn check(&self) {
        assert_eq!(self.integrity(), "ok");
        self.nothing("dangling references", "SELECT * FROM pragma_foreign_key_check");
        self.nothing(
            "a message is stored twice",
            "SELECT id FROM messages GROUP BY device_id, id HAVING count(*) > 1",
        );
        self.nothing(
            "a log with a hole",
            "SELECT device_id FROM events GROUP BY device_id HAVING min(seq) <> 1 OR max(seq) <> count(*)",
        );
        self.nothing(
            "a log's head is not its newest entry",
            "SELECT h.device_id FROM log_heads h WHERE last_seq <> (SELECT max(seq) FROM events e WHERE e.device_id = h.device_id)",
        );
        self.nothing(
            "a chat's count of unread messages is wrong",
            "SELECT c.id FROM chats c WHERE unread <> (SELECT count(*) FROM messages m
             WHERE m.device_id = c.device_id AND m.chat_id = c.id AND m.unread = 1)",
        );
        self.nothing(
            "an idempotency key without its message",
            "SELECT key FROM idempotency i WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.device_id = i.device_id AND m.id = i.message_id)",
        );
        self.nothing(
            "a message that waits to be sent and is not in the outbox",
            "SELECT id FROM messages m WHERE from_me = 1 AND ack = 0
             AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.message_pk = m.pk)",
        );
        self.0.execute("INSERT INTO messages_text (messages_text) VALUES ('integrity-check')", []).unwrap();
    }

    /// The stored state equals the state folded from the log, and the counters match the log. This many
    /// incoming messages are history, which has no events and is not counted.
    pub fn agrees_with(&self, log: &Log, history: i64) {
        let device = [log.device.as_str()];
        let text: String =
            self.0.query_row("SELECT state FROM devices WHERE id = ?1", device, |row| row.get(0)).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), log.state(), "{}", log.device);
        let head = log.entries.last().map_or(0, |entry| entry.seq);
        // Coalesced notifications are emitted at the stop, after the log was read.
        let added_later = self.number(
            "SELECT count(*) FROM events WHERE device_id = ?1 AND seq > ?2 AND type = 'notification'",
            rusqlite::params![log.device, head],
        );
        assert_eq!(
            self.number("SELECT last_seq FROM log_heads WHERE device_id = ?1", device),
            head + added_later
        );
        let received = i64::try_from(log.named("message").count()).unwrap();
        assert_eq!(
            self.number("SELECT count(*) FROM messages WHERE from_me = 0 AND device_id = ?1", device),
            received + history
        );
        assert_eq!(
            self.number("SELECT coalesce(sum(received), 0) FROM totals WHERE device_id = ?1", device),
            received
        );
    }

    /// The outbox of a device is empty, and each sent message was counted once. Own messages have a `tempId`;
    /// history has none and is not counted.
    pub fn all_sent(&self, device: &str) {
        assert_eq!(self.number("SELECT count(*) FROM outbox WHERE device_id = ?1", [device]), 0, "{device}");
        let sent = self.number(
            "SELECT count(*) FROM messages WHERE temp_id IS NOT NULL AND ack >= 1 AND device_id = ?1",
            [device],
        );
        assert_eq!(
            self.number("SELECT coalesce(sum(sent), 0) FROM totals WHERE device_id = ?1", [device]),
            sent,
            "{device}"
        );
    }
}
