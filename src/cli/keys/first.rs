//! `wharf keys first`: prints the key that the daemon wrote at its first start, for images without a shell.

use std::io;
use std::path::Path;

use serde_json::json;

use crate::cli::api_key::ADMIN_KEY_FILE;
use crate::cli::exit::CliError;
use crate::cli::output::Output;

/// Prints the key in the data directory. `from_environment`: the daemon's key was set by a variable.
///
/// # Errors
/// [`CliError::Failed`] with the reason when there is none.
pub(super) fn run(data_dir: &Path, from_environment: bool, out: &Output) -> Result<(), CliError> {
    let key = first_key(data_dir, from_environment)?;
    out.show(&json!({ "key": key }), || key.clone())
}

fn first_key(data_dir: &Path, from_environment: bool) -> Result<String, CliError> {
    let path = data_dir.join(ADMIN_KEY_FILE);
    let reason = match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => format!("{} is empty", path.display()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            format!("cannot read {}: {error}", path.display())
        }
        Err(_) if from_environment => {
            "the first key was set by WHARF_API_KEY or WHARF_API_KEY_FILE; it is not stored in a file"
                .to_owned()
        }
        Err(_) if !data_dir.is_dir() => format!("there is no directory {}", data_dir.display()),
        Err(_) => format!(
            "there is no {}: it was removed, or the daemon has not started yet, or its first start printed the key",
            path.display()
        ),
    };
    Err(CliError::Failed(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(dir: &Path, from_environment: bool) -> String {
        first_key(dir, from_environment).unwrap_err().to_string()
    }

    #[test]
    fn first_key_is_read_without_line_end() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(ADMIN_KEY_FILE), "whf_a_b\n").unwrap();
        assert_eq!(first_key(dir.path(), true).unwrap(), "whf_a_b");
    }

    #[test]
    fn absent_first_key_has_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        assert!(reason(dir.path(), false).contains("it was removed"));
        assert!(reason(dir.path(), true).contains("WHARF_API_KEY"));
        assert!(reason(&dir.path().join("none"), false).starts_with("there is no directory "));
        std::fs::write(dir.path().join(ADMIN_KEY_FILE), "\n").unwrap();
        assert!(reason(dir.path(), true).ends_with("is empty"));
    }
}
