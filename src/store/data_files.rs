//! Detects a database or lock file that was deleted or replaced while the daemon runs. Commits would go to a file that
//! the next start does not find.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::tx::Tx;
use crate::domain::clock::Millis;

/// Device and inode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
}

impl From<Metadata> for FileIdentity {
    fn from(metadata: Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// The files that must stay the same.
#[derive(Debug)]
pub(super) struct DataFiles(Vec<(PathBuf, FileIdentity)>);

impl DataFiles {
    /// The files as they are now.
    pub(super) fn new(paths: &[PathBuf]) -> io::Result<Self> {
        let identify = |path: &PathBuf| -> io::Result<(PathBuf, FileIdentity)> {
            Ok((path.clone(), std::fs::metadata(path)?.into()))
        };
        paths.iter().map(identify).collect::<io::Result<_>>().map(Self)
    }

    /// The first file whose path leads to another file, or to none. Other errors may be temporary.
    pub(super) fn replaced(&self) -> Option<&Path> {
        let is_replaced = |path: &Path, known: FileIdentity| match std::fs::metadata(path) {
            Ok(found) => FileIdentity::from(found) != known,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        self.0.iter().find(|(path, known)| is_replaced(path, *known)).map(|(path, _)| path.as_path())
    }
}

impl Tx<'_> {
    /// Writes the row of readiness checks.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_readiness(&self, now: Millis) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO readiness (id, at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET at = excluded.at",
            [now.0],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_and_replaced_files_are_detected() {
        let dir = tempfile::tempdir().unwrap();
        let (lock, database) = (dir.path().join("wharf.lock"), dir.path().join("wharf.db"));
        std::fs::write(&lock, "").unwrap();
        std::fs::write(&database, "a").unwrap();
        let files = DataFiles::new(&[lock.clone(), database.clone()]).unwrap();
        std::fs::write(&database, "changed").unwrap();
        assert_eq!(files.replaced(), None);
        std::fs::rename(&database, dir.path().join("moved")).unwrap();
        assert_eq!(files.replaced(), Some(database.as_path()));
        std::fs::write(&database, "another").unwrap();
        assert_eq!(files.replaced(), Some(database.as_path()));
        std::fs::remove_file(&lock).unwrap();
        assert_eq!(files.replaced(), Some(lock.as_path()));
    }
}
