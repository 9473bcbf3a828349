//! `[notify]`, with the validation of its rules and commands.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use toml::Value;

use crate::domain::notify::{Kind, RuleSpec, sound_files};

/// Maximum rules in the settings.
const MAX_RULES: usize = 200;
const MAX_COMMANDS: usize = 100;
const COMMAND_KEYS: [&str; 4] = ["name", "run", "timeout_ms", "log_output"];
const TIMEOUT_MS: std::ops::RangeInclusive<i64> = 1..=600_000;

/// `[notify]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NotifySettings {
    /// Whether notifications are created.
    pub enabled: bool,
    /// Whether the compiled-in rules apply.
    pub defaults: bool,
    /// Rules, validated as [`RuleSpec`]s.
    pub rules: Vec<Json>,
    /// Commands that rules can run.
    pub commands: Vec<NamedCommandSettings>,
    /// Start of the quiet hours, or empty.
    pub quiet_from: String,
    /// End of the quiet hours, or empty.
    pub quiet_to: String,
    /// Time zone of the quiet hours.
    pub time_zone: super::Zone,
    /// Maximum notifications per device and minute.
    pub per_minute: u32,
    /// Age in milliseconds beyond which an event causes no alert.
    pub fresh_ms: u64,
}

/// `[[notify.commands]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NamedCommandSettings {
    /// Name for rules.
    pub name: String,
    /// The program and its arguments.
    pub run: Vec<String>,
    /// Time limit in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Whether the command's output is logged.
    #[serde(default)]
    pub log_output: bool,
}

impl NotifySettings {
    /// Returns the rules, which were all validated.
    #[must_use]
    pub fn rule_specs(&self) -> Vec<RuleSpec> {
        self.rules.iter().filter_map(|rule| RuleSpec::read(rule).ok()).collect()
    }

    /// Returns the first command of these rules that the settings do not define.
    pub fn unknown_command(&self, rules: &[RuleSpec]) -> Option<String> {
        let is_command = |name: &&String| self.commands.iter().any(|command| command.name == **name);
        rules.iter().filter_map(|rule| rule.command.as_ref()).find(|name| !is_command(name)).cloned()
    }

    /// Returns the first sound of a rule that is neither compiled in nor in this directory.
    pub(super) fn unknown_sound(&self, dir: &Path) -> Option<String> {
        let is_file = |name: &str| {
            !dir.as_os_str().is_empty() && sound_files(name).iter().any(|file| dir.join(file).is_file())
        };
        let is_known = |name: &str| Kind::ALL.iter().any(|kind| kind.sound() == name) || is_file(name);
        self.rule_specs().into_iter().filter_map(|rule| rule.sound).find(|name| !is_known(name))
    }
}

/// Validates rules as tables; returns the error of the first invalid one.
pub(super) fn check_rules(items: &[Value]) -> Result<(), String> {
    if items.len() > MAX_RULES {
        return Err(format!("must have at most {MAX_RULES} rules"));
    }
    for (index, item) in items.iter().enumerate() {
        rule(item).map_err(|(field, message)| format!("[{index}]: {field} {message}"))?;
    }
    Ok(())
}

/// Parses a rule. The error has the invalid field and the reason.
pub(super) fn rule(item: &Value) -> Result<RuleSpec, (String, String)> {
    if !item.is_table() {
        return Err(("rule".to_owned(), "must be a table".to_owned()));
    }
    let json = serde_json::to_value(item).map_err(|error| ("rule".to_owned(), error.to_string()))?;
    RuleSpec::read(&json).map_err(|error| (error.field, error.message))
}

pub(super) fn check_commands(items: &[Value]) -> Result<(), String> {
    if items.len() > MAX_COMMANDS {
        return Err(format!("must have at most {MAX_COMMANDS} commands"));
    }
    let mut names = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let wrong = |what: &str| Err(format!("[{index}]: {what}"));
        let Value::Table(table) = item else { return wrong("must be a table") };
        if let Some(key) = table.keys().find(|key| !COMMAND_KEYS.contains(&key.as_str())) {
            return wrong(&format!("{} is no field of a command", key.escape_debug()));
        }
        let name = table.get("name").and_then(Value::as_str).unwrap_or_default();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return wrong("name must be 1 to 64 letters, digits, _ or -");
        }
        if !names.insert(name.to_owned()) {
            return wrong("name is another command's");
        }
        let run = table.get("run").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_program = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
        if !run.first().is_some_and(is_program) || !run.iter().all(Value::is_str) {
            return wrong("run must be a list of texts: the program and its arguments");
        }
        if let Some(timeout) = table.get("timeout_ms")
            && !timeout.as_integer().is_some_and(|ms| TIMEOUT_MS.contains(&ms))
        {
            return wrong("timeout_ms must be 1 to 600000");
        }
        if table.get("log_output").is_some_and(|value| !value.is_bool()) {
            return wrong("log_output must be true or false");
        }
    }
    Ok(())
}
