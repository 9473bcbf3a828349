//! Queue of local chat changes that the network has not received yet, in order and bounded per device.

use std::borrow::Cow;

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::column_codec::{from_json, parsed, to_json};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;

/// Entries per device; beyond that the oldest are dropped.
pub const MAX_PENDING_SYNC: usize = 1_000;

/// A chat change that is to be sent to the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum PendingSync {
    /// Messages were read.
    Read {
        /// Ids of the read messages.
        messages: Vec<MessageId>,
    },
    /// The chat was archived or unarchived.
    Archive {
        /// `true` archives, `false` unarchives.
        on: bool,
    },
    /// The chat was pinned or unpinned.
    Pin {
        /// `true` pins, `false` unpins.
        on: bool,
    },
    /// The chat was muted or unmuted.
    Mute {
        /// `true` mutes, `false` unmutes.
        on: bool,
        /// End of the mute; `None` mutes without an end.
        until: Option<Millis>,
    },
    /// A message of the chat was starred or unstarred.
    Star {
        /// Id of the message.
        id: MessageId,
        /// `true` stars, `false` removes the star.
        on: bool,
    },
}

impl PendingSync {
    /// Entries with the same kind and chat replace each other; `read` entries accumulate.
    fn kind(&self) -> Cow<'static, str> {
        match self {
            Self::Read { .. } => "read".into(),
            Self::Archive { .. } => "archive".into(),
            Self::Pin { .. } => "pin".into(),
            Self::Mute { .. } => "mute".into(),
            Self::Star { id, .. } => format!("star {id}").into(),
        }
    }
}

/// A queued change.
#[derive(Debug, Clone)]
pub struct PendingSyncRow {
    /// Position in the queue.
    pub id: i64,
    /// The changed chat.
    pub chat: Jid,
    /// The change.
    pub untold: PendingSync,
}

impl Reader<'_> {
    /// The first entries of a device, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn untold(&self, device: &DeviceId, limit: usize) -> Result<Vec<PendingSyncRow>, StoreError> {
        self.all(
            "SELECT id, chat_id, payload FROM untold WHERE device_id = ?1 ORDER BY id LIMIT ?2",
            params![device.as_str(), i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                Ok(PendingSyncRow {
                    id: row.get("id")?,
                    chat: parsed(row, "chat_id", "chat id")?,
                    untold: from_json(&row.get::<_, String>("payload")?, "untold change")?,
                })
            },
        )
    }
}

impl Tx<'_> {
    /// Queues a change. Returns how many old entries were dropped for it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_pending_sync(
        &self,
        device: &DeviceId,
        chat: &Jid,
        untold: &PendingSync,
        now: Millis,
    ) -> Result<usize, StoreError> {
        if !matches!(untold, PendingSync::Read { .. }) {
            self.supersede_pending_sync(device, chat, untold)?;
        }
        let payload = to_json(untold, "untold change")?;
        self.run(
            "INSERT INTO untold (device_id, chat_id, kind, payload, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![device.as_str(), chat.to_string(), untold.kind(), payload, now.0],
        )?;
        self.run(
            "DELETE FROM untold WHERE device_id = ?1 AND id IN (
                 SELECT id FROM untold WHERE device_id = ?1 ORDER BY id DESC LIMIT -1 OFFSET ?2)",
            params![device.as_str(), i64::try_from(MAX_PENDING_SYNC).unwrap_or(i64::MAX)],
        )
    }

    /// Removes a chat's queued changes of the same kind, which a newer change replaces.
    ///
    /// # Errors
    /// When the store fails.
    pub fn supersede_pending_sync(
        &self,
        device: &DeviceId,
        chat: &Jid,
        newer: &PendingSync,
    ) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM untold WHERE device_id = ?1 AND chat_id = ?2 AND kind = ?3",
            params![device.as_str(), chat.to_string(), newer.kind()],
        )?;
        Ok(())
    }

    /// Removes an entry that the network has received or rejected.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_pending_sync_entry(&self, id: i64) -> Result<(), StoreError> {
        self.run("DELETE FROM untold WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Removes all entries of a device that is no longer linked.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_pending_sync(&self, device: &DeviceId) -> Result<(), StoreError> {
        self.run("DELETE FROM untold WHERE device_id = ?1", [device.as_str()])?;
        Ok(())
    }
}
