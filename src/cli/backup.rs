//! `wharf backup`: copies the database and the files of messages to a directory, also while the daemon runs.
//!
//! Invariant: the directory has a `wharf.db` only when the copy is complete; a failed copy leaves nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::api_key::ADMIN_KEY_FILE;
use super::exit::CliError;
use super::output::Output;
use crate::settings::{MediaBackend, Settings};
use crate::store::backup::{check_integrity, copy_database};

/// `wharf backup`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct BackupArgs {
    /// Directory for the copy; it must be empty, or not exist
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// Read the whole copied database afterwards and check it
    #[arg(long)]
    pub verify: bool,
}

const HELP: &str = "\
Copies the data directory of --data-dir or the configuration. The daemon may run meanwhile: the copy has
everything that it answered before the command began. If the copy fails, nothing is left.

The copy holds the keys of linked accounts: protect it. It starts with: wharf serve --data-dir DIR.
Never let two daemons use the same accounts: stop the one before you start the other.

Examples:
  wharf backup /backup/wharf-monday --data-dir /var/lib/wharf
  wharf backup /backup/wharf-monday --config /etc/wharf/wharf.toml --verify";

/// The database until the copy is complete.
const UNFINISHED: &str = "wharf.db.unfinished";
const DATABASE: &str = "wharf.db";
const FILES: &str = "media/files";

/// Copies the database and the files.
///
/// # Errors
/// [`CliError::Usage`] for a directory that cannot take the copy, [`CliError::Failed`] when copying fails.
pub fn run(args: &BackupArgs, settings: &Settings, out: &Output) -> Result<(), CliError> {
    let source = &settings.store.data_dir;
    let is_new = check_target(source, &args.dir)?;
    let copied =
        copy(source, &args.dir, args.verify).map_err(|error| after_removal(error, &args.dir, is_new))?;
    let is_in_bucket = settings.media.backend == MediaBackend::S3;
    let data = json!({
        "dir": args.dir,
        "databaseBytes": copied.database_bytes,
        "files": copied.files,
        "fileBytes": copied.file_bytes,
        "verified": args.verify,
        "filesInBucket": is_in_bucket,
    });
    out.show(&data, || {
        let dir = args.dir.display();
        let Copied { database_bytes, files, file_bytes } = copied;
        let checked = if args.verify { ", which is intact" } else { "" };
        let mut text = format!(
            "copied the database ({database_bytes} bytes{checked}) and {files} files ({file_bytes} bytes) to {dir}"
        );
        if is_in_bucket {
            text.push_str("\nfiles in the bucket of media.s3_bucket are not copied");
        }
        text
    })
}

/// Returns the error of a failed copy after removing its files.
fn after_removal(error: CliError, target: &Path, is_new: bool) -> CliError {
    match remove(target, is_new) {
        Ok(()) => error,
        Err(removal) => CliError::Failed(format!("{error}; {} is left: {removal}", target.display())),
    }
}

struct Copied {
    database_bytes: u64,
    files: u64,
    file_bytes: u64,
}

/// Checks the target directory; returns whether it has to be created.
fn check_target(source: &Path, target: &Path) -> Result<bool, CliError> {
    let shown = target.display();
    let refuse = |reason: String| Err(CliError::Usage(reason));
    let mut entries = match std::fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return check_place(source, target),
        Err(error) => return refuse(format!("cannot use {shown}: {error}; give a directory for the copy")),
    };
    if target.join(UNFINISHED).exists() {
        return refuse(format!("{shown} has an interrupted copy; delete the directory and try again"));
    }
    if entries.next().is_some() {
        return refuse(format!("{shown} is not empty; give an empty or a new directory"));
    }
    check_place(source, target)?;
    Ok(false)
}

/// Rejects a target inside the data directory, which the next backup would copy.
fn check_place(source: &Path, target: &Path) -> Result<bool, CliError> {
    let absolute = std::path::absolute(target).unwrap_or_else(|_| target.to_owned());
    let existing = absolute.ancestors().find_map(|above| above.canonicalize().ok());
    if let (Some(existing), Ok(source)) = (existing, source.canonicalize())
        && existing.starts_with(&source)
    {
        let reason = format!("{} is in the data directory; give a directory outside it", target.display());
        return Err(CliError::Usage(reason));
    }
    Ok(true)
}

/// Copies files after the database, so that the files of all copied messages are included.
fn copy(source: &Path, target: &Path, verify: bool) -> Result<Copied, CliError> {
    let failed = |error: io::Error| CliError::Failed(format!("cannot copy to {}: {error}", target.display()));
    create_private(target).map_err(failed)?;
    let unfinished = target.join(UNFINISHED);
    let database_bytes =
        copy_database(source, &unfinished).map_err(|error| CliError::Failed(error.to_string()))?;
    if verify {
        check_integrity(&unfinished).map_err(|error| CliError::Failed(error.to_string()))?;
    }
    let mut copied = Copied { database_bytes, files: 0, file_bytes: 0 };
    copy_folder(&source.join(FILES), &target.join(FILES), &mut copied).map_err(failed)?;
    let key = source.join(ADMIN_KEY_FILE);
    if key.is_file() {
        copy_file(&key, &target.join(ADMIN_KEY_FILE)).map_err(failed)?;
    }
    std::fs::rename(&unfinished, target.join(DATABASE)).map_err(failed)?;
    sync(target).map_err(failed)?;
    Ok(copied)
}

/// Copies a folder recursively; a missing folder counts as empty.
fn copy_folder(from: &Path, to: &Path, copied: &mut Copied) -> io::Result<()> {
    let entries = match std::fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    create_private(to)?;
    for entry in entries {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_folder(&path, &target, copied)?;
            continue;
        }
        if let Some(bytes) = copy_file(&path, &target)? {
            copied.files += 1;
            copied.file_bytes += bytes;
        }
    }
    sync(to)
}

/// Returns the number of bytes copied; `None` if the daemon removed the file meanwhile.
fn copy_file(from: &Path, to: &Path) -> io::Result<Option<u64>> {
    let mut source = match File::open(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut target = File::options().write(true).create_new(true).mode(0o600).open(to)?;
    let bytes = io::copy(&mut source, &mut target)?;
    target.sync_all()?;
    Ok(Some(bytes))
}

fn create_private(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Removes everything that this command wrote.
fn remove(target: &Path, is_new: bool) -> io::Result<()> {
    if is_new {
        return unless_absent(std::fs::remove_dir_all(target));
    }
    for name in [UNFINISHED, DATABASE, ADMIN_KEY_FILE] {
        unless_absent(std::fs::remove_file(target.join(name)))?;
    }
    unless_absent(std::fs::remove_dir_all(target.join("media")))
}

fn unless_absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
