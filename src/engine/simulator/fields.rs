//! Reads and checks the fields of a JSON object. Errors name the field by its path.
//!
//! Settings and control requests share it.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::domain::clock::Millis;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::SettingError;

/// The characters of an unknown field's name that an error repeats.
const NAME_SHOWN: usize = 64;
/// The longest message id in bytes.
const MAX_ID: usize = 1_024;
/// The last millisecond of the year 9999.
const MAX_TIME: u64 = 253_402_300_799_999;

/// The fields of one object.
pub(super) struct Fields<'a> {
    /// The path of the object, such as `settings.simulator`; empty for a request body.
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of `map`; fields that are not among `allowed` are rejected.
    pub(super) fn new(
        path: impl Into<String>,
        map: &'a Map<String, Value>,
        allowed: &[&str],
    ) -> Result<Self, SettingError> {
        let fields = Self { path: path.into(), map };
        let Some(name) = map.keys().find(|name| !allowed.contains(&name.as_str())) else {
            return Ok(fields);
        };
        let shown: String = name.chars().take(NAME_SHOWN).collect();
        Err(fields.wrong(&shown, format!("is unknown; the fields are {}", allowed.join(", "))))
    }

    /// The fields of an object in a list or in another object.
    pub(super) fn nested(path: String, value: &'a Value, allowed: &[&str]) -> Result<Self, SettingError> {
        let Value::Object(map) = value else {
            return Err(SettingError { field: path, message: "must be an object".to_owned() });
        };
        Self::new(path, map, allowed)
    }

    /// The error of a field.
    pub(super) fn wrong(&self, name: &str, message: impl Into<String>) -> SettingError {
        SettingError { field: self.path_of(name), message: message.into() }
    }

    /// The path of a field.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The value of a field, `null` included.
    pub(super) fn raw(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name)
    }

    /// The value of a field that is present and not `null`.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A whole number within `range`.
    pub(super) fn integer(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, SettingError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let message = format!("must be a whole number from {} to {}", range.start(), range.end());
                Err(self.wrong(name, message))
            }
        }
    }

    /// A boolean.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, SettingError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(name, "must be true or false")),
        }
    }

    /// A text of 1 to `max` bytes.
    pub(super) fn text(&self, name: &str, max: usize) -> Result<Option<&'a str>, SettingError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if (1..=max).contains(&text.len()) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, format!("must be a text of 1 to {max} bytes"))),
        }
    }

    /// A text of at most `max` bytes, which may be empty.
    pub(super) fn text_or_empty(&self, name: &str, max: usize) -> Result<Option<&'a str>, SettingError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= max => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, format!("must be a text of at most {max} bytes"))),
        }
    }

    /// A number within `range`.
    pub(super) fn number(&self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, SettingError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(name, format!("must be a number from {} to {}", range.start(), range.end()))),
        }
    }

    /// A list of at most `max` values.
    pub(super) fn list(&self, name: &str, max: usize) -> Result<Option<&'a [Value]>, SettingError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(values)) if values.len() <= max => Ok(Some(values)),
            Some(_) => Err(self.wrong(name, format!("must be a list of at most {max} values"))),
        }
    }

    /// A chat id or a phone number.
    pub(super) fn jid(&self, name: &str) -> Result<Option<Jid>, SettingError> {
        self.value(name).map(|value| jid_of(value, &self.path_of(name))).transpose()
    }

    /// A list of at most `max` chat ids or phone numbers.
    pub(super) fn jids(&self, name: &str, max: usize) -> Result<Vec<Jid>, SettingError> {
        let values = self.list(name, max)?.unwrap_or_default();
        let path = self.path_of(name);
        values.iter().enumerate().map(|(at, value)| jid_of(value, &format!("{path}[{at}]"))).collect()
    }

    /// A list of at most `max` texts of 1 to `bytes` bytes.
    pub(super) fn texts(&self, name: &str, max: usize, bytes: usize) -> Result<Vec<String>, SettingError> {
        let values = self.list(name, max)?.unwrap_or_default();
        let text = |(at, value): (usize, &Value)| match value {
            Value::String(text) if (1..=bytes).contains(&text.len()) => Ok(text.clone()),
            _ => Err(self.wrong(&format!("{name}[{at}]"), format!("must be a text of 1 to {bytes} bytes"))),
        };
        values.iter().enumerate().map(text).collect()
    }

    /// A message's permanent id.
    pub(super) fn message_id(&self, name: &str) -> Result<MessageId, SettingError> {
        let text = self.required(name, self.text(name, MAX_ID)?)?;
        text.parse().map_err(|error| self.wrong(name, format!("{error}")))
    }

    /// A moment, in milliseconds since the Unix epoch.
    pub(super) fn time(&self, name: &str) -> Result<Option<Millis>, SettingError> {
        let ms = self.integer(name, 0..=MAX_TIME)?;
        Ok(ms.and_then(|ms| i64::try_from(ms).ok()).map(Millis))
    }

    /// Rejects a missing field.
    pub(super) fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, SettingError> {
        value.ok_or_else(|| self.wrong(name, "is required"))
    }
}

/// A JSON value as a chat id; an error names `path`.
pub(super) fn jid_of(value: &Value, path: &str) -> Result<Jid, SettingError> {
    let wrong = |message: String| SettingError { field: path.to_owned(), message };
    let Value::String(text) = value else {
        return Err(wrong("must be a text with a phone number or chat id".to_owned()));
    };
    text.parse().map_err(|error| wrong(format!("{error}")))
}
