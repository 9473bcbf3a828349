//! The id of the event logs, and the file beside the database that detects an older copy of it.
//!
//! Invariant: after an older copy replaced the database, the id differs, because positions are used again. A copy is
//! detected if events were appended to the original at least one recording before its end.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use super::open;
use super::tx::Reader;
use crate::domain::ids::DeviceId;

const POSITIONS: &str = "SELECT coalesce(sum(last_seq), 0) FROM log_heads";
/// Bytes of the id.
const ID_BYTES: usize = 8;

/// The content of the file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    log_id: String,
    /// The sum of the newest positions of all logs, which only grows.
    position: i64,
}

/// The id of the logs of this database.
pub(super) struct LogIdentity {
    id: String,
    file: PathBuf,
    recorded: Mutex<Recorded>,
}

#[derive(Default)]
struct Recorded {
    /// The position in the file.
    position: Option<i64>,
    /// Whether the last attempt failed, and was logged.
    has_failed: bool,
}

impl LogIdentity {
    /// Reads the id. Makes a new one for a new database, and for one whose file has a newer position.
    pub(super) fn open(connection: &Connection, data_dir: &Path) -> Result<Self, StoreError> {
        let file = data_dir.join("wharf.position");
        let stored = connection
            .query_row("SELECT log_id FROM log_identity", [], |row| row.get::<_, String>(0))
            .optional()?;
        let position: i64 = connection.query_row(POSITIONS, [], |row| row.get(0))?;
        let marker = read(&file);
        let is_older_copy = |id: &String| {
            marker.as_ref().is_some_and(|marker| marker.log_id == *id && marker.position > position)
        };
        let id = match stored {
            Some(id) if !is_older_copy(&id) => id,
            stored => {
                if stored.is_some() {
                    tracing::warn!(
                        "the database is older than its last run: clients that resume load their chats anew"
                    );
                }
                let id = new_id();
                connection
                    .execute("INSERT OR REPLACE INTO log_identity (one, log_id) VALUES (1, ?1)", [&id])?;
                id
            }
        };
        let position = marker.filter(|marker| marker.log_id == id).map(|marker| marker.position);
        Ok(Self { id, file, recorded: Mutex::new(Recorded { position, has_failed: false }) })
    }

    /// The id of a device's log.
    pub(super) fn of(&self, device: &DeviceId) -> String {
        let digest = Sha256::new().chain_update(&self.id).chain_update(device.as_str()).finalize();
        hex::encode(&digest[..ID_BYTES])
    }

    /// Writes the position to the file, unless it is there. Blocks. Logs the first of several failures.
    pub(super) fn record(&self, position: i64) {
        let mut recorded = self.recorded.lock();
        if recorded.position == Some(position) {
            return;
        }
        match self.write(position) {
            Ok(()) => *recorded = Recorded { position: Some(position), has_failed: false },
            Err(error) => {
                if !recorded.has_failed {
                    let path = self.file.display();
                    tracing::warn!(%error, %path, "the positions of the event logs cannot be recorded");
                }
                recorded.has_failed = true;
            }
        }
    }

    fn write(&self, position: i64) -> io::Result<()> {
        let marker = Marker { log_id: self.id.clone(), position };
        let new = self.file.with_extension("position.new");
        let mut file = open::open_private(&new)?;
        file.set_len(0)?;
        file.write_all(&serde_json::to_vec(&marker)?)?;
        std::fs::rename(new, &self.file)
    }
}

/// A file that cannot be read is treated as missing: the database has all events.
fn read(file: &Path) -> Option<Marker> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

fn new_id() -> String {
    let mut bytes = [0_u8; ID_BYTES];
    // The platform always has randomness after its start. Without it, two copies of one database have the same id.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::error!("the system has no randomness: the id of the event logs is not random");
    }
    hex::encode(bytes)
}

impl Reader<'_> {
    /// The sum of the newest positions of all logs.
    ///
    /// # Errors
    /// When the store fails.
    pub fn log_positions(&self) -> Result<i64, StoreError> {
        self.number(POSITIONS, [])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::{Synchronous, database_file, writer};

    fn open_at(dir: &Path, appended: i64) -> LogIdentity {
        let connection = writer(&database_file(dir), Synchronous::Full).unwrap();
        connection
            .execute("INSERT OR REPLACE INTO log_heads (device_id, last_seq) VALUES ('shop', ?1)", [appended])
            .unwrap();
        LogIdentity::open(&connection, dir).unwrap()
    }

    #[test]
    fn id_stays_while_the_position_grows() {
        let dir = tempfile::tempdir().unwrap();
        let first = open_at(dir.path(), 5);
        first.record(5);
        let second = open_at(dir.path(), 9);
        assert_eq!(first.id, second.id);
        let shop: DeviceId = "shop".parse().unwrap();
        assert_eq!(first.of(&shop), second.of(&shop));
        assert_ne!(first.of(&shop), first.of(&"desk".parse().unwrap()));
    }

    #[test]
    fn id_changes_when_the_database_is_older_than_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let first = open_at(dir.path(), 9);
        first.record(9);
        let restored = open_at(dir.path(), 5);
        assert_ne!(first.id, restored.id);
        restored.record(5);
        assert_eq!(open_at(dir.path(), 6).id, restored.id, "the next start keeps it");
    }

    #[test]
    fn unreadable_file_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let first = open_at(dir.path(), 9);
        std::fs::write(dir.path().join("wharf.position"), "{").unwrap();
        assert_eq!(open_at(dir.path(), 5).id, first.id);
    }
}
