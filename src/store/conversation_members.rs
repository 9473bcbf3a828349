//! Members of conversations, with their count of unread messages.

use rusqlite::params;

use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::room::SMALL_ROOM_MEMBERS;

impl Reader<'_> {
    /// The unread messages of a user in a direct conversation.
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
        let mut unread = self.number(
            "SELECT CAST(sum(unread) AS BIGINT) FROM conversation_members WHERE user_pk = ?1",
            [user.0],
        )?;
        for room in self.room_ids_of(user)? {
            unread += self.unread_in_room(room, user)?;
        }
        Ok(unread)
    }

    /// The conversations of a user with unread messages, and their number.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unread_by_conversation(&self, user: UserPk) -> Result<Vec<(ConversationId, i64)>, StoreError> {
        let mut unread = self.all(
            "SELECT conversation_id, unread FROM conversation_members WHERE user_pk = ?1 AND unread > 0",
            [user.0],
            |row| Ok((ConversationId(row.get(0)?), row.get(1)?)),
        )?;
        for room in self.room_ids_of(user)? {
            let count = self.unread_in_room(room, user)?;
            unread.extend((count > 0).then_some((room, count)));
        }
        unread.sort_unstable();
        Ok(unread)
    }

    /// The number of a user's conversations.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversation_count(&self, user: UserPk) -> Result<i64, StoreError> {
        self.number("SELECT count(*) FROM conversation_members WHERE user_pk = ?1", [user.0])
    }

    /// The users who share a direct conversation or a small room with a user.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversation_partners(&self, user: UserPk) -> Result<Vec<UserPk>, StoreError> {
        self.all(
            "SELECT DISTINCT o.user_pk FROM conversation_members a
             JOIN conversations c ON c.id = a.conversation_id AND c.member_count <= ?2
             JOIN conversation_members o ON o.conversation_id = a.conversation_id
             WHERE a.user_pk = ?1 AND o.user_pk <> ?1",
            params![user.0, i64::try_from(SMALL_ROOM_MEMBERS).unwrap_or(i64::MAX)],
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

    pub(super) fn count_new_message(
        &self,
        id: ConversationId,
        newest: ChatMessageId,
        sender: UserPk,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversation_members
             SET activity = ?2, unread = unread + CASE WHEN user_pk = ?3 THEN 0 ELSE 1 END
             WHERE conversation_id = ?1",
            [id.0, newest.0, sender.0],
        )?;
        Ok(())
    }

    /// Counts a deleted message no longer as unread by the members who did not read it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn count_deleted_message(
        &self,
        id: ConversationId,
        deleted: ChatMessageId,
        sender: UserPk,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversation_members SET unread = unread - 1
             WHERE conversation_id = ?1 AND user_pk <> ?3 AND unread > 0
                 AND NOT EXISTS (
                     SELECT 1 FROM chat_receipt_ranges r
                     WHERE r.conversation_id = ?1 AND r.user_pk = conversation_members.user_pk AND r.level = 'read'
                         AND +r.first_id <= ?2 AND r.last_id >= ?2)
                 AND NOT EXISTS (
                     SELECT 1 FROM chat_receipts_through t
                     WHERE t.conversation_id = ?1 AND t.user_pk = conversation_members.user_pk AND t.level = 'read'
                         AND t.message_id >= ?2)",
            [id.0, deleted.0, sender.0],
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
    /// that has no message yet; of a room it also says which message was the newest.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_from_list(&self, id: ConversationId, user: UserPk) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversation_members SET activity = -1 - CASE WHEN role IS NULL THEN 0 ELSE
                 coalesce((SELECT last_message_id FROM conversations WHERE id = ?2), 0) END
             WHERE user_pk = ?1 AND conversation_id = ?2",
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
