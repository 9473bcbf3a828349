//! The sessions of operator chat that a client can recover, and the conversations that each joined.

use rusqlite::params;

use super::column_codec::parsed;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::chat_session::{SessionRoom, StoredChatSession};
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::ids::{ConversationId, UserPk};

impl Reader<'_> {
    /// The session with the hash of a private id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_session(&self, pid_hash: &[u8; 32]) -> Result<Option<StoredChatSession>, StoreError> {
        self.one(
            "SELECT pk, user_pk, dialect, started_after, closed_at FROM chat_sessions WHERE pid_hash = ?1",
            [pid_hash],
            |row| {
                Ok(StoredChatSession {
                    pk: row.get(0)?,
                    user: UserPk(row.get(1)?),
                    dialect: parsed(row, 2, "dialect of a chat session")?,
                    started_after: row.get(3)?,
                    closed_at: row.get::<_, Option<i64>>(4)?.map(Millis),
                })
            },
        )
    }

    /// The conversations that a session joined.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_session_rooms(&self, session: i64) -> Result<Vec<SessionRoom>, StoreError> {
        self.all(
            "SELECT conversation_id, joined_after, by_peer FROM chat_session_rooms WHERE session_pk = ?1",
            [session],
            |row| {
                Ok(SessionRoom {
                    conversation: ConversationId(row.get(0)?),
                    joined_after: row.get(1)?,
                    by_peer: row.get(2)?,
                })
            },
        )
    }

    /// The conversations that the closed sessions of a user in one dialect joined by the id of the other user, of
    /// sessions closed since a time.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_rooms_of_closed_sessions(
        &self,
        user: UserPk,
        dialect: Dialect,
        since: Millis,
    ) -> Result<Vec<ConversationId>, StoreError> {
        self.all(
            "SELECT DISTINCT room.conversation_id FROM chat_sessions session
             JOIN chat_session_rooms room ON room.session_pk = session.pk
             WHERE session.user_pk = ?1 AND session.closed_at >= ?2 AND session.dialect = ?3 AND room.by_peer = 1
             ORDER BY room.conversation_id",
            params![user.0, since.0, dialect.as_str()],
            |row| Ok(ConversationId(row.get(0)?)),
        )
    }
}

impl Tx<'_> {
    /// Stores a new session, and returns its number.
    ///
    /// # Errors
    /// When the store fails.
    pub fn insert_chat_session(
        &self,
        pid_hash: &[u8; 32],
        user: UserPk,
        dialect: Dialect,
        started_after: i64,
    ) -> Result<i64, StoreError> {
        self.number(
            "INSERT INTO chat_sessions (pid_hash, user_pk, dialect, started_after) VALUES (?1, ?2, ?3, ?4)
             RETURNING pk",
            params![pid_hash, user.0, dialect.as_str(), started_after],
        )
    }

    /// Sets the end of a session; none when its socket is connected again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_chat_session_end(&self, session: i64, closed_at: Option<Millis>) -> Result<(), StoreError> {
        self.run(
            "UPDATE chat_sessions SET closed_at = ?2 WHERE pk = ?1",
            params![session, closed_at.map(|at| at.0)],
        )?;
        Ok(())
    }

    /// Sets the end of all sessions that have none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn end_open_chat_sessions(&self, closed_at: Millis) -> Result<(), StoreError> {
        self.run("UPDATE chat_sessions SET closed_at = ?1 WHERE closed_at IS NULL", [closed_at.0])?;
        Ok(())
    }

    /// Stores that a session joined a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_chat_session_room(&self, session: i64, room: &SessionRoom) -> Result<(), StoreError> {
        // A room of a session that was deleted meanwhile would stay for ever.
        self.run(
            "INSERT INTO chat_session_rooms (session_pk, conversation_id, joined_after, by_peer)
             SELECT pk, ?2, ?3, ?4 FROM chat_sessions WHERE pk = ?1
             ON CONFLICT DO UPDATE SET by_peer = max(by_peer, excluded.by_peer)",
            params![session, room.conversation.0, room.joined_after, room.by_peer],
        )?;
        Ok(())
    }

    /// Stores that a session left a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_chat_session_room(
        &self,
        session: i64,
        conversation: ConversationId,
    ) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM chat_session_rooms WHERE session_pk = ?1 AND conversation_id = ?2",
            params![session, conversation.0],
        )?;
        Ok(())
    }

    /// Deletes at most `limit` sessions that were closed before a time, and returns their number.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_chat_sessions_closed_before(&self, at: Millis, limit: usize) -> Result<usize, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let closed: Vec<i64> = self.all(
            "SELECT pk FROM chat_sessions WHERE closed_at < ?1 LIMIT ?2",
            params![at.0, limit],
            |row| Ok(row.get(0)?),
        )?;
        for session in &closed {
            self.run("DELETE FROM chat_session_rooms WHERE session_pk = ?1", [session])?;
            self.run("DELETE FROM chat_sessions WHERE pk = ?1", [session])?;
        }
        Ok(closed.len())
    }
}
