//! The configuration as a flat tree: valid keys, and values with their origin. Displayed values never contain
//! secrets.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::error::SettingsError;
use super::secret::MASK;
use crate::domain::engine_name::current_key;

/// Keys with secret values.
pub(super) const SECRET_KEYS: [&str; 3] =
    ["auth.jwt_secret", "media.s3_secret_access_key", "store.vault_key"];
/// Keys with a list of tables; in the environment as JSON.
pub(super) const TABLES_KEYS: [&str; 4] =
    ["notify.rules", "notify.commands", "chat.identities", "chat.directory"];
/// Keys with a boolean or a keyword.
pub(super) const SWITCH_KEYS: [&str; 3] =
    ["engines.simulator.enabled", "effects.desktop.enabled", "effects.sound.enabled"];
/// Maximum characters of a value in an error.
const SHOWN_CHARS: usize = 120;

/// A value with its origin.
#[derive(Clone, Debug)]
pub(super) struct SettingEntry {
    pub(super) key: String,
    pub(super) value: Value,
    /// `default`, a file's path, or `environment variable NAME`.
    pub(super) origin: String,
}

impl SettingEntry {
    pub(super) fn impossible(&self, reason: impl Into<String>) -> SettingsError {
        SettingsError::Impossible {
            key: self.key.clone(),
            value: shown(&self.key, &self.value),
            origin: self.origin.clone(),
            reason: reason.into(),
        }
    }

    pub(super) fn wrong_type(&self, expected: &'static str) -> SettingsError {
        SettingsError::WrongType {
            key: self.key.clone(),
            value: shown(&self.key, &self.value),
            origin: self.origin.clone(),
            expected,
        }
    }
}

/// The valid keys with their defaults, which define the types.
#[derive(Debug)]
pub(super) struct DefaultKeys(BTreeMap<String, Value>);

impl DefaultKeys {
    /// Collects the keys of the compiled-in defaults.
    pub(super) fn from_defaults(defaults: &Table) -> Self {
        let mut flat = BTreeMap::new();
        flatten("", defaults, &mut flat);
        Self(flat)
    }

    /// Returns all keys with their defaults, in order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Converts a file's table to entries.
    ///
    /// # Errors
    /// The first unknown key or wrong type.
    pub(super) fn entries_of(&self, table: &Table, origin: &str) -> Result<Vec<SettingEntry>, SettingsError> {
        let mut entries = Vec::new();
        self.walk("", table, origin, &mut entries)?;
        Ok(entries)
    }

    fn walk(
        &self,
        prefix: &str,
        table: &Table,
        origin: &str,
        into: &mut Vec<SettingEntry>,
    ) -> Result<(), SettingsError> {
        for (name, value) in table {
            let key = current_key(&join(prefix, name));
            let entry = SettingEntry { key, value: value.clone(), origin: origin.to_owned() };
            if let Some(expected) = self.0.get(&entry.key) {
                check_type(expected, &entry)?;
                refuse_second(into, &entry)?;
                into.push(entry);
            } else if !self.is_section(&entry.key) {
                return Err(self.unknown(&entry));
            } else if let Value::Table(inner) = value {
                self.walk(&entry.key, inner, origin, into)?;
            } else {
                return Err(entry.wrong_type("a table of keys"));
            }
        }
        Ok(())
    }

    /// Converts a value from the environment to an entry of the key's type.
    ///
    /// # Errors
    /// An unknown key, or a text that does not have the key's type.
    pub(super) fn entry_of_text(
        &self,
        key: &str,
        text: &str,
        origin: &str,
    ) -> Result<SettingEntry, SettingsError> {
        let key = &*current_key(key);
        let raw = SettingEntry {
            key: key.to_owned(),
            value: Value::String(text.to_owned()),
            origin: origin.to_owned(),
        };
        let Some(default) = self.0.get(key) else {
            let section = self.is_section(key);
            return Err(if section {
                raw.wrong_type("a table of keys: set one of them")
            } else {
                self.unknown(&raw)
            });
        };
        let value = match default {
            Value::Integer(_) => Value::Integer(text.trim().parse().map_err(|_| raw.wrong_type(INTEGER))?),
            Value::Array(_) if TABLES_KEYS.contains(&key) => {
                serde_json::from_str(text).map_err(|_| raw.wrong_type(TABLES_AS_JSON))?
            }
            Value::Array(_) => Value::Array(split_list(text)),
            Value::Boolean(_) => Value::Boolean(text.trim().parse().map_err(|_| raw.wrong_type(BOOLEAN))?),
            Value::String(_) if SWITCH_KEYS.contains(&key) => switch_of(text),
            _ => raw.value.clone(),
        };
        let entry = SettingEntry { value, ..raw };
        check_type(default, &entry)?;
        Ok(entry)
    }

    fn is_section(&self, key: &str) -> bool {
        self.0.keys().any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    fn unknown(&self, entry: &SettingEntry) -> SettingsError {
        let (key, value) = first_leaf(&entry.key, &entry.value);
        let nearest = crate::domain::suggestion::suggest(&key, self.0.keys().map(String::as_str));
        // A misspelt key of a secret also has a secret value.
        let sensitive =
            SECRET_KEYS.iter().any(|secret| nearest.as_deref() == Some(secret)) || sounds_secret(&key);
        SettingsError::UnknownKey {
            value: if sensitive { MASK.to_owned() } else { shown(&key, &value) },
            key: key.escape_debug().to_string(),
            origin: entry.origin.clone(),
            nearest,
        }
    }
}

/// Rejects a key that one layer sets by its current and by its former name.
pub(super) fn refuse_second(layer: &[SettingEntry], entry: &SettingEntry) -> Result<(), SettingsError> {
    let was_renamed = entry.key.starts_with("engines.remote.");
    if was_renamed && layer.iter().any(|other| other.key == entry.key) {
        return Err(entry.impossible("is set twice: engines.wwebjs is the former name of engines.remote"));
    }
    Ok(())
}

const INTEGER: &str = "a whole number";
const BOOLEAN: &str = "true or false";
const TABLES: &str = "a list of tables";
const TABLES_AS_JSON: &str = "a list of objects in JSON";

fn check_type(expected: &Value, entry: &SettingEntry) -> Result<(), SettingsError> {
    let switch = SWITCH_KEYS.contains(&entry.key.as_str());
    let tables = TABLES_KEYS.contains(&entry.key.as_str());
    match (expected, &entry.value) {
        (Value::Integer(_), Value::Integer(_)) | (Value::String(_), Value::String(_)) => Ok(()),
        (Value::Boolean(_), Value::Boolean(_)) => Ok(()),
        (Value::String(_), Value::Boolean(_)) if switch => Ok(()),
        (Value::Array(_), Value::Array(items)) if tables && items.iter().all(Value::is_table) => Ok(()),
        (Value::Array(_), _) if tables => Err(entry.wrong_type(TABLES)),
        (Value::Array(_), Value::Array(items)) if items.iter().all(Value::is_str) => Ok(()),
        (Value::Integer(_), _) => Err(entry.wrong_type(INTEGER)),
        (Value::Boolean(_), _) => Err(entry.wrong_type(BOOLEAN)),
        (Value::Array(_), _) => Err(entry.wrong_type("a list of texts")),
        (Value::String(_), _) if switch => Err(entry.wrong_type("true, false or \"auto\"")),
        _ => Err(entry.wrong_type("a text")),
    }
}

fn split_list(text: &str) -> Vec<Value> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| Value::String(item.to_owned())).collect()
}

fn switch_of(text: &str) -> Value {
    text.parse().map_or_else(|_| Value::String(text.to_owned()), Value::Boolean)
}

pub(super) fn flatten(prefix: &str, table: &Table, into: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = join(prefix, name);
        match value {
            Value::Table(inner) => flatten(&key, inner, into),
            leaf => {
                into.insert(key, leaf.clone());
            }
        }
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// Returns the first value inside an unknown table, so that the error is more specific.
fn first_leaf(key: &str, value: &Value) -> (String, Value) {
    match value {
        Value::Table(table) => match table.iter().next() {
            Some((name, inner)) => first_leaf(&join(key, name), inner),
            None => (key.to_owned(), value.clone()),
        },
        _ => (key.to_owned(), value.clone()),
    }
}

fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "password", "token", "key"].iter().any(|word| key.contains(word))
}

/// Formats a value on one line; secrets and credentials in URLs are masked.
pub(super) fn shown(key: &str, value: &Value) -> String {
    if SECRET_KEYS.contains(&key) {
        return MASK.to_owned();
    }
    let text = inline(value);
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", without_credentials(text)),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(_) => "{…}".to_owned(),
        plain => plain.to_string(),
    }
}

pub(super) fn without_credentials(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            format!("{}{MASK}{}", &text[..scheme + 3], &text[at..])
        }
        _ => text.to_owned(),
    }
}
