//! Lists the effective settings with their sources. Secrets are masked.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::Settings;
use super::error::SettingsError;
use super::tree::{flatten, without_credentials};

/// The source of each key whose value is not the default; stored beside the settings.
#[derive(Clone, Debug, Default)]
pub(super) struct SettingSources(pub(super) BTreeMap<String, String>);

/// An effective setting.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedSetting {
    /// The key, such as `server.listen`.
    pub key: String,
    /// The value; secrets and the credentials of URLs are masked.
    pub value: Json,
    /// `default`, the path of a file, `environment variable NAME` or `option NAME`.
    pub source: String,
}

impl Settings {
    /// Returns all settings, ordered by key.
    ///
    /// # Errors
    /// As [`Settings::effective_toml_masked`].
    pub fn described(&self) -> Result<Vec<DescribedSetting>, SettingsError> {
        let tree = Table::try_from(self).map_err(|source| SettingsError::Render { source })?;
        let mut flat = BTreeMap::new();
        flatten("", &tree, &mut flat);
        let described = flat.into_iter().map(|(key, value)| {
            let source = self.sources.0.get(&key).map_or("default", String::as_str).to_owned();
            DescribedSetting { key, value: shown(&value), source }
        });
        Ok(described.collect())
    }

    /// Records that a command-line option set a key.
    pub fn set_by_option(&mut self, key: &str, option: &str) {
        self.sources.0.insert(key.to_owned(), format!("option {option}"));
    }
}

fn shown(value: &Value) -> Json {
    match value {
        Value::String(text) => without_credentials(text).into(),
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::Table(table) => table.iter().map(|(name, value)| (name.clone(), shown(value))).collect(),
        Value::Integer(number) => (*number).into(),
        Value::Boolean(flag) => (*flag).into(),
        Value::Float(number) => (*number).into(),
        Value::Datetime(moment) => moment.to_string().into(),
    }
}
