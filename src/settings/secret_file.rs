//! Reads secrets from files: a variable `NAME_FILE` has the path of a file with the value of `NAME`.
//!
//! Docker and Kubernetes mount secrets as files, which are less exposed than environment variables.

use std::io::{self, Read as _};
use std::path::PathBuf;

/// Suffix of the name of a variable with a path.
pub(super) const SUFFIX: &str = "_FILE";
/// Maximum bytes of a secret.
const MAX_BYTES: u64 = 64 * 1024;

/// A secret that cannot be read from its file. `Display` has the variable but not the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The value and the file are both set.
    #[error("{variable} and {variable}_FILE are both set; set one of them")]
    Both {
        /// The variable of the value.
        variable: String,
    },
    /// The file is empty, apart from line ends.
    #[error("{variable}_FILE: the file {} is empty", path.display())]
    Empty {
        /// The variable of the value.
        variable: String,
        /// The file.
        path: PathBuf,
    },
    /// The file exceeds the maximum size of a secret.
    #[error("{variable}_FILE: the file {} is larger than 64 KiB", path.display())]
    TooLarge {
        /// The variable of the value.
        variable: String,
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read as text.
    #[error("{variable}_FILE: cannot read the file {path:?}: {source}")]
    Read {
        /// The variable of the value.
        variable: String,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Reads a secret from a file, without the trailing line end. `variable` is the variable of the value.
///
/// # Errors
/// [`SecretFileError`] for a file that is missing, a directory, empty, too large or not text.
pub(super) fn read(variable: &str, path: &str) -> Result<String, SecretFileError> {
    let (variable, path) = (variable.to_owned(), PathBuf::from(path));
    let mut text = String::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    match read {
        Err(source) => return Err(SecretFileError::Read { variable, path, source }),
        Ok(_) if text.len() as u64 > MAX_BYTES => return Err(SecretFileError::TooLarge { variable, path }),
        Ok(_) => {}
    }
    let secret =
        text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if secret.trim().is_empty() {
        return Err(SecretFileError::Empty { variable, path });
    }
    Ok(secret.to_owned())
}

/// Reads the secret of a variable that is not a setting, such as `WHARF_API_KEY`, or of its `_FILE` form.
///
/// # Errors
/// [`SecretFileError`], also when both forms are set. An empty value counts as unset.
pub fn secret_variable(
    variable: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, SecretFileError> {
    let value = environment(variable).filter(|value| !value.is_empty());
    match (value, environment(&format!("{variable}{SUFFIX}"))) {
        (Some(_), Some(_)) => Err(SecretFileError::Both { variable: variable.to_owned() }),
        (value, None) => Ok(value),
        (None, Some(path)) => read(variable, &path).map(Some),
    }
}
