//! Errors of the store. A failed write leaves no changes behind.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

/// A failed read or write.
#[derive(Debug, Error, Clone)]
pub enum StoreError {
    /// The queue of writes is full; the caller may retry shortly.
    #[error("the store has too many writes waiting")]
    Busy,
    /// The store is closed because the daemon is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The disk is full. Acknowledged writes are safe.
    #[error("the disk is full")]
    DiskFull,
    /// SQLite reported an error.
    #[error("the database failed")]
    Database(#[source] Arc<rusqlite::Error>),
    /// Another write of the same group made SQLite roll back the whole group.
    #[error("the database took the write back together with another that failed")]
    RolledBack,
    /// A stored value does not have the format that this version writes.
    #[error("a stored {0} cannot be read")]
    Unreadable(&'static str),
    /// The write panicked, which is a bug.
    #[error("a write ended unexpectedly")]
    Panicked,
}

impl StoreError {
    /// Whether SQLite found the database file damaged.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let Self::Database(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
    }
}

impl OpenError {
    /// Whether a full disk may be its cause.
    pub(super) fn needs_space(&self) -> bool {
        matches!(
            self,
            Self::Directory { .. }
                | Self::Migration { .. }
                | Self::Vault { .. }
                | Self::LogIdentity { .. }
                | Self::Database { .. }
        )
    }
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
        /// The data directory.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// Another daemon uses the data directory.
    #[error("the data directory {0} is in use by another wharf daemon; stop it or choose another directory")]
    Locked(PathBuf),
    /// A newer version of Wharf wrote the database.
    #[error(
        "the database {path} was written by a newer version of wharf (schema {found}, this version supports {known}); upgrade wharf, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema version.
        found: usize,
        /// The newest schema version that this version supports.
        known: usize,
    },
    /// The file is damaged or is not an SQLite database.
    #[error(
        "the database {path} is damaged or is no SQLite database ({source}); nothing was changed: restore a backup, or move the file away to start empty"
    )]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// The disk is full, and so is the part that the daemon had reserved for its start.
    #[error(
        "the disk of the data directory {path} is full, so the database cannot be opened ({source}); no data is lost: free at least 16 MiB and start again"
    )]
    DiskFull {
        /// The data directory.
        path: PathBuf,
        /// The error.
        source: Box<Self>,
    },
    /// The schema migration failed.
    #[error("the database {path} could not be brought to this version's schema")]
    Migration {
        /// The database file.
        path: PathBuf,
        /// The migration error.
        source: rusqlite_migration::Error,
    },
    /// The stored secrets are sealed and no key is configured.
    #[error(
        "the secrets in the database {0} are encrypted and store.vault_key is not set; set WHARF__STORE__VAULT_KEY to the key that they were written with (nothing was changed)"
    )]
    VaultKeyMissing(PathBuf),
    /// The stored secrets are sealed with another key.
    #[error(
        "store.vault_key is not the key that the secrets in the database {0} are encrypted with; set WHARF__STORE__VAULT_KEY to that one (nothing was changed)"
    )]
    VaultKeyWrong(PathBuf),
    /// The check of the vault key failed.
    #[error("the vault in the database {path} cannot be opened")]
    Vault {
        /// The database file.
        path: PathBuf,
        /// The store error.
        source: StoreError,
    },
    /// The id of the event logs could not be read or made.
    #[error("the id of the event logs in the database {path} cannot be read")]
    LogIdentity {
        /// The database file.
        path: PathBuf,
        /// The store error.
        source: StoreError,
    },
    /// Another database error.
    #[error("the database {path} cannot be opened")]
    Database {
        /// The database file.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
}
