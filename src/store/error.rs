//! What can go wrong in the store.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

/// A read or a write that failed. Nothing of it was kept.
#[derive(Debug, Error, Clone)]
pub enum StoreError {
    /// The queue of waiting writes is full: try again in a moment.
    #[error("the store has too many writes waiting")]
    Busy,
    /// The store is closed: the daemon is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The disk is full; what was acknowledged before is safe.
    #[error("the disk is full")]
    DiskFull,
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] Arc<rusqlite::Error>),
    /// A write of the same group made the database take the whole group back.
    #[error("the database took the write back together with another that failed")]
    TakenBack,
    /// What stands in the database is not what this version writes.
    #[error("a stored {0} cannot be read")]
    Unreadable(&'static str),
    /// A bug: the write panicked.
    #[error("a write ended unexpectedly")]
    Panicked,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) {
            return Self::DiskFull;
        }
        Self::Database(Arc::new(error))
    }
}

/// Why the store could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The data directory cannot be used.
    #[error("the data directory {path} cannot be used: {source}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another daemon runs on it.
    #[error("the data directory {0} is in use by another wharf daemon; stop it or choose another directory")]
    Locked(PathBuf),
    /// Written by a later version.
    #[error(
        "the database {path} was written by a newer version of wharf (schema {found}, this version knows {known}); upgrade wharf, or restore a backup made before the upgrade"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema version.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// Damaged, or no database at all.
    #[error(
        "the database {path} is damaged or is no SQLite database ({source}); nothing was changed: restore a backup, or move the file away to start empty"
    )]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Could not be brought up to date.
    #[error("the database {path} could not be brought to this version's schema")]
    Migration {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rusqlite_migration::Error,
    },
    /// What engines keep is sealed, and no key was given.
    #[error(
        "the secrets in the database {0} are encrypted and store.vault_key is not set; set WHARF__STORE__VAULT_KEY to the key that they were written with (nothing was changed)"
    )]
    VaultKeyMissing(PathBuf),
    /// What engines keep is sealed with another key.
    #[error(
        "store.vault_key is not the key that the secrets in the database {0} are encrypted with; set WHARF__STORE__VAULT_KEY to that one (nothing was changed)"
    )]
    VaultKeyWrong(PathBuf),
    /// Whether the key fits could not be found out.
    #[error("the vault in the database {path} cannot be opened")]
    Vault {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// Anything else.
    #[error("the database {path} cannot be opened")]
    Database {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}
