//! A file that holds space for the start on a full disk: without space the database cannot be opened, and nothing can be
//! read. The start removes it when the disk is full, and it is written again when there is space.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::open::open_private;

/// The reserve is written while this multiple of it is free.
const FREE_FOR_RESERVE: u64 = 4;
/// Free bytes below which a start may fail.
const FREE_FOR_START: u64 = 2 * 1024 * 1024;

/// The reserved space of a data directory.
#[derive(Debug, Clone)]
pub struct DiskReserve {
    file: PathBuf,
    bytes: u64,
}

impl DiskReserve {
    /// The reserve of this directory with this size; none if it is 0.
    #[must_use]
    pub fn new(data_dir: &Path, bytes: u64) -> Self {
        Self { file: data_dir.join("wharf.reserve"), bytes }
    }

    /// Removes the reserve if the disk is full. Returns whether it did.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn free_if_full(&self) -> io::Result<bool> {
        if !self.file.exists() || free_bytes(&self.file)? >= FREE_FOR_START {
            return Ok(false);
        }
        std::fs::remove_file(&self.file)?;
        Ok(true)
    }

    /// Writes the reserve if it is missing and the disk has much more space. Returns whether it did.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn restore(&self) -> io::Result<bool> {
        let needed = self.bytes.saturating_mul(FREE_FOR_RESERVE);
        let directory = self.file.parent().unwrap_or(Path::new("."));
        if self.bytes == 0 || self.file.exists() || free_bytes(directory)? < needed {
            return Ok(false);
        }
        let written = self.write();
        if written.is_err() {
            let _ = std::fs::remove_file(&self.file);
        }
        written.map(|()| true)
    }

    fn write(&self) -> io::Result<()> {
        let mut file = open_private(&self.file)?;
        if fallocate(&file, FallocateFlags::empty(), 0, self.bytes).is_err() {
            // Not every file system can allocate without writing.
            io::copy(&mut io::Read::take(io::repeat(0), self.bytes), &mut file)?;
        }
        file.sync_all()
    }
}

/// Whether the disk with this file or directory has too little space for a start.
pub(super) fn is_disk_full(path: &Path) -> bool {
    free_bytes(path).is_ok_and(|free| free < FREE_FOR_START)
}

/// The bytes that this process may still use on the disk; many if the file system does not report its size.
fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = statvfs(path)?;
    Ok(if found.f_blocks == 0 { u64::MAX } else { found.f_bavail.saturating_mul(found.f_frsize) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserve_is_written_once_and_kept_while_there_is_space() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = DiskReserve::new(dir.path(), 65_536);
        assert!(!reserve.free_if_full().unwrap());
        assert!(reserve.restore().unwrap());
        assert_eq!(std::fs::metadata(dir.path().join("wharf.reserve")).unwrap().len(), 65_536);
        assert!(!reserve.restore().unwrap() && !reserve.free_if_full().unwrap());
        let none = DiskReserve::new(&dir.path().join("missing"), 0);
        assert!(!none.restore().unwrap() && !none.free_if_full().unwrap());
        let huge = DiskReserve::new(dir.path(), u64::MAX);
        std::fs::remove_file(dir.path().join("wharf.reserve")).unwrap();
        assert!(!huge.restore().unwrap(), "no disk has this space");
    }
}
