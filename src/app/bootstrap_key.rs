//! The first key: without it no client could authenticate at a new daemon.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::StartError;
use crate::service::access::keys::CreatedKey;

/// Its file, if standard error is no terminal.
fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.key")
}

/// Shows the key on the terminal, once, or writes it to a file that only its owner can read.
pub(super) fn print_bootstrap_key(
    first: &CreatedKey,
    data_dir: &Path,
    terminal: bool,
) -> Result<(), StartError> {
    if terminal {
        let mut screen = std::io::stderr().lock();
        let text = format!(
            "\n  The first API key of this daemon. It is shown once and may do everything:\n\n      {}\n\n",
            first.secret
        );
        if screen.write_all(text.as_bytes()).is_ok() {
            return Ok(());
        }
    }
    let path = file(data_dir);
    write_private(&path, &first.secret)
        .map_err(|source| StartError::FirstKey { path: path.clone(), source })?;
    tracing::info!(path = %path.display(), "the first API key was written to a file; move it to a safe place");
    Ok(())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // A file that is there belongs to keys that are gone; its mode may be anything.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
