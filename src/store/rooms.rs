//! Members of rooms, the lists of a user's conversations for the native REST API, and deleted rooms.

use rusqlite::params;

use super::chat_receipt_ranges::ReceiptOwner;
use super::column_codec::parsed;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use super::users::{USER_COLUMNS, chat_user};
use crate::domain::clock::Millis;
use crate::domain::media::MediaHash;
use crate::domain::operator_chat::ids::{ChatFileId, ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::room::{NamedMember, RoomMember, RoomRole};

/// A room in the list of one of its members.
#[derive(Debug, Clone)]
pub struct ListedRoom {
    /// The id.
    pub id: ConversationId,
    /// The title.
    pub title: Option<String>,
    /// The number of members.
    pub members: i64,
    /// Messages that the member has not read.
    pub unread: i64,
    /// When it was created.
    pub created_at: Millis,
}

impl Reader<'_> {
    /// The members of a room.
    ///
    /// # Errors
    /// When the store fails.
    pub fn room_members(&self, id: ConversationId) -> Result<Vec<RoomMember>, StoreError> {
        self.all(
            "SELECT user_pk, role FROM conversation_members WHERE conversation_id = ?1 ORDER BY user_pk",
            [id.0],
            |row| {
                Ok(RoomMember { user: UserPk(row.get("user_pk")?), role: parsed(row, "role", "room role")? })
            },
        )
    }

    /// Members of a room after a row, in the order of their rows.
    ///
    /// # Errors
    /// When the store fails.
    pub fn named_room_members(
        &self,
        id: ConversationId,
        after: UserPk,
        limit: usize,
    ) -> Result<Vec<NamedMember>, StoreError> {
        self.all(
            &format!(
                "SELECT {USER_COLUMNS}, a.role AS room_role
                 FROM conversation_members a JOIN users u ON u.pk = a.user_pk
                 WHERE a.conversation_id = ?1 AND a.user_pk > ?2 ORDER BY a.user_pk LIMIT ?3"
            ),
            params![id.0, after.0, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| Ok(NamedMember { user: chat_user(row)?, role: parsed(row, "room_role", "room role")? }),
        )
    }

    /// Rooms of a user, those with the newest messages first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn rooms_of(&self, user: UserPk, limit: usize) -> Result<Vec<ListedRoom>, StoreError> {
        self.all(
            "SELECT c.id, c.title, c.member_count, c.created_at, a.unread
             FROM conversation_members a JOIN conversations c ON c.id = a.conversation_id AND c.kind = 'room'
             WHERE a.user_pk = ?1 AND a.activity >= 0 AND c.deleted_at IS NULL
             ORDER BY a.activity DESC, a.conversation_id DESC LIMIT ?2",
            params![user.0, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                Ok(ListedRoom {
                    id: ConversationId(row.get("id")?),
                    title: row.get("title")?,
                    members: row.get("member_count")?,
                    unread: row.get("unread")?,
                    created_at: Millis(row.get("created_at")?),
                })
            },
        )
    }

    /// Direct conversations and rooms of a user before a position: its newest message, or 0 without messages, and its
    /// id. Those with the newest messages are first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversation_positions_of(
        &self,
        user: UserPk,
        before: (i64, i64),
        limit: usize,
    ) -> Result<Vec<(i64, ConversationId)>, StoreError> {
        self.all(
            "SELECT activity AS position, conversation_id AS id FROM conversation_members
             WHERE user_pk = ?1 AND activity >= 0 AND (activity, conversation_id) < (?2, ?3)
             ORDER BY activity DESC, conversation_id DESC LIMIT ?4",
            params![user.0, before.0, before.1, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| Ok((row.get("position")?, ConversationId(row.get("id")?))),
        )
    }

    /// Direct conversations and rooms of all users before a position.
    ///
    /// # Errors
    /// When the store fails.
    pub fn positions_of_users(
        &self,
        before: (i64, i64),
        limit: usize,
    ) -> Result<Vec<(i64, ConversationId)>, StoreError> {
        let select = "SELECT coalesce(last_message_id, 0) AS position, id FROM conversations";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = |row: &rusqlite::Row<'_>| Ok((row.get("position")?, ConversationId(row.get("id")?)));
        let mut found = self.all(
            &format!(
                "{select} WHERE device_id IS NULL AND last_message_id IS NOT NULL AND deleted_at IS NULL
                     AND (last_message_id, id) < (?1, ?2) ORDER BY last_message_id DESC, id DESC LIMIT ?3"
            ),
            [before.0, before.1, limit],
            read,
        )?;
        let room = limit - i64::try_from(found.len()).unwrap_or(i64::MAX);
        let below = if before.0 > 0 { i64::MAX } else { before.1 };
        found.extend(self.all(
            &format!(
                "{select} WHERE device_id IS NULL AND last_message_id IS NULL AND deleted_at IS NULL AND id < ?1
                 ORDER BY id DESC LIMIT ?2"
            ),
            [below, room],
            read,
        )?);
        Ok(found)
    }
}

impl Tx<'_> {
    /// Adds members. They have nothing unread, and no receipts for earlier messages.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add_room_members(&self, id: ConversationId, members: &[RoomMember]) -> Result<(), StoreError> {
        let newest = self.newest_chat_message(id)?.map_or(0, |newest| newest.id.0);
        for member in members {
            self.add_conversation_member(id, member.user, member.role)?;
            for level in [ReceiptLevel::Delivered, ReceiptLevel::Read] {
                let owner = ReceiptOwner { conversation: id, user: member.user, level };
                self.set_receipts_through(&owner, newest)?;
            }
            self.run(
                "UPDATE conversation_members SET activity = ?3 WHERE user_pk = ?1 AND conversation_id = ?2",
                [member.user.0, id.0, newest],
            )?;
        }
        self.count_room_members(id)
    }

    /// Replaces the role of a member.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_room_role(&self, id: ConversationId, user: UserPk, role: RoomRole) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversation_members SET role = ?3 WHERE user_pk = ?1 AND conversation_id = ?2",
            params![user.0, id.0, role.as_str()],
        )?;
        Ok(())
    }

    /// Removes a member.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_room_member(&self, id: ConversationId, user: UserPk) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM conversation_members WHERE user_pk = ?1 AND conversation_id = ?2",
            [user.0, id.0],
        )?;
        self.count_room_members(id)
    }

    fn count_room_members(&self, id: ConversationId) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversations SET member_count =
                 (SELECT count(*) FROM conversation_members WHERE conversation_id = ?1) WHERE id = ?1",
            [id.0],
        )?;
        Ok(())
    }

    /// Replaces the title of a room.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_room_title(&self, id: ConversationId, title: Option<&str>) -> Result<(), StoreError> {
        self.run("UPDATE conversations SET title = ?2 WHERE id = ?1", params![id.0, title])?;
        Ok(())
    }

    /// Deletes a room for all its members. Its messages are deleted in steps by [`Tx::purge_deleted_room`].
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_room(&self, id: ConversationId, now: Millis) -> Result<(), StoreError> {
        self.run("DELETE FROM conversation_members WHERE conversation_id = ?1", [id.0])?;
        self.run("UPDATE conversations SET deleted_at = ?2 WHERE id = ?1", [id.0, now.0])?;
        Ok(())
    }

    /// Deletes a part of a deleted room for good, and returns the files that no message refers to any more; `None` if
    /// nothing is left to delete.
    ///
    /// # Errors
    /// When the store fails.
    pub fn purge_deleted_room(&self, batch: usize) -> Result<Option<Vec<MediaHash>>, StoreError> {
        let sql = "SELECT id FROM conversations WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT 1";
        let Some(id) = self.one(sql, [], |row| Ok(row.get::<_, i64>(0)?))? else { return Ok(None) };
        let limit = i64::try_from(batch).unwrap_or(i64::MAX);
        let messages = self.all(
            "SELECT id, file_id FROM chat_messages WHERE conversation_id = ?1 ORDER BY id LIMIT ?2",
            [id, limit],
            |row| Ok((ChatMessageId(row.get(0)?), row.get::<_, Option<i64>>(1)?)),
        )?;
        let mut released = Vec::new();
        for (message, file) in &messages {
            self.delete_chat_message(*message)?;
            if let Some(file) = file {
                released.extend(self.release_chat_file(ChatFileId(*file))?);
            }
        }
        if messages.len() == batch {
            return Ok(Some(released));
        }
        for sql in [
            "DELETE FROM chat_receipt_ranges WHERE (conversation_id, user_pk, level, first_id) IN (
                 SELECT conversation_id, user_pk, level, first_id FROM chat_receipt_ranges
                 WHERE conversation_id = ?1 LIMIT ?2)",
            "DELETE FROM chat_receipts_through WHERE (conversation_id, user_pk, level) IN (
                 SELECT conversation_id, user_pk, level FROM chat_receipts_through
                 WHERE conversation_id = ?1 LIMIT ?2)",
        ] {
            if self.run(sql, [id, limit])? == batch {
                return Ok(Some(released));
            }
        }
        self.run("DELETE FROM conversations WHERE id = ?1", [id])?;
        Ok(Some(released))
    }
}
