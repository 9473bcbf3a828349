//! Stored files: metadata, references from messages and uploads, and the secret that signs download
//! addresses.

use rusqlite::{Row, params};

use super::column_codec::parsed;
use super::error::StoreError;
use super::messages::Pk;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::media::{Dimensions, MediaHash, StoredMedia};

/// A file in the order of age, for pruning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaUsage {
    /// When the file was last stored.
    pub stored_at: Millis,
    /// Hash of the file.
    pub hash: MediaHash,
    /// Its size in bytes.
    pub filesize: u64,
}

/// A file that a client has uploaded to a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Upload {
    /// The file.
    pub file: StoredMedia,
    /// The file name given by the client.
    pub filename: Option<String>,
}

/// The columns that [`stored_media`] reads, of the table `f`.
pub(super) const FILE_COLUMNS: &str =
    "f.hash, f.mimetype, f.filesize, f.duration, f.width, f.height, f.has_thumbnail";

/// True when no message, no upload and no file of operator chat refers to the file `f`.
const UNUSED: &str = "NOT EXISTS (SELECT 1 FROM messages m WHERE m.media_hash = f.hash)
    AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.hash = f.hash)
    AND NOT EXISTS (SELECT 1 FROM chat_files c WHERE c.hash = f.hash)";

/// True when no queued outbound message and no message of operator chat needs the file `f`.
const NOT_WAITED_FOR: &str = "NOT EXISTS (
    SELECT 1 FROM messages m JOIN outbox o ON o.message_pk = m.pk WHERE m.media_hash = f.hash)
    AND NOT EXISTS (SELECT 1 FROM chat_files c WHERE c.hash = f.hash)";

/// The bytes of the files that clients stored for a device without one of its files. Triggers maintain both tables.
pub(super) const BYTES_OF_DEVICE: &str = "SELECT s.bytes - coalesce(
         (SELECT f.filesize FROM device_files f WHERE f.device_id = ?1 AND f.hash = ?2), 0)
     FROM device_file_sizes s WHERE s.device_id = ?1";

impl Reader<'_> {
    /// The secret that signs the addresses of a device's files; `None` for a removed device.
    ///
    /// # Errors
    /// When the store fails.
    pub fn media_secret(&self, device: &DeviceId) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.one("SELECT media_secret FROM devices WHERE id = ?1", [device.as_str()], |row| {
            Ok(row.get::<_, Option<Vec<u8>>>(0)?)
        })?;
        Ok(found.flatten())
    }

    /// Devices without a secret for signing file addresses.
    ///
    /// # Errors
    /// When the store fails.
    pub fn devices_without_media_secret(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.all("SELECT id FROM devices WHERE media_secret IS NULL", [], |row| {
            parsed(row, "id", "device id")
        })
    }

    /// A file's metadata; `None` when the store does not have the file (any more).
    ///
    /// # Errors
    /// When the store fails.
    pub fn media(&self, hash: &MediaHash) -> Result<Option<StoredMedia>, StoreError> {
        self.one(
            &format!("SELECT {FILE_COLUMNS} FROM media f WHERE f.hash = ?1"),
            [hash.as_str()],
            stored_media,
        )
    }

    /// A file uploaded to this device, by its upload id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn upload(&self, device: &DeviceId, id: &str) -> Result<Option<Upload>, StoreError> {
        self.one(
            &format!(
                "SELECT {FILE_COLUMNS}, u.filename FROM uploads u JOIN media f ON f.hash = u.hash
                 WHERE u.id = ?1 AND u.device_id = ?2"
            ),
            [id, device.as_str()],
            |row| Ok(Upload { file: stored_media(row)?, filename: row.get("filename")? }),
        )
    }

    /// Total size of all files in bytes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn media_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.number("SELECT sum(filesize) FROM media", [])?.try_into().unwrap_or(0))
    }

    /// Total size in bytes of the files that clients stored for a device: its uploads and the files of its own
    /// messages. One file can be left out.
    ///
    /// # Errors
    /// When the store fails.
    pub fn media_bytes_of_device(
        &self,
        device: &DeviceId,
        except: Option<&MediaHash>,
    ) -> Result<u64, StoreError> {
        let bytes =
            self.number(BYTES_OF_DEVICE, params![device.as_str(), except.map_or("", MediaHash::as_str)])?;
        Ok(bytes.try_into().unwrap_or(0))
    }

    /// Unreferenced files that were last stored before `cutoff`, after the given position.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unused_media(
        &self,
        cutoff: Millis,
        after: Option<&MediaHash>,
        limit: i64,
    ) -> Result<Vec<MediaHash>, StoreError> {
        self.all(
            &format!(
                "SELECT f.hash FROM media f WHERE f.hash > ?1 AND f.stored_at < ?2 AND {UNUSED}
                 ORDER BY f.hash LIMIT ?3"
            ),
            params![after.map_or("", MediaHash::as_str), cutoff.0, limit],
            |row| parsed(row, "hash", "media hash"),
        )
    }

    /// Files that were last stored before `cutoff` and that neither a queued outbound message nor a message of
    /// operator chat needs, oldest first, after the given position.
    ///
    /// # Errors
    /// When the store fails.
    pub fn old_media(
        &self,
        cutoff: Millis,
        after: Option<&MediaUsage>,
        limit: i64,
    ) -> Result<Vec<MediaUsage>, StoreError> {
        let (at, hash) = after.map_or((i64::MIN, ""), |place| (place.stored_at.0, place.hash.as_str()));
        self.all(
            &format!(
                "SELECT f.hash, f.filesize, f.stored_at FROM media f
                 WHERE (f.stored_at, f.hash) > (?1, ?2) AND f.stored_at < ?3 AND {NOT_WAITED_FOR}
                 ORDER BY f.stored_at, f.hash LIMIT ?4"
            ),
            params![at, hash, cutoff.0, limit],
            |row| {
                Ok(MediaUsage {
                    stored_at: Millis(row.get("stored_at")?),
                    hash: parsed(row, "hash", "media hash")?,
                    filesize: size(row)?,
                })
            },
        )
    }
}

pub(super) fn stored_media(row: &Row<'_>) -> Result<StoredMedia, StoreError> {
    let dimensions = row.get::<_, Option<u32>>("width")?.zip(row.get::<_, Option<u32>>("height")?);
    Ok(StoredMedia {
        hash: parsed(row, "hash", "media hash")?,
        mimetype: row.get("mimetype")?,
        filesize: size(row)?,
        duration: row.get("duration")?,
        dimensions: dimensions.map(|(width, height)| Dimensions { width, height }),
        has_thumbnail: row.get("has_thumbnail")?,
    })
}

fn size(row: &Row<'_>) -> Result<u64, StoreError> {
    row.get::<_, i64>("filesize")?.try_into().map_err(|_| StoreError::Unreadable("file size"))
}

impl Tx<'_> {
    /// Replaces the secret that signs a device's file addresses; all earlier addresses become invalid.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_media_secret(&self, device: &DeviceId, secret: &[u8]) -> Result<(), StoreError> {
        self.run("UPDATE devices SET media_secret = ?2 WHERE id = ?1", params![device.as_str(), secret])?;
        Ok(())
    }

    /// Records that a file was stored, or stored again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_media(&self, file: &StoredMedia, now: Millis) -> Result<(), StoreError> {
        let (width, height) = file.dimensions.map(|d| (d.width, d.height)).unzip();
        self.run(
            "INSERT INTO media (hash, mimetype, filesize, duration, width, height, has_thumbnail, stored_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET mimetype = excluded.mimetype, duration = excluded.duration,
                 width = excluded.width, height = excluded.height,
                 has_thumbnail = max(has_thumbnail, excluded.has_thumbnail),
                 stored_at = max(stored_at, excluded.stored_at)",
            params![
                file.hash.as_str(),
                file.mimetype,
                i64::try_from(file.filesize).unwrap_or(i64::MAX),
                file.duration,
                width,
                height,
                file.has_thumbnail,
                now.0,
            ],
        )?;
        Ok(())
    }

    /// Records an upload, so that a client may send the file by its upload id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_upload(
        &self,
        device: &DeviceId,
        id: &str,
        hash: &MediaHash,
        filename: Option<&str>,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO uploads (id, device_id, hash, filename, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id, device.as_str(), hash.as_str(), filename, now.0],
        )?;
        Ok(())
    }

    /// Prunes uploads from before `cutoff`; returns `true` while there are more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune_uploads(&self, cutoff: Millis, batch: i64) -> Result<bool, StoreError> {
        let removed = self.run(
            "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE at < ?1 ORDER BY at LIMIT ?2)",
            params![cutoff.0, batch],
        )?;
        Ok(removed > 0)
    }

    /// Removes uploads that an own message, about to be revoked, may have been sent from: earlier uploads of
    /// the same file to its device. They stay when another message of the device has the file.
    ///
    /// # Errors
    /// When the store fails.
    pub fn forget_uploads_of(&self, message: Pk, hash: &MediaHash) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM uploads WHERE hash = ?2
             AND EXISTS (SELECT 1 FROM messages m WHERE m.pk = ?1 AND m.from_me = 1
                 AND m.device_id = uploads.device_id AND m.stored_at >= uploads.at)
             AND NOT EXISTS (SELECT 1 FROM messages m
                 WHERE m.media_hash = ?2 AND m.device_id = uploads.device_id AND m.pk <> ?1)",
            params![message, hash.as_str()],
        )?;
        Ok(())
    }

    /// Detaches a file from uploads and from messages that are not queued; returns `true` while there are
    /// more. The file's metadata in the messages stays.
    ///
    /// # Errors
    /// When the store fails.
    pub fn detach_media(&self, hash: &MediaHash, batch: i64) -> Result<bool, StoreError> {
        self.run("DELETE FROM uploads WHERE hash = ?1", [hash.as_str()])?;
        let changed = self.run(
            "UPDATE messages SET media_hash = NULL WHERE pk IN (
                 SELECT m.pk FROM messages m WHERE m.media_hash = ?1
                 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.message_pk = m.pk) LIMIT ?2)",
            params![hash.as_str(), batch],
        )?;
        Ok(changed > 0)
    }

    /// Removes an unreferenced file. Returns `false` when it is referenced or not stored.
    ///
    /// # Errors
    /// When the store fails.
    pub fn forget_media(&self, hash: &MediaHash) -> Result<bool, StoreError> {
        let sql = format!("DELETE FROM media AS f WHERE f.hash = ?1 AND {UNUSED}");
        Ok(self.run(&sql, [hash.as_str()])? > 0)
    }
}
