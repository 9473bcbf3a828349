//! Declared devices: `devices/*.toml`, one device in each file.
//!
//! This module only reads files; the supervisor reconciles them with the stored devices. A secret in a file is a
//! reference to an environment variable (`token = "${SHOP_TOKEN}"`): any other value under the key of a secret is
//! rejected.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::{line_of, one_line};
use super::notify;
use crate::domain::notify::RuleSpec;
use crate::domain::secret_settings::is_secret_name;

mod inbox_grants;
mod webhooks;

pub use inbox_grants::DeclaredInboxGrant;
pub use webhooks::DeclaredWebhook;

/// A device declared by a file.
#[derive(Clone, PartialEq)]
pub struct DeclaredDevice {
    /// 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub id: String,
    /// Display name.
    pub name: Option<String>,
    /// Engine; `devices.default_engine` if absent.
    pub engine: Option<String>,
    /// Settings of the device with environment references resolved. May contain secrets.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Whether the device is started with the daemon.
    pub autostart: bool,
    /// Webhooks of the device. May contain secrets.
    pub webhooks: Vec<DeclaredWebhook>,
    /// Notification rules of the device.
    pub notify: Vec<RuleSpec>,
    /// Who may use the inbox of the device.
    pub inbox_grants: Vec<DeclaredInboxGrant>,
    /// The file that declares it.
    pub file: PathBuf,
}

/// Omits the settings, which may contain secrets.
impl fmt::Debug for DeclaredDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeclaredDevice")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("engine", &self.engine)
            .field("autostart", &self.autostart)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// An invalid declaration of a device. `Display` is one line without values.
#[derive(Debug, thiserror::Error)]
pub enum DeclaredError {
    /// The directory or a file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Directory or file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{}, line {line}: {message}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The parser's message.
        message: String,
    },
    /// An unknown key.
    #[error("{}: unknown key {key}{}", file.display(), nearest.as_deref().map(|k| format!("; did you mean {k}?")).unwrap_or_default())]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// The most similar valid key.
        nearest: Option<String>,
    },
    /// An invalid notification rule.
    #[error("{}: {key} {reason}", file.display())]
    Rule {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// The error.
        reason: String,
    },
    /// A required key is missing.
    #[error("{}: {key} is missing", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// An invalid value.
    #[error("{}: {key} {reason}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// The error.
        reason: &'static str,
    },
    /// A referenced environment variable is not set.
    #[error("{}: {key} refers to the environment variable {variable}, which is not set", file.display())]
    MissingVariable {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// The variable.
        variable: String,
    },
    /// Two files declare the same device.
    #[error("{}: id {id} is already declared in {}", file.display(), first.display())]
    Duplicate {
        /// The second file.
        file: PathBuf,
        /// The id.
        id: String,
        /// The first file.
        first: PathBuf,
    },
}

const KEYS: [&str; 8] = ["id", "name", "engine", "settings", "autostart", "webhooks", "notify", "chat"];

/// Loads all devices declared in `dir`, ordered by file name. A missing directory declares none.
///
/// Reads files: call it at startup, or off the async runtime.
///
/// # Errors
/// The first invalid file.
pub fn load_declared(
    dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<DeclaredDevice>, DeclaredError> {
    let mut devices = Vec::new();
    let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in toml_files(dir)? {
        let device = load_file(&file, env)?;
        if let Some(first) = seen.insert(device.id.clone(), file.clone()) {
            return Err(DeclaredError::Duplicate { file, id: device.id, first });
        }
        devices.push(device);
    }
    Ok(devices)
}

fn toml_files(dir: &Path) -> Result<Vec<PathBuf>, DeclaredError> {
    let unreadable = |source| DeclaredError::Read { path: dir.to_owned(), source };
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if is_declaration(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Hidden files are ignored, because editors create them while writing.
fn is_declaration(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "toml") && !path.is_dir()
}

fn load_file(file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<DeclaredDevice, DeclaredError> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| DeclaredError::Read { path: file.to_owned(), source })?;
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| DeclaredError::Syntax {
        file: file.to_owned(),
        line: line_of(&text, &error),
        message: one_line(&error),
    })?;
    check_keys(file, &table)?;

    let id = take_text(file, &mut table, "id")?;
    let id = id.ok_or_else(|| DeclaredError::Missing { file: file.to_owned(), key: "id" })?;
    if !is_device_id(&id) {
        return Err(invalid(file, "id", "must be 1 to 64 letters, digits, _ or -"));
    }
    Ok(DeclaredDevice {
        id,
        name: take_text(file, &mut table, "name")?,
        engine: take_text(file, &mut table, "engine")?,
        settings: take_settings(file, &mut table, env)?,
        autostart: take_flag(file, &mut table, "autostart")?.unwrap_or(true),
        webhooks: webhooks::take(file, &mut table, env)?,
        notify: take_rules(file, &mut table)?,
        inbox_grants: inbox_grants::take(file, &mut table)?,
        file: file.to_owned(),
    })
}

fn check_keys(file: &Path, table: &Table) -> Result<(), DeclaredError> {
    for key in table.keys().map(String::as_str) {
        if !KEYS.contains(&key) {
            let nearest = crate::domain::suggestion::suggest(key, KEYS.into_iter());
            return Err(DeclaredError::UnknownKey { file: file.to_owned(), key: printable(key), nearest });
        }
    }
    Ok(())
}

fn is_device_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (1..=64).contains(&id.len()) && id.bytes().all(plain)
}

fn take_text(file: &Path, table: &mut Table, key: &str) -> Result<Option<String>, DeclaredError> {
    match table.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        Some(_) => Err(invalid(file, key, "must be a text that is not empty")),
    }
}

fn take_rules(file: &Path, table: &mut Table) -> Result<Vec<RuleSpec>, DeclaredError> {
    let list = match table.remove("notify") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(invalid(file, "notify", "must be written as [[notify]]")),
    };
    let read = |(index, item): (usize, &Value)| {
        notify::rule(item).map_err(|(field, reason)| {
            let key = format!("notify[{index}].{field}");
            DeclaredError::Rule { file: file.to_owned(), key, reason }
        })
    };
    list.iter().enumerate().map(read).collect()
}

fn take_flag(file: &Path, table: &mut Table, key: &str) -> Result<Option<bool>, DeclaredError> {
    match table.remove(key) {
        None => Ok(None),
        Some(Value::Boolean(flag)) => Ok(Some(flag)),
        Some(_) => Err(invalid(file, key, "must be true or false")),
    }
}

fn take_settings(
    file: &Path,
    table: &mut Table,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<serde_json::Map<String, serde_json::Value>, DeclaredError> {
    match table.remove("settings") {
        None => Ok(serde_json::Map::new()),
        Some(Value::Table(settings)) => Resolver { file, env }.table("settings", settings),
        Some(_) => Err(invalid(file, "settings", "must be a table")),
    }
}

/// Converts TOML to JSON and replaces references with the values of their variables.
struct Resolver<'a> {
    file: &'a Path,
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl Resolver<'_> {
    fn table(
        &self,
        path: &str,
        table: Table,
    ) -> Result<serde_json::Map<String, serde_json::Value>, DeclaredError> {
        let resolve = |(key, value): (String, Value)| {
            let path = format!("{path}.{}", printable(&key));
            self.value(&path, is_secret_name(&key), value).map(|value| (key, value))
        };
        table.into_iter().map(resolve).collect()
    }

    fn value(&self, path: &str, secret: bool, value: Value) -> Result<serde_json::Value, DeclaredError> {
        match value {
            Value::String(text) => self.text(path, secret, text).map(serde_json::Value::String),
            Value::Integer(number) => Ok(number.into()),
            Value::Boolean(flag) => Ok(flag.into()),
            Value::Datetime(moment) => Ok(moment.to_string().into()),
            Value::Float(number) => serde_json::Number::from_f64(number)
                .map(serde_json::Value::Number)
                .ok_or_else(|| invalid(self.file, path, "must be a finite number")),
            Value::Array(items) => {
                let numbered = items.into_iter().enumerate();
                numbered.map(|(i, item)| self.value(&format!("{path}[{i}]"), secret, item)).collect()
            }
            Value::Table(table) => self.table(path, table).map(serde_json::Value::Object),
        }
    }

    fn text(&self, path: &str, secret: bool, text: String) -> Result<String, DeclaredError> {
        if let Some(variable) = referenced_variable(&text) {
            return (self.env)(variable).ok_or_else(|| DeclaredError::MissingVariable {
                file: self.file.to_owned(),
                key: path.to_owned(),
                variable: variable.to_owned(),
            });
        }
        if text.contains("${") {
            return Err(invalid(self.file, path, "must be one whole reference such as ${NAME}, or none"));
        }
        if secret && !text.is_empty() {
            let reason = "is a secret: write it as a reference to an environment variable, ${NAME}";
            return Err(invalid(self.file, path, reason));
        }
        Ok(text)
    }
}

/// Returns `NAME` if the text is exactly `${NAME}`.
fn referenced_variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (!name.is_empty() && name.bytes().all(plain)).then_some(name)
}

fn invalid(file: &Path, key: &str, reason: &'static str) -> DeclaredError {
    DeclaredError::Invalid { file: file.to_owned(), key: key.to_owned(), reason }
}

/// Escapes a key for one line: a quoted TOML key may contain any character.
fn printable(key: &str) -> String {
    key.escape_debug().to_string()
}
