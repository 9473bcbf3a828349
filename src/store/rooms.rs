//! Members of rooms, the lists of a user's conversations for the native REST API, and deleted rooms.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Row, params};

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

/// Rooms whose members one thread keeps.
const MAX_LISTS: usize = 16;
/// The most unread messages that are counted.
const MAX_COUNTED: i64 = 10_000;
/// The rooms of a user that the list shows.
const LISTED_ROOMS: &str = "FROM conversation_members a JOIN conversations c ON c.id = a.conversation_id \
     WHERE a.user_pk = ?1 AND a.role IS NOT NULL AND c.deleted_at IS NULL \
         AND (a.activity >= 0 OR c.last_message_id > -1 - a.activity)";
const ROOM_POSITION: &str = "coalesce(c.last_message_id, 0)";

thread_local! {
    /// The members of rooms that were read lately, so that a message does not read them all. The version of a list is a
    /// random number of the snapshot's row, which proves that the list is right.
    static MEMBERS: RefCell<HashMap<ConversationId, MemberList>> = RefCell::default();
}

struct MemberList {
    version: i64,
    members: Arc<[RoomMember]>,
}

impl MemberList {
    fn of(&self, version: i64) -> Option<Arc<[RoomMember]>> {
        (self.version == version).then(|| self.members.clone())
    }
}

/// A room in the list of one of its members.
#[derive(Debug, Clone)]
pub struct ListedRoom {
    /// The id.
    pub id: ConversationId,
    /// The title.
    pub title: Option<String>,
    /// When it was created.
    pub created_at: Millis,
}

impl Reader<'_> {
    /// The members of a room, in the order of their rows. `version` is that of the conversation's row.
    pub(super) fn room_members(
        &self,
        id: ConversationId,
        version: i64,
    ) -> Result<Arc<[RoomMember]>, StoreError> {
        if let Some(known) = MEMBERS.with_borrow(|lists| lists.get(&id)?.of(version)) {
            return Ok(known);
        }
        let members = self.all(
            "SELECT user_pk, role FROM conversation_members WHERE conversation_id = ?1 ORDER BY user_pk",
            [id.0],
            |row| {
                Ok(RoomMember { user: UserPk(row.get("user_pk")?), role: parsed(row, "role", "room role")? })
            },
        )?;
        let members: Arc<[RoomMember]> = members.into();
        MEMBERS.with_borrow_mut(|lists| {
            if lists.len() >= MAX_LISTS {
                lists.clear();
            }
            lists.insert(id, MemberList { version, members: members.clone() });
        });
        Ok(members)
    }

    /// The rooms of a user.
    pub(super) fn room_ids_of(&self, user: UserPk) -> Result<Vec<ConversationId>, StoreError> {
        self.all(
            "SELECT conversation_id FROM conversation_members WHERE user_pk = ?1 AND role IS NOT NULL
             ORDER BY conversation_id",
            [user.0],
            |row| Ok(ConversationId(row.get(0)?)),
        )
    }

    /// The unread messages of a member of a room, at most 10,000.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unread_in_room(&self, id: ConversationId, user: UserPk) -> Result<i64, StoreError> {
        let owner = ReceiptOwner { conversation: id, user, level: ReceiptLevel::Read };
        let through = self.receipts_through(&owner)?;
        self.number(
            "SELECT count(*) FROM (
                 SELECT 1 FROM chat_messages m
                 WHERE m.conversation_id = ?1 AND m.id > ?2 AND m.sender <> ?3
                     AND NOT EXISTS (
                         SELECT 1 FROM chat_receipt_ranges r
                         WHERE r.conversation_id = ?1 AND r.user_pk = ?3 AND r.level = 'read'
                             AND +r.first_id <= m.id AND r.last_id >= m.id)
                 LIMIT ?4) AS counted",
            [id.0, through, user.0, MAX_COUNTED],
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
            &format!("SELECT c.id, c.title, c.created_at {LISTED_ROOMS} ORDER BY {ROOM_POSITION} DESC, c.id DESC LIMIT ?2"),
            params![user.0, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                Ok(ListedRoom {
                    id: ConversationId(row.get("id")?),
                    title: row.get("title")?,
                    created_at: Millis(row.get("created_at")?),
                })
            },
        )
    }

    /// Direct conversations, and then rooms, of a user before a position: its newest message, or 0 without messages, and
    /// its id. Of each kind those with the newest messages are first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversation_positions_of(
        &self,
        user: UserPk,
        before: (i64, i64),
        limit: usize,
    ) -> Result<Vec<(i64, ConversationId)>, StoreError> {
        let params = [user.0, before.0, before.1, i64::try_from(limit).unwrap_or(i64::MAX)];
        let read = |row: &Row<'_>| Ok((row.get("position")?, ConversationId(row.get("id")?)));
        let mut found = self.all(
            "SELECT activity AS position, conversation_id AS id FROM conversation_members
             WHERE user_pk = ?1 AND role IS NULL AND activity >= 0 AND (activity, conversation_id) < (?2, ?3)
             ORDER BY activity DESC, conversation_id DESC LIMIT ?4",
            params,
            read,
        )?;
        found.extend(self.all(
            &format!(
                "SELECT {ROOM_POSITION} AS position, c.id {LISTED_ROOMS} AND ({ROOM_POSITION}, c.id) < (?2, ?3)
                 ORDER BY position DESC, c.id DESC LIMIT ?4"
            ),
            params,
            read,
        )?);
        Ok(found)
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
        let read = |row: &Row<'_>| Ok((row.get("position")?, ConversationId(row.get("id")?)));
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
            self.run(
                "INSERT INTO conversation_members (user_pk, conversation_id, role) VALUES (?1, ?2, ?3)
                 ON CONFLICT (user_pk, conversation_id) DO UPDATE SET role = excluded.role",
                params![member.user.0, id.0, member.role.as_str()],
            )?;
            for level in [ReceiptLevel::Delivered, ReceiptLevel::Read] {
                let owner = ReceiptOwner { conversation: id, user: member.user, level };
                self.set_receipts_through(&owner, newest)?;
            }
        }
        self.members_changed(id)
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
        self.members_changed(id)
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
        self.members_changed(id)
    }

    fn members_changed(&self, id: ConversationId) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversations SET members_version = random(), member_count =
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
