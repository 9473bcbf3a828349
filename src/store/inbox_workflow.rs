//! The state and the assignee of device conversations, and the messages that exist only there: internal notes
//! and system messages. None of these refers to a device's message.

use rusqlite::params;

use super::column_codec::parsed;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::assignment::{ConversationState, InboxFilter, InboxStatus};
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::message::{ChatMessage, ChatMessageKind};
use crate::domain::operator_chat::note::InternalNote;

/// The author of a note or of a system message, and the client's own id of it, as JSON.
#[derive(Debug, Clone, Copy)]
pub struct InboxAuthor<'a> {
    /// The user.
    pub user: UserPk,
    /// The client's own id.
    pub temp_id: Option<&'a str>,
}

impl Reader<'_> {
    /// The state and the assignee of a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox_status(&self, id: ConversationId) -> Result<InboxStatus, StoreError> {
        let found = self.one("SELECT state, assignee FROM conversations WHERE id = ?1", [id.0], |row| {
            let assignee: Option<i64> = row.get("assignee")?;
            let state = parsed(row, "state", "state of a conversation")?;
            Ok(InboxStatus { state, assignee: assignee.map(UserPk) })
        })?;
        Ok(found.unwrap_or(InboxStatus { state: ConversationState::Open, assignee: None }))
    }

    /// The users to whom conversations of a device are assigned.
    ///
    /// # Errors
    /// When the store fails.
    pub fn assignees_of(&self, device: &DeviceId) -> Result<Vec<UserPk>, StoreError> {
        self.all(
            "SELECT DISTINCT assignee FROM conversations WHERE device_id = ?1 AND assignee IS NOT NULL",
            [device.as_str()],
            |row| Ok(UserPk(row.get(0)?)),
        )
    }

    /// The devices with conversations that are assigned to a user.
    ///
    /// # Errors
    /// When the store fails.
    pub fn devices_with_assignee(&self, user: UserPk) -> Result<Vec<DeviceId>, StoreError> {
        self.all(
            "SELECT DISTINCT device_id FROM conversations WHERE assignee = ?1 AND assignee IS NOT NULL",
            [user.0],
            |row| parsed(row, "device_id", "device id"),
        )
    }

    /// The conversations of a device that are assigned to a user.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversations_assigned_to(
        &self,
        user: UserPk,
        device: &DeviceId,
    ) -> Result<Vec<ConversationId>, StoreError> {
        self.all(
            "SELECT id FROM conversations WHERE assignee = ?1 AND device_id = ?2 AND assignee IS NOT NULL ORDER BY id",
            params![user.0, device.as_str()],
            |row| Ok(ConversationId(row.get(0)?)),
        )
    }

    /// The devices that have conversations.
    ///
    /// # Errors
    /// When the store fails.
    pub fn bridged_devices(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.all(
            "SELECT DISTINCT device_id FROM conversations WHERE device_id IS NOT NULL ORDER BY device_id",
            [],
            |row| parsed(row, "device_id", "device id"),
        )
    }

    /// Conversations of a device whose newest message is before an id, newest first, each with that message.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox_page(
        &self,
        device: &DeviceId,
        filter: InboxFilter,
        before: (i64, i64),
        limit: usize,
    ) -> Result<Vec<(i64, ConversationId)>, StoreError> {
        let (newest, id) = before;
        let state = filter.state.map(ConversationState::as_str);
        let (is_assigned, assignee) =
            (filter.assignee.is_some(), filter.assignee.flatten().map(|user| user.0));
        let mut found = self.all(
            "SELECT id, last_message_id FROM conversations
             WHERE device_id = ?1 AND last_message_id < ?2 AND (?3 IS NULL OR state = ?3)
                 AND (?4 = 0 OR assignee IS NOT DISTINCT FROM ?5)
             ORDER BY last_message_id DESC LIMIT ?6",
            params![device.as_str(), newest, state, is_assigned, assignee, sql_number(limit)],
            |row| Ok((row.get("last_message_id")?, ConversationId(row.get("id")?))),
        )?;
        let below = if newest > 0 { i64::MAX } else { id };
        found.extend(self.all(
            "SELECT id FROM conversations
             WHERE device_id = ?1 AND last_message_id IS NULL AND id < ?2 AND (?3 IS NULL OR state = ?3)
                 AND (?4 = 0 OR assignee IS NOT DISTINCT FROM ?5)
             ORDER BY id DESC LIMIT ?6",
            params![device.as_str(), below, state, is_assigned, assignee, sql_number(limit - found.len())],
            |row| Ok((0, ConversationId(row.get("id")?))),
        )?);
        Ok(found)
    }
}

impl Tx<'_> {
    /// Replaces the assignee of a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_assignee(&self, id: ConversationId, assignee: Option<UserPk>) -> Result<(), StoreError> {
        let assignee = assignee.map(|user| user.0);
        self.run("UPDATE conversations SET assignee = ?2 WHERE id = ?1", params![id.0, assignee])?;
        Ok(())
    }

    /// Replaces the state of a conversation. Returns `false` if it has this state.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_conversation_state(
        &self,
        id: ConversationId,
        state: ConversationState,
    ) -> Result<bool, StoreError> {
        let changed = self.run(
            "UPDATE conversations SET state = ?2 WHERE id = ?1 AND state <> ?2",
            params![id.0, state.as_str()],
        )?;
        if changed > 0 {
            self.reset_response_times(id)?;
        }
        Ok(changed > 0)
    }

    /// Adds an internal note as the newest message of a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add_note(
        &self,
        id: ConversationId,
        author: InboxAuthor<'_>,
        note: &InternalNote,
        at: Millis,
    ) -> Result<ChatMessage, StoreError> {
        self.add_inbox_only_message(id, author, note.stored_text(), at)
    }

    /// Adds a system message as the newest message of a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add_system_message(
        &self,
        id: ConversationId,
        author: InboxAuthor<'_>,
        text: &str,
        at: Millis,
    ) -> Result<ChatMessage, StoreError> {
        self.add_inbox_only_message(id, author, text, at)
    }

    /// An id for a message that is not stored. No other message gets it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn take_chat_message_id(
        &self,
        id: ConversationId,
        author: UserPk,
        at: Millis,
    ) -> Result<ChatMessageId, StoreError> {
        let taken = self.number(
            "INSERT INTO chat_messages (conversation_id, sender, type, content, created_at)
             VALUES (?1, ?2, ?3, '', ?4) RETURNING id",
            params![id.0, author.0, ChatMessageKind::System.as_str(), at.0],
        )?;
        self.run("DELETE FROM chat_messages WHERE id = ?1", [taken])?;
        Ok(ChatMessageId(taken))
    }

    fn add_inbox_only_message(
        &self,
        id: ConversationId,
        author: InboxAuthor<'_>,
        text: &str,
        at: Millis,
    ) -> Result<ChatMessage, StoreError> {
        let previous = self.newest_chat_message(id)?;
        let at = previous.map_or(at, |previous| previous.created_at.max(at));
        let kind = ChatMessageKind::System;
        let message = ChatMessageId(self.number(
            "INSERT INTO chat_messages (conversation_id, sender, type, content, temp_id, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
            params![id.0, author.user.0, kind.as_str(), text, author.temp_id, at.0],
        )?);
        self.set_last_of_conversation(id, Some(message))?;
        Ok(ChatMessage {
            id: message,
            conversation: id,
            sender: author.user,
            kind,
            content: text.to_owned(),
            attachment_url: None,
            attachment_name: None,
            file: None,
            temp_id: author.temp_id.map(str::to_owned),
            created_at: at,
        })
    }

    /// Merges the state and the assignee of a conversation into another: open wins, and the assignee stays.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn merge_inbox_status(
        &self,
        gone: ConversationId,
        into: ConversationId,
    ) -> Result<(), StoreError> {
        let gone = self.inbox_status(gone)?;
        if gone.state == ConversationState::Open {
            self.set_conversation_state(into, ConversationState::Open)?;
        }
        if self.inbox_status(into)?.assignee.is_none() {
            self.set_assignee(into, gone.assignee)?;
        }
        Ok(())
    }
}

fn sql_number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
