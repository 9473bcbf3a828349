//! Chats whose clearing was announced but is not finished; it resumes after a crash.

use rusqlite::{Row, params};

use super::column_codec::parsed;
use super::error::StoreError;
use super::messages::Pk;
use super::tx::{Reader, Tx};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;

/// A chat that is being cleared.
#[derive(Debug, Clone)]
pub struct PendingClear {
    /// Row id; `None` before the first write.
    pub id: Option<i64>,
    /// The device of the chat.
    pub device: DeviceId,
    /// The chat.
    pub chat: Jid,
    /// The last message to remove.
    pub up_to: Pk,
    /// Whether starred messages stay.
    pub keep_starred: bool,
    /// Whether the chat itself is deleted too.
    pub deletes: bool,
}

impl Reader<'_> {
    /// All unfinished clearings.
    ///
    /// # Errors
    /// When the store fails.
    pub fn clearings(&self) -> Result<Vec<PendingClear>, StoreError> {
        let sql = "SELECT id, device_id, chat_id, up_to, keep_starred, deletes FROM clearings ORDER BY id";
        self.all(sql, [], clearing)
    }
}

impl Tx<'_> {
    /// Records a clearing that needs more than one write. Returns its row id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn begin_clearing(&self, clearing: &PendingClear) -> Result<i64, StoreError> {
        self.run(
            "INSERT INTO clearings (device_id, chat_id, up_to, keep_starred, deletes) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                clearing.device.as_str(),
                clearing.chat.to_string(),
                clearing.up_to,
                clearing.keep_starred,
                clearing.deletes
            ],
        )?;
        Ok(self.last_row())
    }

    /// Removes a finished clearing.
    ///
    /// # Errors
    /// When the store fails.
    pub fn end_clearing(&self, id: i64) -> Result<(), StoreError> {
        self.run("DELETE FROM clearings WHERE id = ?1", [id])?;
        Ok(())
    }
}

fn clearing(row: &Row<'_>) -> Result<PendingClear, StoreError> {
    Ok(PendingClear {
        id: Some(row.get("id")?),
        device: parsed(row, "device_id", "device id")?,
        chat: parsed(row, "chat_id", "chat id")?,
        up_to: row.get("up_to")?,
        keep_starred: row.get("keep_starred")?,
        deletes: row.get("deletes")?,
    })
}
