//! Opens the data directory for one daemon and migrates the schema; existing data is never recreated.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rusqlite_migration::{M, Migrations, SchemaVersion};

use super::error::OpenError;
use super::seal::{Locked, Seal, VaultKey};

/// When SQLite reports a commit as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// After an fsync: commits survive a power loss.
    Full,
    /// Without an fsync: commits survive a crash of the daemon; a power loss may lose the last ones.
    Normal,
}

const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("migrations/0001_core.sql")),
    M::up(include_str!("migrations/0002_rich.sql")),
    M::up(include_str!("migrations/0004_queue.sql")),
    M::up(include_str!("migrations/0005_untold.sql")),
    M::up(include_str!("migrations/0006_vault.sql")),
    M::up(include_str!("migrations/0007_identities.sql")),
    M::up(include_str!("migrations/0008_webhooks.sql")),
    M::up(include_str!("migrations/0009_device_secrets.sql")),
    M::up(include_str!("migrations/0010_notify.sql")),
    M::up(include_str!("migrations/0011_early_changes.sql")),
    M::up(include_str!("migrations/0012_webhook_lanes.sql")),
    M::up(include_str!("migrations/0013_engine_remote.sql")),
    M::up(include_str!("migrations/0014_reads.sql")),
    M::up(include_str!("migrations/0015_operator_chat.sql")),
    M::up(include_str!("migrations/0016_hardening.sql")),
    M::up(include_str!("migrations/0017_dashboard_sessions.sql")),
    M::up(include_str!("migrations/0018_chat_namespace.sql")),
    M::up(include_str!("migrations/0021_device_inboxes.sql")),
    M::up(include_str!("migrations/0022_log_identity.sql")),
    M::up(include_str!("migrations/0030_message_sent_at.sql")),
    M::up(include_str!("migrations/0032_chat_send_channels.sql")),
    M::up(include_str!("migrations/0033_inbox_workflow.sql")),
    M::up(include_str!("migrations/0040_own_media.sql")),
    M::up(include_str!("migrations/0050_orphan_change_mode.sql")),
    M::up(include_str!("migrations/0051_device_file_sizes.sql")),
    M::up(include_str!("migrations/0052_conversation_assignees.sql")),
    M::up(include_str!("migrations/0053_chat_files.sql")),
    M::up(include_str!("migrations/0057_chat_sessions.sql")),
    M::up(include_str!("migrations/0058_user_revocations.sql")),
    M::up(include_str!("migrations/0059_inbox_metrics.sql")),
    M::up(include_str!("migrations/0060_chat_webhooks.sql")),
    M::up(include_str!("migrations/0061_inbox_token_grants.sql")),
    M::up(include_str!("migrations/0062_rooms.sql")),
    M::up(include_str!("migrations/0063_device_contacts.sql")),
];

/// Path of the database file within the data directory.
#[must_use]
pub fn database_file(data_dir: &Path) -> PathBuf {
    data_dir.join("wharf.db")
}

/// Path of the lock file within the data directory.
pub(super) fn lock_file(data_dir: &Path) -> PathBuf {
    data_dir.join("wharf.lock")
}

/// Locks the data directory for this process, until the returned file is dropped.
pub(super) fn lock(data_dir: &Path) -> Result<File, OpenError> {
    let directory = |source| OpenError::Directory { path: data_dir.to_owned(), source };
    create_private(data_dir).map_err(directory)?;
    warn_if_open_to_others(data_dir);
    // Another user who can open the file can lock it.
    let file = open_private(&lock_file(data_dir)).map_err(directory)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(data_dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(directory(source)),
    }
}

/// Creates the directory for its owner only: it contains messages and keys.
fn create_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn warn_if_open_to_others(directory: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(directory).map(|found| found.permissions().mode() & 0o777);
    if let Ok(mode) = mode
        && mode & 0o077 != 0
    {
        let mode = format!("{mode:04o}");
        tracing::warn!(path = %directory.display(), mode, "other users may open the data directory; chmod 700 it");
    }
}

/// Opens or creates a file for its owner only, because the directory may be open to other users.
pub(super) fn open_private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Opens the write connection and migrates the schema to this version.
pub(super) fn writer(path: &Path, synchronous: Synchronous) -> Result<Connection, OpenError> {
    let directory = |source| OpenError::Directory { path: path.to_owned(), source };
    // SQLite creates its other files with the same mode.
    drop(open_private(path).map_err(directory)?);
    let mut connection = Connection::open(path).map_err(|source| at_open(path, source))?;
    configure(&connection, synchronous).map_err(|source| at_open(path, source))?;
    migrate(&mut connection, path)?;
    connection.execute_batch(super::search::TEMPORARY_TABLES).map_err(|source| at_open(path, source))?;
    Ok(connection)
}

/// Opens a read-only connection.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|source| at_open(path, source))?;
    let tune = || -> rusqlite::Result<()> {
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -2_000)?;
        keep_plans(&connection)?;
        connection.execute_batch(super::search::TEMPORARY_TABLES)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))
    };
    tune().map_err(|source| at_open(path, source))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Accepts the vault key if it is the one used before. Only the proof of the first key is written.
pub(super) fn seal(connection: &Connection, path: &Path, key: Option<VaultKey>) -> Result<Seal, OpenError> {
    let seal = Seal::new(key);
    match seal.check(connection) {
        Ok(Ok(())) => Ok(seal),
        Ok(Err(Locked::Missing)) => Err(OpenError::VaultKeyMissing(path.to_owned())),
        Ok(Err(Locked::Wrong)) => Err(OpenError::VaultKeyWrong(path.to_owned())),
        Err(source) => Err(OpenError::Vault { path: path.to_owned(), source }),
    }
}

fn configure(connection: &Connection, synchronous: Synchronous) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let level = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", level)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Journals of statements need no file descriptor then.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(128);
    keep_plans(connection)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))
}

/// Plans a statement once. Without the stability guarantee SQLite plans it again each time when a parameter that
/// the planner considered is bound (`SQLITE_DBCONFIG_ENABLE_QPSG`), which costs more than most queries. Conditions
/// of partial indexes must therefore be written into the statement.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let migrations = Migrations::from_slice(MIGRATIONS);
    let failed = |source| OpenError::Migration { path: path.to_owned(), source };
    let known = MIGRATIONS.len();
    if let SchemaVersion::Outside(found) = migrations.current_version(connection).map_err(failed)? {
        return Err(OpenError::Newer { path: path.to_owned(), found: found.get(), known });
    }
    migrations.to_latest(connection).map_err(failed)
}

fn at_open(path: &Path, source: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => OpenError::Corrupt { path, source },
        _ => OpenError::Database { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Result<Connection, OpenError> {
        writer(&database_file(dir), Synchronous::Full)
    }

    #[test]
    fn migrations_are_valid() {
        Migrations::from_slice(MIGRATIONS).validate().unwrap();
    }

    /// Rows of the version before a migration, and the value of a query after it.
    struct MigrationCase {
        migration: &'static str,
        before: &'static str,
        query: &'static str,
        after: &'static [&'static str],
    }

    const MESSAGES: &str = "INSERT INTO messages (device_id, id, chat_id, from_jid, to_jid, from_me, body, type, at,
            stored_at, ack, status, unread, media_hash)
        VALUES ('shop', 'm1', 'c', 'a', 'b', 1, 'one', 'chat', 1, 1, 1, 'sent', 0, 'file-1'),
               ('shop', 'm2', 'c', 'a', 'b', 1, 'two', 'chat', 2, 2, 1, 'sent', 0, 'file-1'),
               ('shop', 'm3', 'c', 'b', 'a', 0, 'three', 'chat', 3, 3, 1, 'sent', 0, 'file-2');
        INSERT INTO media (hash, mimetype, filesize, has_thumbnail, stored_at)
        VALUES ('file-1', 'image/png', 100, 0, 1), ('file-2', 'image/png', 20, 0, 1), ('file-3', 'image/png', 3, 0, 1);
        INSERT INTO uploads (id, device_id, hash, at)
        VALUES ('u1', 'shop', 'file-1', 1), ('u2', 'shop', 'file-3', 1), ('u3', 'other', 'file-3', 1);";
    const CONVERSATION: &str = "INSERT INTO conversations (id, tenant, kind, device_id, chat_id, created_at)
        VALUES (7, 'desk', 'device', 'shop', 'c', 1);";

    const MIGRATION_CASES: &[MigrationCase] = &[
        MigrationCase {
            migration: "0032",
            before: CONVERSATION,
            query: "SELECT id || ' ' || (SELECT count(*) FROM chat_channel_sends) FROM conversations",
            after: &["7 0"],
        },
        MigrationCase {
            migration: "0033",
            before: CONVERSATION,
            query: "SELECT id || ' ' || state || ' ' || coalesce(assignee, 'no assignee') FROM conversations",
            after: &["7 open no assignee"],
        },
        MigrationCase {
            migration: "0040",
            before: MESSAGES,
            query: "SELECT id || ' ' || coalesce(media_hash, '-') FROM messages ORDER BY id",
            after: &["m1 file-1", "m2 file-1", "m3 file-2"],
        },
        MigrationCase {
            migration: "0050",
            before: "INSERT INTO early_changes (device_id, message_id, change, at) VALUES ('shop', 'm1', '{}', 1);",
            query: "SELECT message_id || ' ' || is_live FROM early_changes",
            after: &["m1 1"],
        },
        MigrationCase {
            migration: "0051",
            before: MESSAGES,
            query: "SELECT device_id || ' ' || hash || ' ' || reference_count FROM device_files
                UNION ALL SELECT device_id || ' ' || bytes FROM device_file_sizes ORDER BY 1",
            after: &["other 3", "other file-3 1", "shop 103", "shop file-1 3", "shop file-3 1"],
        },
        MigrationCase {
            migration: "0053",
            before: "INSERT INTO chat_messages (id, conversation_id, sender, type, content, attachment_url, created_at)
                VALUES (7, 1, 1, 'FILE', '', 'https://example.com/a.pdf', 1);",
            query: "SELECT id || ' ' || attachment_url || ' ' || coalesce(file_id, 'no file') FROM chat_messages",
            after: &["7 https://example.com/a.pdf no file"],
        },
        MigrationCase {
            migration: "0062",
            before: "INSERT INTO conversations (id, tenant, kind, low_user, high_user, created_at) VALUES (7, 'desk', 'direct', 1, 2, 1);
                INSERT INTO conversation_members (user_pk, conversation_id, unread, activity) VALUES (1, 7, 3, 9), (2, 7, 0, 9);",
            query: "SELECT user_pk || ' ' || unread || ' ' || activity || ' ' || coalesce(role, 'no role') FROM conversation_members
                ORDER BY user_pk",
            after: &["1 3 9 no role", "2 0 9 no role"],
        },
        MigrationCase {
            migration: "0063",
            before: "INSERT INTO conversations (id, tenant, kind, device_id, chat_id, contact_user, created_at)
                VALUES (7, '', 'device', 'shop', '15550100001@c.us', 12, 1), (8, '', 'device', 'shop', '15550100002@c.us', NULL, 1);",
            query: "SELECT device_id || ' ' || jid || ' ' || user_pk FROM device_contacts",
            after: &["shop 15550100001@c.us 12"],
        },
    ];

    /// The number of migrations before this one; the files are applied in the order of their names.
    fn migrations_before(prefix: &str) -> usize {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap() < prefix).count()
    }

    #[test]
    fn rows_of_the_version_before_a_migration_are_kept() {
        for case in MIGRATION_CASES {
            let dir = tempfile::tempdir().unwrap();
            let file = database_file(dir.path());
            let mut old = Connection::open(&file).unwrap();
            let earlier = &MIGRATIONS[..migrations_before(case.migration)];
            Migrations::from_slice(earlier).to_latest(&mut old).unwrap();
            old.execute_batch(case.before).unwrap();
            drop(old);
            let migrated = open(dir.path()).unwrap();
            let mut statement = migrated.prepare(case.query).unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            let rows: Vec<String> = rows.collect::<Result<_, _>>().unwrap();
            assert_eq!(rows, case.after, "{}", case.migration);
        }
    }

    #[test]
    fn second_daemon_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _held = lock(dir.path()).unwrap();
        assert!(matches!(lock(dir.path()), Err(OpenError::Locked(_))));
    }

    #[test]
    fn lock_and_database_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wharf.lock");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let _held = lock(dir.path()).unwrap();
        let _database = open(dir.path()).unwrap();
        for name in ["wharf.lock", "wharf.db", "wharf.db-wal", "wharf.db-shm"] {
            let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn newer_database_is_refused_with_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = open(dir.path()).unwrap_err();
        let known = format!("schema 99, this version supports {}", MIGRATIONS.len());
        assert!(error.to_string().contains(&known), "{error}");
    }

    #[test]
    fn damaged_database_is_reported_and_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let file = database_file(dir.path());
        std::fs::write(&file, [b'x'; 8192]).unwrap();
        assert!(matches!(open(dir.path()), Err(OpenError::Corrupt { .. })));
        assert_eq!(std::fs::read(&file).unwrap(), [b'x'; 8192]);
    }
}
