//! Messages by the client's own id, so that a repeated send stores nothing.

use rusqlite::params;

use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};

impl Reader<'_> {
    /// The message that a user sent with this id after a time.
    ///
    /// # Errors
    /// When the store fails.
    pub fn sent_with_temp_id(
        &self,
        user: UserPk,
        conversation: ConversationId,
        temp_id: &str,
        after: Millis,
    ) -> Result<Option<ChatMessageId>, StoreError> {
        self.one(
            "SELECT message_id FROM chat_send_dedup
             WHERE user_pk = ?1 AND conversation_id = ?2 AND temp_id = ?3 AND at > ?4",
            params![user.0, conversation.0, temp_id, after.0],
            |row| Ok(ChatMessageId(row.get(0)?)),
        )
    }
}

impl Tx<'_> {
    /// Records the id of a send, and prunes those before `oldest`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_temp_id(
        &self,
        user: UserPk,
        conversation: ConversationId,
        temp_id: &str,
        sent: (ChatMessageId, Millis),
        oldest: Millis,
    ) -> Result<(), StoreError> {
        self.run("DELETE FROM chat_send_dedup WHERE at <= ?1", [oldest.0])?;
        self.run(
            "INSERT INTO chat_send_dedup (user_pk, conversation_id, temp_id, message_id, at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (user_pk, conversation_id, temp_id)
                 DO UPDATE SET message_id = excluded.message_id, at = excluded.at",
            params![user.0, conversation.0, temp_id, sent.0.0, sent.1.0],
        )?;
        Ok(())
    }
}
