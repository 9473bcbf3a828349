//! Imports an exported chat as history: without events, and each message at most once.

use rusqlite::params;

use super::column_codec::parsed;
use super::error::StoreError;
use super::message_changes::AuthoredChange;
use super::messages::{NewMessage, Pk};
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::export::document::{ChatHead, ExportedMessage};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::media::{MediaHash, StoredMedia};

impl Reader<'_> {
    /// A file that a message or an upload of this device refers to, by its hash. Only such a file may be
    /// attached to an imported message by hash alone. The metadata comes from the store.
    ///
    /// # Errors
    /// When the store fails.
    pub fn file_of_device(
        &self,
        device: &DeviceId,
        hash: &MediaHash,
    ) -> Result<Option<StoredMedia>, StoreError> {
        let refers = self.number(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE media_hash = ?2 AND device_id = ?1)
                 OR EXISTS (SELECT 1 FROM uploads WHERE hash = ?2 AND device_id = ?1)",
            params![device.as_str(), hash.as_str()],
        )?;
        if refers == 0 { Ok(None) } else { self.media(hash) }
    }

    /// People with this name in the address book or as their own name; at most two.
    ///
    /// # Errors
    /// When the store fails.
    pub fn people_called(&self, device: &DeviceId, name: &str) -> Result<Vec<Jid>, StoreError> {
        self.all(
            "SELECT id FROM contacts WHERE device_id = ?1 AND (address_book_name = ?2 OR pushname = ?2) LIMIT 2",
            params![device.as_str(), name],
            |row| parsed(row, "id", "contact id"),
        )
    }
}

impl Tx<'_> {
    /// Adds an exported message. Returns `None` when the device has it or removed it earlier.
    ///
    /// # Errors
    /// When the store fails.
    pub fn import_message(
        &self,
        device: &DeviceId,
        imported: &ExportedMessage,
        now: Millis,
    ) -> Result<Option<Pk>, StoreError> {
        let message = &imported.message;
        let new =
            NewMessage { message, status: imported.status, stored_at: now, unread: false, temp_id: None };
        let Some(pk) = self.insert_message(device, &new)? else { return Ok(None) };
        self.touch_chat(device, &message.chat_id, pk, message.timestamp, false)?;
        if let Some(failure) = &imported.failure {
            self.set_ack(pk, message.ack, imported.status, Some(failure))?;
        }
        if message.media.as_ref().is_some_and(|media| !media.available) {
            self.run("UPDATE messages SET media_hash = NULL WHERE pk = ?1", [pk])?;
        }
        if let Some(at) = imported.edited_at {
            self.run("UPDATE messages SET edited_at = ?2 WHERE pk = ?1", params![pk, at.0])?;
        }
        for receipt in &imported.receipts {
            self.merge_receipt(pk, &receipt.participant, receipt.ack, receipt.timestamp)?;
        }
        self.import_sayings(pk, imported)?;
        Ok(Some(pk))
    }

    fn import_sayings(&self, pk: Pk, imported: &ExportedMessage) -> Result<(), StoreError> {
        let message = &imported.message;
        for (number, reaction) in message.reactions.iter().enumerate() {
            let at = imported.reacted_at.get(number).copied().unwrap_or(message.timestamp);
            let change = AuthoredChange { by: &reaction.from, from_me: reaction.from_me, at };
            self.react(pk, change, &reaction.emoji)?;
        }
        for vote in message.poll.iter().flat_map(|poll| &poll.votes) {
            // Votes are stored without the flag for our own vote.
            let change = AuthoredChange { by: &vote.voter, from_me: false, at: vote.timestamp };
            self.vote(pk, change, &vote.options)?;
        }
        Ok(())
    }

    /// Stores a person's name, unless the device has one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn import_contact(&self, device: &DeviceId, id: &Jid, name: &str) -> Result<(), StoreError> {
        let has_name = self.contact(device, id)?.is_some_and(|contact| contact.name != id.as_name());
        if id.is_group() || has_name {
            return Ok(());
        }
        let pushname = (name != id.as_name() && !name.is_empty()).then(|| name.to_owned());
        self.merge_contact(device, &ContactUpdate { pushname, ..ContactUpdate::seen(id.clone()) })?;
        Ok(())
    }

    /// Creates an exported chat unless the device has it. [`Tx::refresh_chat`] updates its last message after
    /// the import.
    ///
    /// # Errors
    /// When the store fails.
    pub fn import_chat(&self, device: &DeviceId, chat: &ChatHead) -> Result<(), StoreError> {
        // A person's chat takes the name of the contact.
        let name = chat.id.is_group().then_some(&chat.name).filter(|name| **name != chat.id.as_name());
        if !chat.id.is_group() {
            self.import_contact(device, &chat.id, &chat.name)?;
        }
        self.run(
            "INSERT INTO chats (device_id, id, name, pinned, archived, muted, muted_until, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (device_id, id) DO NOTHING",
            params![
                device.as_str(),
                chat.id.to_string(),
                name,
                chat.pinned,
                chat.archived,
                chat.muted,
                chat.muted_until.map(|until| until.0),
                chat.timestamp.0
            ],
        )?;
        Ok(())
    }
}
