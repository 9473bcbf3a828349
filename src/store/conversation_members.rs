//! Members of conversations, with their count of unread messages.

use rusqlite::params;

use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};

impl Reader<'_> {
    /// The unread messages of a member in a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unread_in_conversation(&self, id: ConversationId, user: UserPk) -> Result<i64, StoreError> {
        self.number(
            "SELECT unread FROM conversation_members WHERE user_pk = ?1 AND conversation_id = ?2",
            [user.0, id.0],
        )
    }

    /// The unread messages of a user in all conversations.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unread_of_user(&self, user: UserPk) -> Result<i64, StoreError> {
        self.number(
            "SELECT CAST(sum(unread) AS BIGINT) FROM conversation_members WHERE user_pk = ?1",
            [user.0],
        )
    }

    /// The conversations of a user with unread messages, and their number.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unread_by_conversation(&self, user: UserPk) -> Result<Vec<(ConversationId, i64)>, StoreError> {
        self.all(
            "SELECT conversation_id, unread FROM conversation_members WHERE user_pk = ?1 AND unread > 0
             ORDER BY conversation_id",
            [user.0],
            |row| Ok((ConversationId(row.get(0)?), row.get(1)?)),
        )
    }

    /// The number of a user's conversations.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversation_count(&self, user: UserPk) -> Result<i64, StoreError> {
        self.number("SELECT count(*) FROM conversation_members WHERE user_pk = ?1", [user.0])
    }

    /// The users who share a conversation with a user.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversation_partners(&self, user: UserPk) -> Result<Vec<UserPk>, StoreError> {
        self.all(
            "SELECT o.user_pk FROM conversation_members a
             JOIN conversation_members o ON o.conversation_id = a.conversation_id
             WHERE a.user_pk = ?1 AND o.user_pk <> ?1",
            [user.0],
            |row| Ok(UserPk(row.get(0)?)),
        )
    }
}

impl Tx<'_> {
    pub(super) fn add_conversation_member(&self, id: ConversationId, user: UserPk) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO conversation_members (user_pk, conversation_id) VALUES (?1, ?2)
             ON CONFLICT (user_pk, conversation_id) DO NOTHING",
            [user.0, id.0],
        )?;
        Ok(())
    }

    pub(super) fn set_conversation_activity(
        &self,
        id: ConversationId,
        newest: ChatMessageId,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversation_members SET activity = ?2 WHERE conversation_id = ?1",
            [id.0, newest.0],
        )?;
        Ok(())
    }

    /// Members who removed the conversation from their list do not get it back.
    pub(super) fn lower_conversation_activity(
        &self,
        id: ConversationId,
        newest: Option<ChatMessageId>,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversation_members SET activity = ?2 WHERE conversation_id = ?1 AND activity > ?2",
            params![id.0, newest.map_or(0, |newest| newest.0)],
        )?;
        Ok(())
    }

    /// Removes a conversation from a member's list until its next message. A negative number distinguishes it from one
    /// that has no message yet.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_from_list(&self, id: ConversationId, user: UserPk) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversation_members SET activity = -1 WHERE user_pk = ?1 AND conversation_id = ?2",
            [user.0, id.0],
        )?;
        Ok(())
    }

    /// Changes the unread messages of a member by a number, which may be negative.
    ///
    /// # Errors
    /// When the store fails.
    pub fn change_unread(&self, id: ConversationId, user: UserPk, by: i64) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversation_members SET unread = CASE WHEN unread + ?3 < 0 THEN 0 ELSE unread + ?3 END
             WHERE user_pk = ?1 AND conversation_id = ?2",
            params![user.0, id.0, by],
        )?;
        Ok(())
    }
}
