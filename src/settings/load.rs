//! Loads and merges the layers: compiled-in defaults, then a file, then the environment.
//!
//! Each layer is checked for unknown keys and wrong types before it is merged, so that an error names the
//! layer that contains it.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Config, ConfigError, Map, Source, ValueKind};
use toml::{Table, Value};

use super::Settings;
use super::describe::SettingSources;
use super::error::{SettingsError, line_of, one_line};
use super::secret_file::{self, SecretFileError};
use super::tree::{DefaultKeys, SECRET_KEYS, SettingEntry, refuse_second};
use super::validate;
use super::validate::Effective;

/// The documented defaults, `config/default.toml`.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// Follows `WHARF` in the name of a variable that is a setting, and separates section and key.
const SEPARATOR: &str = "__";
const PREFIX: &str = "WHARF__";

/// Returns the process's environment for [`Settings::load`]. Invalid Unicode is replaced.
pub fn process_environment() -> Vec<(String, String)> {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect()
}

impl Settings {
    /// Loads the effective settings: defaults, then `file`, then the variables of `env` named
    /// `WHARF__SECTION__KEY`.
    ///
    /// # Errors
    /// The first [`SettingsError`]: an unreadable file, an unknown key, a wrong type, or an invalid value.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let defaults = parse_toml(DEFAULT_TOML, "default")?;
        let known = DefaultKeys::from_defaults(&defaults);
        let mut layers = vec![known.entries_of(&defaults, "default")?];
        if let Some(path) = file {
            layers.push(file_layer(&known, path)?);
        }
        let env: Vec<(String, String)> = env.into_iter().collect();
        layers.push(env_layer(&known, env.iter().cloned())?);

        let effective = effective_entries(&layers);
        validate::values(&effective)?;
        let mut settings: Self = merge(layers)?;
        settings.chat.resolve(&env).map_err(|reason| effective.impossible("chat.identities", &reason))?;
        validate::relations(&settings, &effective)?;
        settings.sources = SettingSources(effective.sources());
        Ok(settings)
    }
}

fn file_layer(known: &DefaultKeys, path: &Path) -> Result<Vec<SettingEntry>, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    let origin = path.display().to_string();
    known.entries_of(&parse_toml(&text, &origin)?, &origin)
}

fn env_layer(
    known: &DefaultKeys,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<SettingEntry>, SettingsError> {
    let mut variables: Vec<_> = env.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    let mut layer = Vec::new();
    for (name, text) in &variables {
        let entry = match secret_of_file(&variables, name, text)? {
            Some((key, secret)) => known.entry_of_text(&key, &secret, &origin(name))?,
            None => known.entry_of_text(&key_of(name), text, &origin(name))?,
        };
        refuse_second(&layer, &entry)?;
        layer.push(entry);
    }
    Ok(layer)
}

fn key_of(name: &str) -> String {
    name.strip_prefix(PREFIX)
        .unwrap_or_default()
        .split(SEPARATOR)
        .collect::<Vec<_>>()
        .join(".")
        .to_lowercase()
}

fn origin(name: &str) -> String {
    format!("environment variable {}", name.escape_debug())
}

/// Returns the key and the value of a secret whose variable has the path of a file; `None` for other
/// variables.
fn secret_of_file(
    variables: &[(String, String)],
    name: &str,
    path: &str,
) -> Result<Option<(String, String)>, SecretFileError> {
    let Some(variable) = name.strip_suffix(secret_file::SUFFIX) else { return Ok(None) };
    let key = key_of(variable);
    if !SECRET_KEYS.contains(&key.as_str()) {
        return Ok(None);
    }
    if variables.iter().any(|(other, value)| other == variable && !value.is_empty()) {
        return Err(SecretFileError::Both { variable: variable.to_owned() });
    }
    // Merged after `variable`, so it replaces an empty value.
    Ok(Some((key, secret_file::read(variable, path)?)))
}

fn parse_toml(text: &str, origin: &str) -> Result<Table, SettingsError> {
    text.parse().map_err(|error: toml::de::Error| SettingsError::Syntax {
        origin: origin.to_owned(),
        line: line_of(text, &error),
        message: one_line(&error),
    })
}

/// Returns the topmost entry of each key.
fn effective_entries(layers: &[Vec<SettingEntry>]) -> Effective {
    let all = layers.iter().flatten().map(|entry| (entry.key.clone(), entry.clone()));
    Effective::new(all.collect::<BTreeMap<_, _>>())
}

fn merge(layers: Vec<Vec<SettingEntry>>) -> Result<Settings, SettingsError> {
    let builder =
        layers.into_iter().fold(Config::builder(), |builder, layer| builder.add_source(Layer(layer)));
    let built = builder.build().and_then(Config::try_deserialize);
    built.map_err(|source| SettingsError::Build { source })
}

/// One layer as a source of the `config` crate.
#[derive(Clone, Debug)]
struct Layer(Vec<SettingEntry>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, config::Value>, ConfigError> {
        Ok(self.0.iter().map(|entry| (entry.key.clone(), config_value(entry))).collect())
    }
}

fn config_value(entry: &SettingEntry) -> config::Value {
    config::Value::new(Some(&entry.origin), config_kind(&entry.value))
}

fn config_kind(value: &Value) -> ValueKind {
    match value {
        Value::String(text) => ValueKind::String(text.clone()),
        Value::Integer(number) => ValueKind::I64(*number),
        Value::Float(number) => ValueKind::Float(*number),
        Value::Boolean(flag) => ValueKind::Boolean(*flag),
        Value::Datetime(moment) => ValueKind::String(moment.to_string()),
        Value::Array(items) => ValueKind::Array(items.iter().map(|item| config_kind(item).into()).collect()),
        Value::Table(table) => {
            let pairs = table.iter().map(|(key, item)| (key.clone(), config_kind(item).into()));
            ValueKind::Table(pairs.collect())
        }
    }
}
