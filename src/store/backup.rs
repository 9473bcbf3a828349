//! Copies the database of a data directory, also while a daemon writes to it.
//!
//! Invariant: a copy is one state of the database; every write that was committed before the copy began is in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

use super::open::{database_file, open_private};

/// How long a copy waits for a lock of the database, which the daemon holds only while it starts.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the database could not be copied or checked.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The data directory has no database.
    #[error("there is no database {0}; give the daemon's data directory with --data-dir")]
    NoDatabase(PathBuf),
    /// SQLite takes paths as text.
    #[error("the path {0} is not valid UTF-8")]
    Path(PathBuf),
    /// The database cannot be read.
    #[error("cannot read {path}: {source}")]
    Source {
        /// The database.
        path: PathBuf,
        /// The reason.
        source: rusqlite::Error,
    },
    /// The disk of the copy has too little space.
    #[error("the disk of {0} is full")]
    DiskFull(PathBuf),
    /// The copy cannot be created.
    #[error("cannot write {path}: {source}")]
    Create {
        /// The copy.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The copy cannot be written or read.
    #[error("cannot write {path}: {source}")]
    Copy {
        /// The copy.
        path: PathBuf,
        /// The reason.
        source: rusqlite::Error,
    },
    /// The check found damage.
    #[error("{path} is damaged: {finding}")]
    Damaged {
        /// The copy.
        path: PathBuf,
        /// The first finding of the check.
        finding: String,
    },
}

/// Copies the database of `data_dir` to the new file `target`, and returns its size in bytes.
///
/// The copy has no log id: a daemon that starts on it gives its logs a new one, because positions after the copy were
/// used for other events.
///
/// # Errors
/// [`BackupError`]; an incomplete `target` may be left.
pub fn copy_database(data_dir: &Path, target: &Path) -> Result<u64, BackupError> {
    let path = database_file(data_dir);
    if !path.is_file() {
        return Err(BackupError::NoDatabase(path));
    }
    let name = target.to_str().ok_or_else(|| BackupError::Path(target.to_owned()))?;
    let create = |source| BackupError::Create { path: target.to_owned(), source };
    // SQLite fills an empty file, which is private from the beginning.
    let file = open_private(target).map_err(create)?;
    let read = |source| BackupError::Source { path: path.clone(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(&path, flags).map_err(read)?;
    source.busy_timeout(LOCK_TIMEOUT).map_err(read)?;
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(read)?;
    let copy = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => BackupError::DiskFull(target.to_owned()),
        _ => BackupError::Copy { path: target.to_owned(), source },
    };
    source.execute("VACUUM INTO ?1", [name]).map_err(copy)?;
    remove_log_id(target).map_err(copy)?;
    file.sync_all().map_err(create)?;
    Ok(file.metadata().map_err(create)?.len())
}

/// A database of an earlier version has no such table.
fn remove_log_id(database: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(database)?;
    if connection.table_exists(None, "log_identity")? {
        connection.execute("DELETE FROM log_identity", [])?;
    }
    connection.close().map_err(|(_, error)| error)
}

/// Reads a whole database and compares its indexes with its tables.
///
/// # Errors
/// [`BackupError::Damaged`] with the first finding, or the reason why the file cannot be read.
pub fn check_integrity(database: &Path) -> Result<(), BackupError> {
    let read = |source| BackupError::Source { path: database.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).map_err(read)?;
    let finding: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(read)?;
    match finding.as_str() {
        "ok" => Ok(()),
        _ => Err(BackupError::Damaged { path: database.to_owned(), finding }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_database_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (a TEXT); CREATE INDEX i ON t (a)").unwrap();
        let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
            INSERT INTO t SELECT 'text ' || i FROM n";
        connection.execute(rows, []).unwrap();
        connection.close().unwrap();
        assert!(check_integrity(&path).is_ok());
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0x55);
        std::fs::write(&path, bytes).unwrap();
        let error = check_integrity(&path).unwrap_err().to_string();
        assert!(error.contains("a.db"), "{error}");
    }

    #[test]
    fn directory_without_database_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = copy_database(dir.path(), &dir.path().join("copy.db")).unwrap_err();
        assert!(error.to_string().contains("there is no database"), "{error}");
    }
}
