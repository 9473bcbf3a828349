//! What was done here and the network has not been told yet, in order. Bounded for each device.

use std::borrow::Cow;

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::column_codec::{from_json, parsed, to_json};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;

/// Entries that one device may have; of more, the oldest go.
pub const MAX_UNTOLD: usize = 1_000;

/// Something that the network is to be told of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum PendingSync {
    /// These messages were read.
    Read {
        /// Which.
        messages: Vec<MessageId>,
    },
    /// It was put away, or brought back.
    Archive {
        /// Whether.
        on: bool,
    },
    /// It was pinned, or not any more.
    Pin {
        /// Whether.
        on: bool,
    },
    /// It was silenced, or not any more.
    Mute {
        /// Whether.
        on: bool,
        /// Until when; for ever when `None`.
        until: Option<Millis>,
    },
    /// A message of it was starred, or not any more.
    Star {
        /// Which.
        id: MessageId,
        /// Whether.
        on: bool,
    },
}

impl PendingSync {
    /// What a later one of the same chat takes the place of; reads are added to each other.
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

/// An entry of the list.
#[derive(Debug, Clone)]
pub struct PendingSyncRow {
    /// Where it stands.
    pub id: i64,
    /// Of which chat.
    pub chat: Jid,
    /// What.
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
    /// Puts something on a device's list. How many old entries had to go for it.
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
            params![device.as_str(), i64::try_from(MAX_UNTOLD).unwrap_or(i64::MAX)],
        )
    }

    /// Something newer of the same kind makes what was to be told of this chat void.
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

    /// The network was told, or does not want to hear of it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_untold(&self, id: i64) -> Result<(), StoreError> {
        self.run("DELETE FROM untold WHERE id = ?1", [id])?;
        Ok(())
    }

    /// There is nobody any more who could be told.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_pending_sync(&self, device: &DeviceId) -> Result<(), StoreError> {
        self.run("DELETE FROM untold WHERE device_id = ?1", [device.as_str()])?;
        Ok(())
    }
}
