//! Conversations that are bound to a chat of a device. Their messages refer to the device's messages.

use rusqlite::params;

use super::chat_messages::{MESSAGE_COLUMNS, chat_message};
use super::chat_receipt_ranges::ReceiptOwner;
use super::error::StoreError;
use super::messages::{COLUMNS, Pk, tracked};
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::message::TrackedMessage;
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::inbox::BridgeMode;
use crate::domain::operator_chat::message::ChatMessage;
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::user::CONTACTS;

/// Older messages of a chat that a new conversation gets.
const IMPORTED: i64 = 1_000;

/// The row of a device conversation.
#[derive(Debug, Clone, Copy)]
pub struct DeviceConversation {
    /// The conversation.
    pub id: ConversationId,
    /// The user that stands for the contact.
    pub contact: UserPk,
}

#[derive(serde::Deserialize)]
struct BridgeSettings {
    #[serde(default)]
    chat: Bridge,
}

#[derive(Default, serde::Deserialize)]
struct Bridge {
    #[serde(default)]
    bridge: BridgeMode,
}

impl Reader<'_> {
    /// The mode in which a device has conversations.
    ///
    /// # Errors
    /// When the store fails.
    pub fn bridge_mode(&self, device: &DeviceId) -> Result<BridgeMode, StoreError> {
        let settings = self.one("SELECT settings FROM devices WHERE id = ?1", [device.as_str()], |row| {
            Ok(row.get::<_, String>(0)?)
        })?;
        let bridge = settings.and_then(|text| serde_json::from_str::<BridgeSettings>(&text).ok());
        Ok(bridge.map_or(BridgeMode::Off, |settings| settings.chat.bridge))
    }

    /// The name of a chat, if the network gave it one: the subject of a group.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_subject(&self, device: &DeviceId, chat: &Jid) -> Result<Option<String>, StoreError> {
        let name = self.one(
            "SELECT name FROM chats WHERE device_id = ?1 AND id = ?2",
            params![device.as_str(), chat.to_string()],
            |row| Ok(row.get::<_, Option<String>>(0)?),
        )?;
        Ok(name.flatten())
    }

    /// The conversation of a chat.
    ///
    /// # Errors
    /// When the store fails.
    pub fn device_conversation(
        &self,
        device: &DeviceId,
        chat: &Jid,
    ) -> Result<Option<DeviceConversation>, StoreError> {
        self.one(
            "SELECT id, contact_user FROM conversations WHERE device_id = ?1 AND chat_id = ?2",
            params![device.as_str(), chat.to_string()],
            |row| {
                let contact = UserPk(row.get("contact_user")?);
                Ok(DeviceConversation { id: ConversationId(row.get("id")?), contact })
            },
        )
    }

    /// The conversation with a contact.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversation_with_contact(&self, contact: UserPk) -> Result<Option<ConversationId>, StoreError> {
        self.one("SELECT id FROM conversations WHERE contact_user = ?1", [contact.0], |row| {
            Ok(ConversationId(row.get(0)?))
        })
    }

    /// The ids of conversations of a device, those with the newest messages first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn device_conversations(
        &self,
        device: &DeviceId,
        limit: usize,
    ) -> Result<Vec<ConversationId>, StoreError> {
        self.all(
            "SELECT id FROM conversations WHERE device_id = ?1 ORDER BY last_message_id DESC LIMIT ?2",
            params![device.as_str(), i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| Ok(ConversationId(row.get(0)?)),
        )
    }

    /// The unread messages of the chat of a device conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unread_of_device_conversation(&self, id: ConversationId) -> Result<i64, StoreError> {
        // The chat may have been deleted; the conversation stays.
        self.number(
            "SELECT coalesce(max(h.unread), 0) FROM conversations c
             JOIN chats h ON h.device_id = c.device_id AND h.id = c.chat_id WHERE c.id = ?1",
            [id.0],
        )
    }

    /// The device's message behind a message of a conversation, with reactions and votes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn linked_message(&self, id: ChatMessageId) -> Result<Option<TrackedMessage>, StoreError> {
        let pk = self.one("SELECT message_pk FROM chat_messages WHERE id = ?1", [id.0], |row| {
            Ok(row.get::<_, Option<Pk>>(0)?)
        })?;
        let Some(pk) = pk.flatten() else { return Ok(None) };
        let sql = format!(
            "SELECT {COLUMNS}, m.status, m.failure_code, m.failure_message
             FROM messages m WHERE m.pk = ?1 AND m.hidden = 0"
        );
        let mut found = self.one(&sql, [pk], tracked)?;
        if let Some(tracked) = &mut found {
            self.attach_responses(&mut [(pk, &mut tracked.message)])?;
        }
        Ok(found)
    }

    /// The message of a conversation that refers to a device's message.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_message_of(&self, message: Pk) -> Result<Option<ChatMessage>, StoreError> {
        let sql = format!("SELECT {MESSAGE_COLUMNS} FROM chat_messages m WHERE m.message_pk = ?1");
        self.one(&sql, [message], chat_message)
    }

    /// The row of a device's message.
    ///
    /// # Errors
    /// When the store fails.
    pub fn message_pk(&self, device: &DeviceId, id: &MessageId) -> Result<Option<Pk>, StoreError> {
        Ok(self.ack_row(device, id)?.map(|row| row.pk))
    }
}

impl Tx<'_> {
    /// The user that writes as the device without being an operator, such as the phone.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_system_author(&self, id: &str, name: &str, now: Millis) -> Result<UserPk, StoreError> {
        let known =
            self.one("SELECT pk FROM users WHERE tenant = ?1 AND id = ?2", params![CONTACTS, id], |row| {
                Ok(UserPk(row.get(0)?))
            })?;
        if let Some(pk) = known {
            return Ok(pk);
        }
        Ok(UserPk(self.number(
            "INSERT INTO users (tenant, id, name, created_at) VALUES (?1, ?2, ?3, ?4) RETURNING pk",
            params![CONTACTS, id, name, now.0],
        )?))
    }

    /// Creates the conversation of a chat with its contact, and imports the newest messages before `message`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn create_device_conversation(
        &self,
        device: &DeviceId,
        chat: &Jid,
        phone: UserPk,
        message: Pk,
        now: Millis,
    ) -> Result<DeviceConversation, StoreError> {
        let contact = self.put_device_contact(device, chat, now)?;
        let id = ConversationId(self.number(
            "INSERT INTO conversations (tenant, kind, device_id, chat_id, contact_user, created_at)
             VALUES (?1, 'device', ?2, ?3, ?4, ?5) RETURNING id",
            params![CONTACTS, device.as_str(), chat.to_string(), contact.0, now.0],
        )?);
        if chat.is_group() {
            self.import_group_messages(id, (device, chat), phone, message, now)?;
            self.set_newest_of_conversation(id)?;
            return Ok(DeviceConversation { id, contact });
        }
        self.run(
            "INSERT INTO chat_messages (conversation_id, sender, type, content, created_at, message_pk)
             SELECT ?1, CASE WHEN o.from_me THEN ?2 ELSE ?3 END, 'TEXT', '', o.at, o.pk
             FROM (SELECT pk, from_me, at FROM messages
                   WHERE device_id = ?4 AND chat_id = ?5 AND hidden = 0 AND pk < ?6
                     AND NOT EXISTS (SELECT 1 FROM chat_messages k WHERE k.message_pk = messages.pk)
                   ORDER BY at DESC, pk DESC LIMIT ?7) o
             ORDER BY o.at, o.pk",
            params![id.0, phone.0, contact.0, device.as_str(), chat.to_string(), message, IMPORTED],
        )?;
        self.set_newest_of_conversation(id)?;
        Ok(DeviceConversation { id, contact })
    }

    /// As the import of a chat with a person; each member of the group is an author.
    fn import_group_messages(
        &self,
        id: ConversationId,
        (device, chat): (&DeviceId, &Jid),
        phone: UserPk,
        message: Pk,
        now: Millis,
    ) -> Result<(), StoreError> {
        let older = self.all(
            "SELECT o.pk, o.from_me, o.author, o.notify_name, o.at
             FROM (SELECT pk, from_me, author, notify_name, at FROM messages
                   WHERE device_id = ?1 AND chat_id = ?2 AND hidden = 0 AND pk < ?3
                     AND NOT EXISTS (SELECT 1 FROM chat_messages k WHERE k.message_pk = messages.pk)
                   ORDER BY at DESC, pk DESC LIMIT ?4) o
             ORDER BY o.at, o.pk",
            params![device.as_str(), chat.to_string(), message, IMPORTED],
            |row| {
                let author = row.get::<_, Option<String>>("author")?;
                let author = author.and_then(|author| author.parse::<Jid>().ok());
                let name = row.get::<_, Option<String>>("notify_name")?;
                Ok((
                    row.get::<_, Pk>("pk")?,
                    row.get::<_, bool>("from_me")?,
                    author,
                    name,
                    row.get::<_, i64>("at")?,
                ))
            },
        )?;
        for (pk, from_me, author, name, at) in older {
            let sender = match author.filter(|_| !from_me) {
                Some(author) => {
                    let member = self.put_device_contact(device, &author, now)?;
                    self.name_chat_contact(member, &name.unwrap_or_else(|| author.as_name()))?;
                    member
                }
                None => phone,
            };
            self.run(
                "INSERT INTO chat_messages (conversation_id, sender, type, content, created_at, message_pk)
                 VALUES (?1, ?2, 'TEXT', '', ?3, ?4)",
                [id.0, sender.0, at, pk],
            )?;
        }
        Ok(())
    }

    fn set_newest_of_conversation(&self, id: ConversationId) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversations SET last_message_id =
                 (SELECT max(id) FROM chat_messages WHERE conversation_id = ?1) WHERE id = ?1",
            [id.0],
        )?;
        Ok(())
    }

    /// Renames a contact, unless it has this name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn name_chat_contact(&self, contact: UserPk, name: &str) -> Result<(), StoreError> {
        self.run(
            "UPDATE users SET name = ?2 WHERE pk = ?1 AND name IS DISTINCT FROM ?2",
            params![contact.0, name],
        )?;
        Ok(())
    }

    /// Adds a reference to a device's message as the newest message of a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add_linked_message(
        &self,
        conversation: ConversationId,
        sender: UserPk,
        temp_id: Option<&str>,
        message: Pk,
        at: Millis,
    ) -> Result<ChatMessageId, StoreError> {
        let previous = self.newest_chat_message(conversation)?;
        let at = previous.map_or(at, |previous| previous.created_at.max(at));
        let id = self.number(
            "INSERT INTO chat_messages (conversation_id, sender, type, content, temp_id, created_at, message_pk)
             VALUES (?1, ?2, 'TEXT', '', ?3, ?4, ?5) RETURNING id",
            params![conversation.0, sender.0, temp_id, at.0, message],
        )?;
        self.run("UPDATE conversations SET last_message_id = ?2 WHERE id = ?1", [conversation.0, id])?;
        Ok(ChatMessageId(id))
    }

    /// Gives the conversation of one chat to another chat. If both have one, the messages and the contact's
    /// receipts go to the conversation of `kept`.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn merge_device_conversations(
        &self,
        device: &DeviceId,
        second: &Jid,
        kept: &Jid,
    ) -> Result<(), StoreError> {
        if second == kept {
            return Ok(());
        }
        let Some((user, other)) = self.merge_device_contacts(device, second, kept)? else { return Ok(()) };
        let remove_other = || -> Result<(), StoreError> {
            if let Some(other) = other.filter(|other| *other != user) {
                self.run("DELETE FROM users WHERE pk = ?1", [other.0])?;
            }
            Ok(())
        };
        let Some(gone) = self.device_conversation(device, second)? else { return remove_other() };
        let Some(into) = self.device_conversation(device, kept)? else {
            self.run(
                "UPDATE conversations SET chat_id = ?2 WHERE id = ?1",
                params![gone.id.0, kept.to_string()],
            )?;
            return remove_other();
        };
        self.run(
            "UPDATE chat_messages SET conversation_id = ?2, sender = CASE WHEN sender = ?3 THEN ?4 ELSE sender END
             WHERE conversation_id = ?1",
            [gone.id.0, into.id.0, gone.contact.0, into.contact.0],
        )?;
        self.forget_receipts_through(gone.id)?;
        self.forget_receipts_through(into.id)?;
        for level in [ReceiptLevel::Delivered, ReceiptLevel::Read] {
            let owner =
                |of: &DeviceConversation| ReceiptOwner { conversation: of.id, user: of.contact, level };
            for range in self.receipt_ranges(&owner(&gone), 1, i64::MAX)?.ranges() {
                self.add_receipts(&owner(&into), range.first, range.last, range.at)?;
            }
        }
        self.set_newest_of_conversation(into.id)?;
        self.merge_inbox_status(gone.id, into.id)?;
        self.merge_response_times(gone.id, into.id)?;
        self.run("DELETE FROM chat_receipt_ranges WHERE conversation_id = ?1", [gone.id.0])?;
        self.run("DELETE FROM conversations WHERE id = ?1", [gone.id.0])?;
        remove_other()
    }
}
