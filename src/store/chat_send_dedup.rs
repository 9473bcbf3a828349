//! Messages by the client's own id, and sends of two channels, so that a repeated send stores nothing.

use rusqlite::params;

use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::send_dedup::SendChannel;

/// A send of a client that sends each message on two channels.
#[derive(Debug, Clone, Copy)]
pub struct ChannelSend<'a> {
    /// The author.
    pub user: UserPk,
    /// The conversation.
    pub conversation: ConversationId,
    /// How it was sent.
    pub channel: SendChannel,
    /// A digest of the content.
    pub digest: &'a [u8],
    /// When it was received.
    pub at: Millis,
}

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
    /// The number that a send shares with the matching one of the other channel. It is that of the oldest
    /// unmatched one after `oldest`, or a new one. Earlier sends are pruned.
    ///
    /// # Errors
    /// When the store fails.
    pub fn match_channel_send(&self, send: &ChannelSend<'_>, oldest: Millis) -> Result<i64, StoreError> {
        self.run("DELETE FROM chat_channel_sends WHERE at <= ?1", [oldest.0])?;
        let ChannelSend { user, conversation, channel, digest, at } = *send;
        let matching: Option<i64> = self.one(
            "SELECT id FROM chat_channel_sends
             WHERE user_pk = ?1 AND conversation_id = ?2 AND channel = ?3 AND digest = ?4
             ORDER BY id LIMIT 1",
            params![user.0, conversation.0, channel.other().as_str(), digest],
            |row| Ok(row.get(0)?),
        )?;
        if let Some(number) = matching {
            self.run("DELETE FROM chat_channel_sends WHERE id = ?1", [number])?;
            return Ok(number);
        }
        self.number(
            "INSERT INTO chat_channel_sends (user_pk, conversation_id, channel, digest, at)
             VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
            params![user.0, conversation.0, channel.as_str(), digest, at.0],
        )
    }

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
