//! Checks of `wharf doctor` on this machine. They do not change anything.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::cli::api_key::ADMIN_KEY_FILE;
use crate::cli::time_format::rough;

const MIB: u64 = 1024 * 1024;
/// Maximum accepted clock difference: servers report whole seconds, and answers take time.
const SKEW_WARN_MS: i64 = 5_000;
const SKEW_FAIL_MS: i64 = 60_000;

/// Verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Verdict {
    /// No problem found.
    Ok,
    /// It works now but may fail later.
    Warn,
    /// It does not work.
    Fail,
    /// The check was not possible or not needed.
    Skip,
}

/// The result of one check.
#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Check {
    /// The name of the check.
    pub name: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// The finding.
    pub found: String,
    /// Advice to fix the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    pub(in crate::cli) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, found: found.into(), advice: None }
    }

    pub(in crate::cli) fn skip(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Skip, found: found.into(), advice: None }
    }

    pub(in crate::cli) fn warn(
        name: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { name, verdict: Verdict::Warn, found: found.into(), advice: Some(advice.into()) }
    }

    pub(in crate::cli) fn fail(
        name: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { name, verdict: Verdict::Fail, found: found.into(), advice: Some(advice.into()) }
    }
}

/// Compares the clock of `other` with this one; `skew_ms` is the difference in milliseconds.
pub(in crate::cli) fn clocks(name: &'static str, other: &str, skew_ms: i64) -> Check {
    let direction = if skew_ms < 0 { "behind" } else { "ahead of" };
    let found = format!("{other} clock is {} {direction} this one", rough(skew_ms));
    let advice = "Synchronise both clocks (timedatectl set-ntp true): codes, tokens and signatures depend on the time.";
    match skew_ms.abs() {
        0..=SKEW_WARN_MS => Check::ok(name, format!("agrees with {other}")),
        ms if ms <= SKEW_FAIL_MS => Check::warn(name, found, advice),
        _ => Check::fail(name, found, advice),
    }
}

/// Checks that the data directory exists or can be created, and is writable.
pub(in crate::cli) fn directory(dir: &Path) -> Check {
    const NAME: &str = "data directory";
    let shown = dir.display();
    match std::fs::metadata(dir) {
        Ok(found) if !found.is_dir() => Check::fail(
            NAME,
            format!("{shown} is no directory"),
            "Choose another with --data-dir or store.data_dir.",
        ),
        Ok(_) if is_writable(dir) => Check::ok(NAME, format!("{shown} is writable")),
        Ok(_) => Check::fail(
            NAME,
            format!("{shown} is not writable"),
            "Give it to the user that runs the daemon: chown.",
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => missing_directory(dir),
        Err(error) => Check::fail(
            NAME,
            format!("{shown}: {error}"),
            "Check the permissions of the directories above it.",
        ),
    }
}

fn missing_directory(dir: &Path) -> Check {
    const NAME: &str = "data directory";
    let shown = dir.display();
    let parent = dir.ancestors().skip(1).map(or_here).find(|parent| parent.exists());
    match parent {
        Some(parent) if is_writable(parent) => {
            Check::ok(NAME, format!("{shown} does not exist yet; the daemon creates it"))
        }
        _ => Check::fail(
            NAME,
            format!("{shown} does not exist and cannot be created"),
            format!("Create it and give it to the user that runs the daemon: mkdir -p {shown}"),
        ),
    }
}

/// Returns `.` for the empty parent of a relative path of one component.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn is_writable(path: &Path) -> bool {
    access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Whether a daemon holds the lock of the data directory. `None` if that cannot be determined.
pub(in crate::cli) fn is_locked(dir: &Path) -> Option<bool> {
    let file = match File::open(dir.join("wharf.lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(false),
        Err(_) => return None,
    };
    match file.try_lock_shared() {
        // Dropping the file releases the lock.
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

/// Whether the database is missing although other data is there.
pub(in crate::cli) fn database(dir: &Path) -> Check {
    const NAME: &str = "database";
    let found = crate::store::earlier_data(dir);
    if found.is_empty() {
        return Check::ok(NAME, "belongs to the other data, or there is none yet");
    }
    Check::warn(
        NAME,
        format!("wharf.db is new or missing, but there is other data: {}", found.join(", ")),
        "Restore wharf.db from a backup before the daemon runs on this directory, or choose an empty --data-dir.",
    )
}

/// Checks that the data directory belongs to the daemon at the URL, or is free.
pub(in crate::cli) fn lock(dir: &Path, daemon_answers: bool) -> Check {
    const NAME: &str = "lock";
    match (is_locked(dir), daemon_answers) {
        (None, _) => Check::skip(NAME, "cannot be read by this user"),
        (Some(true), true) => Check::ok(NAME, "the data directory is in use by a daemon"),
        (Some(false), false) => Check::ok(NAME, "the data directory is free"),
        (Some(true), false) => Check::warn(
            NAME,
            "a daemon uses the data directory, but does not answer at the URL",
            "Give its address with --url; before starting another daemon, stop it or choose another --data-dir.",
        ),
        (Some(false), true) => Check::warn(
            NAME,
            "the daemon at the URL uses another data directory",
            "Give the daemon's own with --data-dir or --config, so that its admin.key is found.",
        ),
    }
}

/// Checks that only the owner can read the admin key.
pub(in crate::cli) fn admin_key(dir: &Path) -> Check {
    const NAME: &str = "admin key file";
    let path = dir.join(ADMIN_KEY_FILE);
    let shown = path.display();
    let Ok(found) = std::fs::metadata(&path) else {
        return Check::skip(NAME, format!("{shown} is not there (it need not be)"));
    };
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Check::ok(NAME, format!("{shown} is readable by its owner only"));
    }
    Check::fail(
        NAME,
        format!("{shown} has mode {mode:04o}: others can read the key"),
        format!(
            "chmod 600 {shown}; then replace the key, because it may have been read: wharf keys create, wharf keys revoke"
        ),
    )
}

/// Checks the free disk space.
pub(in crate::cli) fn disk(dir: &Path) -> Check {
    const NAME: &str = "free disk";
    let Some(existing) = dir.ancestors().map(or_here).find(|path| path.exists()) else {
        return Check::skip(NAME, "there is no directory");
    };
    let Ok(found) = statvfs(existing) else {
        return Check::skip(NAME, "the file system does not report its free space");
    };
    room(found.f_bavail.saturating_mul(found.f_frsize) / MIB)
}

fn room(free_mib: u64) -> Check {
    const NAME: &str = "free disk";
    let found = format!("{free_mib} MiB free");
    match free_mib {
        0..=99 => Check::fail(
            NAME,
            found,
            "Free some disk space: with a full disk, every message is rejected with 503.",
        ),
        100..=1023 => Check::warn(
            NAME,
            found,
            "Free some disk space, or shorten the retention: retention.messages_days, retention.events_days.",
        ),
        _ => Check::ok(NAME, found),
    }
}

/// Checks the limit of open files, which a daemon started from this shell inherits.
pub(in crate::cli) fn open_files() -> Check {
    let limit = getrlimit(Resource::Nofile);
    // Without a limit, the maximum applies.
    files(limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

fn files(soft: u64, hard: u64) -> Check {
    const NAME: &str = "open files";
    if soft == u64::MAX {
        return Check::ok(NAME, "unlimited");
    }
    let found = format!("{soft} (could be raised to {hard})");
    let advice = "Every device and every client needs one. In a shell: ulimit -n 65536; for systemd: LimitNOFILE=65536.";
    match soft {
        0..=255 => Check::fail(NAME, found, advice),
        256..=4095 => Check::warn(NAME, found, advice),
        _ => Check::ok(NAME, soft.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::*;

    #[test]
    fn directory_exists_or_can_be_created() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(directory(dir.path()).verdict, Verdict::Ok);
        assert_eq!(directory(&dir.path().join("a/b")).verdict, Verdict::Ok);
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(directory(&file).verdict, Verdict::Fail);
        assert_eq!(directory(&file.join("below")).verdict, Verdict::Fail);
        assert_eq!(directory(Path::new("surely-not-there")).verdict, Verdict::Ok);
    }

    #[test]
    fn doctor_detects_lock_without_acquiring_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(is_locked(dir.path()), Some(false));
        let file = File::create(dir.path().join("wharf.lock")).unwrap();
        assert_eq!(is_locked(dir.path()), Some(false));
        file.try_lock().unwrap();
        assert_eq!(is_locked(dir.path()), Some(true));
        assert_eq!(lock(dir.path(), true).verdict, Verdict::Ok);
        assert_eq!(lock(dir.path(), false).verdict, Verdict::Warn);
    }

    #[test]
    fn doctor_warns_of_data_without_its_database() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(database(dir.path()).verdict, Verdict::Ok);
        std::fs::write(dir.path().join("wharf.position"), "{}").unwrap();
        let check = database(dir.path());
        assert_eq!(check.verdict, Verdict::Warn);
        assert!(check.found.contains("wharf.position"), "{}", check.found);
    }

    #[test]
    fn key_file_readable_by_others_fails() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(admin_key(dir.path()).verdict, Verdict::Skip);
        let path = dir.path().join(ADMIN_KEY_FILE);
        std::fs::write(&path, "whf_AB_secret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let check = admin_key(dir.path());
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.found.contains("0644") && !check.found.contains("secret"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(admin_key(dir.path()).verdict, Verdict::Ok);
    }

    #[test]
    fn disk_and_file_limits_have_thresholds() {
        assert_eq!(
            [50, 500, 5_000].map(|mib| room(mib).verdict),
            [Verdict::Fail, Verdict::Warn, Verdict::Ok]
        );
        let verdicts = [100, 1_024, 65_536, u64::MAX].map(|soft| files(soft, u64::MAX).verdict);
        assert_eq!(verdicts, [Verdict::Fail, Verdict::Warn, Verdict::Ok, Verdict::Ok]);
        assert_eq!(disk(Path::new("surely-not-there/below")).name, "free disk");
    }
}
