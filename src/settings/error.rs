//! Errors of the configuration. Each is one line with the key, its value and its origin.

use std::io;
use std::path::PathBuf;

use super::secret_file::SecretFileError;

/// An invalid configuration. `Display` is one line without secrets.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{origin}, line {line}: {message}")]
    Syntax {
        /// The file.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// The parser's message, without the text itself.
        message: String,
    },
    /// An unknown key.
    #[error("unknown key {key} = {value} ({origin}){}", hint(nearest.as_deref()))]
    UnknownKey {
        /// Its path, such as `server.lisen`.
        key: String,
        /// The masked or shortened value.
        value: String,
        /// File, environment variable, or `default`.
        origin: String,
        /// The most similar valid key.
        nearest: Option<String>,
    },
    /// The value does not have the type of the key.
    #[error("{key} = {value} ({origin}): must be {expected}")]
    WrongType {
        /// The key.
        key: String,
        /// The masked or shortened value.
        value: String,
        /// File, environment variable, or `default`.
        origin: String,
        /// The required type.
        expected: &'static str,
    },
    /// The value has the correct type but is invalid.
    #[error("{key} = {value} ({origin}): {reason}")]
    Impossible {
        /// The key.
        key: String,
        /// The masked or shortened value.
        value: String,
        /// File, environment variable, or `default`.
        origin: String,
        /// The cause.
        reason: String,
    },
    /// A secret cannot be read from its file.
    #[error(transparent)]
    SecretFile(#[from] SecretFileError),
    /// The merged layers do not match the types of the settings.
    #[error("the configuration cannot be built: {source}")]
    Build {
        /// The cause.
        source: config::ConfigError,
    },
    /// The settings cannot be written as TOML.
    #[error("the configuration cannot be shown: {source}")]
    Render {
        /// The cause.
        source: toml::ser::Error,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!("; did you mean {key}?"))
}

/// Returns the line of the first error in a TOML text, from 1.
pub(super) fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1
}

/// Returns the parser's message on one line, without the text, which may contain secrets.
pub(super) fn one_line(error: &toml::de::Error) -> String {
    error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ")
}
