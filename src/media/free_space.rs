//! Reads the free space of a disk. File systems that do not report their size count as having room.

use std::io;
use std::path::PathBuf;

use super::{MediaError, off_the_async_threads};

/// Free and total bytes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes that this process may still use.
    pub free: u64,
    /// Total bytes.
    pub total: u64,
}

impl DiskSpace {
    /// Whether less is free than the smaller of `bytes` and `percent` of the disk.
    #[must_use]
    pub fn is_below(self, bytes: u64, percent: u64) -> bool {
        let part = u128::from(self.total) * u128::from(percent) / 100;
        self.total > 0 && u128::from(self.free) < part.min(u128::from(bytes))
    }
}

/// The space of the file system with this directory.
///
/// # Errors
/// If the system does not report it.
pub async fn disk_space(directory: PathBuf) -> Result<DiskSpace, MediaError> {
    let read = move || {
        let found = rustix::fs::statvfs(directory).map_err(io::Error::from)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(DiskSpace { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
    };
    off_the_async_threads(read).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_limit_of_free_space_applies() {
        let disk = |free, total| DiskSpace { free, total };
        assert!(!disk(50, 1_000).is_below(100, 5));
        assert!(disk(49, 1_000).is_below(100, 5));
        assert!(!disk(100, 100_000).is_below(100, 5));
        assert!(disk(99, 100_000).is_below(100, 5));
        assert!(!disk(0, 1_000).is_below(0, 5));
        assert!(!disk(0, 1_000).is_below(100, 0));
        assert!(!disk(0, 0).is_below(100, 5));
    }
}
