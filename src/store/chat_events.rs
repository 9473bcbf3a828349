//! The log of operator chat. Entries refer to their subjects; payloads are encoded when they are emitted.

use rusqlite::params;

use super::column_codec::{from_json, to_json};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::event::ChatLogEntry;

/// Entries that are kept; older ones are pruned by each append.
const KEPT: i64 = 100_000;

impl Reader<'_> {
    /// Entries after a position, each with its `seq`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_events_after(
        &self,
        seq: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ChatLogEntry, Millis)>, StoreError> {
        self.all(
            "SELECT seq, subject, at FROM chat_events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            params![seq, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                let entry = from_json(&row.get::<_, String>("subject")?, "chat event")?;
                Ok((row.get("seq")?, entry, Millis(row.get("at")?)))
            },
        )
    }

    /// The position of the oldest entry that is kept; 0 if there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn oldest_chat_event(&self) -> Result<i64, StoreError> {
        self.number("SELECT min(seq) FROM chat_events", [])
    }

    /// The position of the newest entry; 0 if there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn newest_chat_event(&self) -> Result<i64, StoreError> {
        self.number("SELECT max(seq) FROM chat_events", [])
    }
}

impl Tx<'_> {
    /// Appends an entry to the log; its readers are woken after the commit.
    ///
    /// # Errors
    /// When the store fails.
    pub fn append_chat_event(&self, entry: &ChatLogEntry, at: Millis) -> Result<(), StoreError> {
        let seq = self.number(
            "INSERT INTO chat_events (kind, conversation_id, user_pk, subject, at)
             VALUES (?1, ?2, ?3, ?4, ?5) RETURNING seq",
            params![
                entry.kind(),
                entry.conversation().map(|id| id.0),
                entry.user().map(|user| user.0),
                to_json(entry, "chat event")?,
                at.0
            ],
        )?;
        self.run("DELETE FROM chat_events WHERE seq <= ?1", [seq - KEPT])?;
        self.note_chat_appended(seq);
        Ok(())
    }
}
