//! Changes to a whole chat: archive, pin, mute, clear, delete.

use rusqlite::params;

use super::error::StoreError;
use super::messages::Pk;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;

impl Reader<'_> {
    /// The newest row id of all messages; later messages get higher ones.
    ///
    /// # Errors
    /// When the store fails.
    pub fn newest_pk(&self) -> Result<Pk, StoreError> {
        self.number("SELECT max(pk) FROM messages", [])
    }

    /// Messages of a chat up to the given one that are neither removed nor queued for sending, oldest first,
    /// at most `limit`. With `keep_starred`, starred messages are left out.
    ///
    /// # Errors
    /// When the store fails.
    pub fn clearable(
        &self,
        device: &DeviceId,
        chat: &Jid,
        up_to: Pk,
        keep_starred: bool,
        limit: usize,
    ) -> Result<Vec<Pk>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(
            "SELECT pk FROM messages m WHERE device_id = ?1 AND chat_id = ?2 AND hidden = 0 AND pk <= ?3
                 AND NOT (?4 AND is_starred = 1)
                 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.message_pk = m.pk)
             ORDER BY at, pk LIMIT ?5",
            params![device.as_str(), chat.to_string(), up_to, keep_starred, limit],
            |row| Ok(row.get(0)?),
        )
    }
}

impl Tx<'_> {
    /// Archives or unarchives a chat. Returns `false` when nothing changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn archive_chat(&self, device: &DeviceId, id: &Jid, on: bool) -> Result<bool, StoreError> {
        let changed = self.run(
            "UPDATE chats SET archived = ?3 WHERE device_id = ?1 AND id = ?2 AND archived <> ?3",
            params![device.as_str(), id.to_string(), on],
        )?;
        Ok(changed > 0)
    }

    /// Pins or unpins a chat. Returns `false` when nothing changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn pin_chat(&self, device: &DeviceId, id: &Jid, on: bool) -> Result<bool, StoreError> {
        let changed = self.run(
            "UPDATE chats SET pinned = ?3 WHERE device_id = ?1 AND id = ?2 AND pinned <> ?3",
            params![device.as_str(), id.to_string(), on],
        )?;
        Ok(changed > 0)
    }

    /// Mutes a chat until a time (`Some(None)`: without an end) or unmutes it (`None`). Returns `false` when
    /// nothing changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn mute_chat(
        &self,
        device: &DeviceId,
        id: &Jid,
        mute: Option<Option<Millis>>,
    ) -> Result<bool, StoreError> {
        let until = mute.flatten().map(|until| until.0);
        let changed = self.run(
            "UPDATE chats SET muted = ?3, muted_until = ?4 WHERE device_id = ?1 AND id = ?2
                 AND (muted <> ?3 OR muted_until IS NOT ?4)",
            params![device.as_str(), id.to_string(), mute.is_some(), until],
        )?;
        Ok(changed > 0)
    }

    /// Deletes a chat. If messages remain (queued or newly arrived), the chat is reset to a new one instead.
    /// Returns `false` when there was none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_chat(&self, device: &DeviceId, id: &Jid) -> Result<bool, StoreError> {
        let key = params![device.as_str(), id.to_string()];
        let removed = self.run(
            "DELETE FROM chats WHERE device_id = ?1 AND id = ?2 AND NOT EXISTS (
                 SELECT 1 FROM messages m WHERE m.device_id = ?1 AND m.chat_id = ?2 AND m.hidden = 0)",
            key,
        )?;
        let kept = self.run(
            "UPDATE chats SET pinned = 0, archived = 0, muted = 0, muted_until = NULL
             WHERE device_id = ?1 AND id = ?2",
            key,
        )?;
        Ok(removed + kept > 0)
    }
}
