//! What can be wrong with a configuration, each as one line that names key, value and origin.

use std::io;
use std::path::PathBuf;

/// A configuration that cannot be used. `Display` is one line without secrets.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{origin}, line {line}: {message}")]
    Syntax {
        /// The file.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// What the parser says, without the text itself.
        message: String,
    },
    /// No such key.
    #[error("unknown key {key} = {value} ({origin}){}", hint(nearest.as_deref()))]
    UnknownKey {
        /// Its path, such as `server.lisen`.
        key: String,
        /// The value as shown.
        value: String,
        /// File, environment variable, or `default`.
        origin: String,
        /// The known key that was probably meant.
        nearest: Option<String>,
    },
    /// The value has another type than the key.
    #[error("{key} = {value} ({origin}): must be {expected}")]
    WrongType {
        /// The key.
        key: String,
        /// The value as shown.
        value: String,
        /// File, environment variable, or `default`.
        origin: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The value has the right type and cannot work.
    #[error("{key} = {value} ({origin}): {reason}")]
    Impossible {
        /// The key.
        key: String,
        /// The value as shown.
        value: String,
        /// File, environment variable, or `default`.
        origin: String,
        /// Why.
        reason: String,
    },
    /// The layers do not make up settings: the defaults and the types disagree.
    #[error("the configuration cannot be put together: {source}")]
    Build {
        /// Why.
        source: config::ConfigError,
    },
    /// The settings cannot be written as TOML.
    #[error("the configuration cannot be shown: {source}")]
    Render {
        /// Why.
        source: toml::ser::Error,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!("; did you mean {key}?"))
}

/// The line, from 1, where a TOML text breaks.
pub(super) fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1
}

/// What the parser says, on one line and without the text, which may hold secrets.
pub(super) fn one_line(error: &toml::de::Error) -> String {
    error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ")
}
