//! Reads the fields of a JSON object; errors name the field, with the sentences of Wharf's simulator.

use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::Refusal;
use crate::id::Id;

/// Characters of an unknown field's name that an error repeats.
const NAME_SHOWN: usize = 64;
/// Maximum length of a message id in bytes.
const MAX_ID: usize = 1_024;
/// The last millisecond of the year 9999.
const MAX_TIME: u64 = 253_402_300_799_999;

/// The fields of one object.
pub(crate) struct Fields<'a> {
    /// The object's path; empty at the top of a request.
    path: String,
    map: &'a Map<String, Value>,
}

/// A message id as Wharf writes it: `true_15550100001@c.us_3EB0…`, with the author at the end in groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageId {
    pub(crate) from_me: bool,
    pub(crate) chat: Id,
    pub(crate) id: String,
    pub(crate) participant: Option<Id>,
}

impl<'a> Fields<'a> {
    /// Rejects fields that are not in `allowed`.
    pub(crate) fn new(
        path: impl Into<String>,
        map: &'a Map<String, Value>,
        allowed: &[&str],
    ) -> Result<Self, Refusal> {
        let fields = Self { path: path.into(), map };
        let Some(name) = map.keys().find(|name| !allowed.contains(&name.as_str())) else {
            return Ok(fields);
        };
        let shown: String = name.chars().take(NAME_SHOWN).collect();
        Err(fields.wrong(&shown, format!("is not known; there are {}", allowed.join(", "))))
    }

    /// The fields of an object inside a list or another object.
    pub(crate) fn nested(path: String, value: &'a Value, allowed: &[&str]) -> Result<Self, Refusal> {
        let Value::Object(map) = value else {
            return Err(Refusal::Invalid { field: path, message: "must be an object".to_owned() });
        };
        Self::new(path, map, allowed)
    }

    /// An error for the field `name`.
    pub(crate) fn wrong(&self, name: &str, message: impl Into<String>) -> Refusal {
        Refusal::Invalid { field: self.path_of(name), message: message.into() }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A field that is present and not `null`.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A whole number within `range`.
    pub(crate) fn integer(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
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

    /// A number within `range`.
    pub(crate) fn number(&self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, Refusal> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(name, format!("must be a number from {} to {}", range.start(), range.end()))),
        }
    }

    /// A boolean.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(name, "must be true or false")),
        }
    }

    /// A text of 1 to `max` bytes.
    pub(crate) fn text(&self, name: &str, max: usize) -> Result<Option<&'a str>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if (1..=max).contains(&text.len()) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, format!("must be a text of 1 to {max} bytes"))),
        }
    }

    /// A text of at most `max` bytes, which may be empty.
    pub(crate) fn text_or_empty(&self, name: &str, max: usize) -> Result<Option<&'a str>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= max => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, format!("must be a text of at most {max} bytes"))),
        }
    }

    /// One of `words`.
    pub(crate) fn word(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Refusal> {
        let Some(text) = self.text(name, NAME_SHOWN)? else {
            return Ok(None);
        };
        let found = words.iter().copied().find(|word| *word == text);
        found.map(Some).ok_or_else(|| self.wrong(name, format!("must be one of {}", words.join(", "))))
    }

    /// A list of at most `max` values.
    pub(crate) fn list(&self, name: &str, max: usize) -> Result<Option<&'a [Value]>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(values)) if values.len() <= max => Ok(Some(values)),
            Some(_) => Err(self.wrong(name, format!("must be a list of at most {max} values"))),
        }
    }

    /// A list of at most `max` texts of 1 to `bytes` bytes.
    pub(crate) fn texts(&self, name: &str, max: usize, bytes: usize) -> Result<Vec<String>, Refusal> {
        let values = self.list(name, max)?.unwrap_or_default();
        let text = |(at, value): (usize, &Value)| match value {
            Value::String(text) if (1..=bytes).contains(&text.len()) => Ok(text.clone()),
            _ => Err(self.wrong(&format!("{name}[{at}]"), format!("must be a text of 1 to {bytes} bytes"))),
        };
        values.iter().enumerate().map(text).collect()
    }

    /// A chat id or phone number, in any spelling.
    pub(crate) fn id(&self, name: &str) -> Result<Option<Id>, Refusal> {
        self.value(name).map(|value| self.parsed(name, value)).transpose()
    }

    /// A list of at most `max` chat ids or phone numbers.
    pub(crate) fn ids(&self, name: &str, max: usize) -> Result<Vec<Id>, Refusal> {
        let values = self.list(name, max)?.unwrap_or_default();
        values.iter().enumerate().map(|(at, value)| self.parsed(&format!("{name}[{at}]"), value)).collect()
    }

    /// A field that must name a person.
    pub(crate) fn person(&self, name: &str) -> Result<Id, Refusal> {
        match self.required(name, self.id(name)?)? {
            Id::Group(_) => Err(self.wrong(name, "must be a person")),
            person => Ok(person),
        }
    }

    /// A message's permanent id.
    pub(crate) fn message_id(&self, name: &str) -> Result<MessageId, Refusal> {
        let text = self.required(name, self.text(name, MAX_ID)?)?;
        MessageId::parse(text).ok_or_else(|| {
            self.wrong(name, "a message id is true_ or false_, a chat id, _ and the network's id")
        })
    }

    /// A time in milliseconds since the Unix epoch.
    pub(crate) fn time(&self, name: &str) -> Result<Option<u64>, Refusal> {
        self.integer(name, 0..=MAX_TIME)
    }

    /// An error if the value is absent.
    pub(crate) fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, Refusal> {
        value.ok_or_else(|| self.wrong(name, "is required"))
    }

    fn parsed(&self, name: &str, value: &Value) -> Result<Id, Refusal> {
        let Value::String(text) = value else {
            return Err(self.wrong(name, "must be a text with a phone number or chat id"));
        };
        Id::from_str(text).map_err(|error| self.wrong(name, error.to_string()))
    }
}

impl MessageId {
    fn parse(text: &str) -> Option<Self> {
        let (direction, rest) = text.split_once('_')?;
        let from_me = match direction {
            "true" => true,
            "false" => false,
            _ => return None,
        };
        let (chat, rest) = rest.split_once('_')?;
        let chat = chat.contains('@').then(|| chat.parse().ok()).flatten()?;
        let (id, participant) = match rest.rsplit_once('_') {
            Some((id, tail)) if tail.contains('@') => (id, Some(tail.parse().ok()?)),
            _ => (rest, None),
        };
        Some(Self { from_me, chat, id: id.to_owned(), participant })
    }
}
