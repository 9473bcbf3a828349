//! Files that users of operator chat uploaded. A message of a direct conversation refers to its file; garbage collection
//! keeps the content of every file that has a row here.

use rusqlite::params;

use super::column_codec::parsed;
use super::error::StoreError;
use super::media::{FILE_COLUMNS, stored_media};
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::media::{MediaHash, StoredMedia};
use crate::domain::operator_chat::ids::{ChatFileId, UserPk};

/// An uploaded file.
#[derive(Debug, Clone, PartialEq)]
pub struct UploadedChatFile {
    /// The id.
    pub id: ChatFileId,
    /// The file name.
    pub filename: String,
    /// The stored file.
    pub file: StoredMedia,
    /// The secret that signs its URL.
    pub secret: Vec<u8>,
}

impl Reader<'_> {
    /// An uploaded file.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_file(&self, id: ChatFileId) -> Result<Option<UploadedChatFile>, StoreError> {
        self.one(
            &format!(
                "SELECT {FILE_COLUMNS}, c.filename, c.secret
                 FROM chat_files c JOIN media f ON f.hash = c.hash WHERE c.id = ?1"
            ),
            [id.0],
            |row| {
                Ok(UploadedChatFile {
                    id,
                    filename: row.get("filename")?,
                    file: stored_media(row)?,
                    secret: row.get("secret")?,
                })
            },
        )
    }

    /// Total size in bytes of the files that a user uploaded. One file can be left out.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_file_bytes_of(&self, user: UserPk, except: Option<&MediaHash>) -> Result<u64, StoreError> {
        let bytes = self.number(
            "SELECT CAST(coalesce(sum(f.filesize), 0) AS BIGINT) FROM media f
             WHERE f.hash <> ?2 AND f.hash IN (SELECT c.hash FROM chat_files c WHERE c.user_pk = ?1)",
            params![user.0, except.map_or("", MediaHash::as_str)],
        )?;
        Ok(bytes.try_into().unwrap_or(0))
    }
}

impl Tx<'_> {
    /// Adds an uploaded file.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add_chat_file(
        &self,
        user: UserPk,
        hash: &MediaHash,
        filename: &str,
        secret: &[u8],
        now: Millis,
    ) -> Result<ChatFileId, StoreError> {
        let id = self.number(
            "INSERT INTO chat_files (user_pk, hash, filename, secret, at) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
            params![user.0, hash.as_str(), filename, secret, now.0],
        )?;
        Ok(ChatFileId(id))
    }

    /// Removes a file that no message refers to any more; returns its hash.
    ///
    /// # Errors
    /// When the store fails.
    pub fn release_chat_file(&self, id: ChatFileId) -> Result<Option<MediaHash>, StoreError> {
        self.one(
            "DELETE FROM chat_files WHERE id = ?1
                 AND NOT EXISTS (SELECT 1 FROM chat_messages m WHERE m.file_id = ?1) RETURNING hash",
            [id.0],
            |row| parsed(row, "hash", "media hash"),
        )
    }

    /// Prunes files from before `cutoff` that no message refers to; returns `true` while there are more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune_chat_files(&self, cutoff: Millis, batch: i64) -> Result<bool, StoreError> {
        let removed = self.run(
            "DELETE FROM chat_files WHERE id IN (
                 SELECT c.id FROM chat_files c
                 WHERE c.at < ?1 AND NOT EXISTS (SELECT 1 FROM chat_messages m WHERE m.file_id = c.id)
                 ORDER BY c.at LIMIT ?2)",
            params![cutoff.0, batch],
        )?;
        Ok(removed > 0)
    }
}
