//! Finds data of an earlier database in a data directory whose database is new or missing, as after a restore that
//! copied only a part, or with an empty volume. Reads names and one header, and opens no database.

use std::io::Read as _;
use std::path::Path;

use super::open::database_file;

/// Position of `user_version` in the header of a database, which is the version of the schema.
const VERSION: std::ops::Range<usize> = 60..64;

/// The names of such data; empty if the database has a schema.
#[must_use]
pub fn earlier_data(data_dir: &Path) -> Vec<&'static str> {
    let wal = data_dir.join("wharf.db-wal");
    let has_wal = std::fs::metadata(&wal).is_ok_and(|found| found.len() > 0);
    match header_version(&database_file(data_dir)) {
        Some(0) if has_wal => return Vec::new(),
        Some(0) | None => {}
        Some(_) => return Vec::new(),
    }
    let is_not_empty =
        |name: &str| std::fs::read_dir(data_dir.join(name)).is_ok_and(|mut entries| entries.next().is_some());
    let found = [
        ("media/files", is_not_empty("media/files")),
        ("wharf.position", data_dir.join("wharf.position").exists()),
        ("admin.key", data_dir.join("admin.key").exists()),
        ("wharf.db-wal", has_wal),
    ];
    found.into_iter().filter(|(_, exists)| *exists).map(|(name, _)| name).collect()
}

/// The version in the file, which may be older than that in the write-ahead log; `None` without a database.
fn header_version(file: &Path) -> Option<u32> {
    let mut header = [0; VERSION.end];
    std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut header)).ok()?;
    let version = header[VERSION].try_into().ok()?;
    Some(u32::from_be_bytes(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_beside_a_new_database_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let found = || earlier_data(dir.path());
        let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        assert!(found().is_empty());
        std::fs::create_dir_all(dir.path().join("media/files")).unwrap();
        assert!(found().is_empty());
        std::fs::create_dir(dir.path().join("media/files/ab")).unwrap();
        write("wharf.db-wal", b"x");
        assert_eq!(found(), ["media/files", "wharf.db-wal"]);
        write("wharf.db", &[0; 100]);
        assert!(found().is_empty(), "the schema may be in the write-ahead log");
        write("wharf.db-wal", b"");
        assert_eq!(found(), ["media/files"]);
        let mut header = [0; 100];
        header[63] = 7;
        write("wharf.db", &header);
        assert!(found().is_empty());
    }
}
