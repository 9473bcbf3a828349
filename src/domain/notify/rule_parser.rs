//! Parses rules from JSON; TOML rules are converted to JSON first. Unknown fields are rejected.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Map, Value};
use thiserror::Error;

use super::rule::mentions;
use super::{Action, ChatKind, Hours, Kind, Match, Priority, RuleSpec};
use crate::domain::suggestion::suggest;

const MAX_NAME: usize = 64;
const MAX_LIST: usize = 100;
const MAX_TEXT: usize = 200;

/// A validation error: a field, and the rest of the sentence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field} {message}")]
pub struct RuleError {
    /// Path of the field, such as `match.events[0]`.
    pub field: String,
    /// The fault and the valid values.
    pub message: String,
}

fn wrong(field: impl Into<String>, message: impl Into<String>) -> RuleError {
    RuleError { field: field.into(), message: message.into() }
}

impl RuleSpec {
    /// Fields of a rule.
    pub const FIELDS: [&str; 11] = [
        "name", "enabled", "match", "actions", "priority", "sound", "volume", "command", "group", "throttle",
        "quiet",
    ];
    /// Fields of `match`.
    pub const MATCH_FIELDS: [&str; 9] =
        ["events", "devices", "chats", "people", "in", "text", "mention", "hours", "priority"];
    /// Fields of `match.hours`.
    pub const HOURS_FIELDS: [&str; 3] = ["from", "to", "timeZone"];

    /// Parses a rule; `null` counts as absent.
    ///
    /// # Errors
    /// The first invalid field.
    pub fn read(value: &Value) -> Result<Self, RuleError> {
        let Value::Object(fields) = value else { return Err(wrong("rule", "must be an object")) };
        let at = At::new(fields, "", &Self::FIELDS)?;
        let spec = Self {
            name: at.text("name", MAX_NAME)?.unwrap_or_default(),
            enabled: at.flag("enabled")?.unwrap_or(true),
            matches: read_match(&at)?,
            actions: at.list("actions", &action)?.ok_or_else(|| {
                wrong("actions", "is missing: name some of dashboard, desktop, sound, command, webhook and push, or none with []")
            })?,
            priority: at.text("priority", MAX_NAME)?.map(|word| priority(&word)).transpose()?,
            sound: at.text("sound", MAX_NAME)?.filter(|name| !name.is_empty()),
            volume: at.volume()?,
            command: at.text("command", MAX_NAME)?.filter(|name| !name.is_empty()),
            group: at.parsed("group")?,
            throttle: at.parsed("throttle")?,
            quiet: at.flag("quiet")?.unwrap_or(true),
        };
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<(), RuleError> {
        if self.name.chars().any(char::is_control) {
            return Err(wrong("name", "must not have control characters"));
        }
        let asks = |action| self.actions.contains(&action);
        if let Some(sound) = &self.sound {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if sound.starts_with('.') || !sound.chars().all(plain) {
                return Err(wrong(
                    "sound",
                    "must be a sound's name such as \"message\": letters, digits, -, _ and dots",
                ));
            }
        }
        match (&self.command, asks(Action::Command)) {
            (None, true) => Err(wrong(
                "command",
                "is missing: the action command needs the name of one of notify.commands",
            )),
            (Some(_), false) => Err(wrong("actions", "must hold command, as the rule names a command")),
            _ => Ok(()),
        }
    }
}

fn read_match(at: &At<'_>) -> Result<Match, RuleError> {
    let fields = match at.get("match") {
        None => return Ok(Match::default()),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(wrong("match", "must be an object")),
    };
    let at = At::new(fields, "match.", &RuleSpec::MATCH_FIELDS)?;
    let within = match at.text("in", MAX_NAME)?.as_deref() {
        None => None,
        Some("group") => Some(ChatKind::Group),
        Some("person") => Some(ChatKind::Person),
        Some(_) => return Err(wrong("match.in", "must be group or person")),
    };
    Ok(Match {
        events: at.list("events", &event)?.unwrap_or_default(),
        devices: at.list("devices", &parse)?.unwrap_or_default(),
        chats: at.list("chats", &parse)?.unwrap_or_default(),
        people: at.list("people", &parse)?.unwrap_or_default(),
        within,
        text: at.text("text", MAX_TEXT)?.filter(|text| !text.is_empty()),
        mention: at.flag("mention")?,
        hours: read_hours(&at)?,
        priority: match at.text("priority", MAX_NAME)? {
            Some(word) => Some(priority(&word).map_err(|error| wrong("match.priority", error.message))?),
            None => None,
        },
    })
}

fn read_hours(at: &At<'_>) -> Result<Option<Hours>, RuleError> {
    let fields = match at.get("hours") {
        None => return Ok(None),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(wrong("match.hours", "must be { from, to, timeZone }")),
    };
    let at = At::new(fields, "match.hours.", &RuleSpec::HOURS_FIELDS)?;
    let missing =
        |field: &str| wrong(format!("match.hours.{field}"), "is missing: a time of day such as \"22:00\"");
    let from = at.parsed("from")?.ok_or_else(|| missing("from"))?;
    let to = at.parsed("to")?.ok_or_else(|| missing("to"))?;
    if from == to {
        return Err(wrong("match.hours", "must not begin and end at the same time"));
    }
    let time_zone = match at.parsed("timeZone")? {
        Some(zone) => zone,
        None => "UTC".parse().map_err(|error| wrong("match.hours.timeZone", format!("{error}")))?,
    };
    Ok(Some(Hours { from, to, time_zone }))
}

fn action(text: &str) -> Result<Action, String> {
    let found = Action::ALL.iter().find(|(word, _)| *word == text).map(|(_, action)| *action);
    found.ok_or_else(|| "must be dashboard, desktop, sound, command, webhook or push".to_owned())
}

fn event(text: &str) -> Result<String, String> {
    if !text.is_empty() && Kind::ALL.iter().any(|kind| mentions(text, *kind)) {
        return Ok(text.to_owned());
    }
    let words: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    Err(format!("must be one of {}, or a beginning of them with *", words.join(", ")))
}

fn priority(word: &str) -> Result<Priority, RuleError> {
    let all = [Priority::Low, Priority::Normal, Priority::High];
    let found = all.into_iter().find(|priority| priority.as_str() == word);
    found.ok_or_else(|| wrong("priority", "must be low, normal or high"))
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| format!("is not valid: {error}"))
}

struct At<'a> {
    fields: &'a Map<String, Value>,
    path: &'static str,
}

impl<'a> At<'a> {
    /// Rejects unknown fields: to ignore a misspelled condition would make the rule match too much.
    fn new(fields: &'a Map<String, Value>, path: &'static str, known: &[&str]) -> Result<Self, RuleError> {
        let Some(field) = fields.keys().find(|field| !known.contains(&field.as_str())) else {
            return Ok(Self { fields, path });
        };
        let field: String = field.chars().take(MAX_NAME).collect();
        let hint = suggest(&field, known.iter().copied()).map(|known| format!("; did you mean {known}?"));
        let message = format!("is no field of a rule{}", hint.unwrap_or_default());
        Err(wrong(format!("{path}{}", field.escape_debug()), message))
    }

    fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    fn wrong(&self, field: &str, message: impl Into<String>) -> RuleError {
        wrong(format!("{}{field}", self.path), message)
    }

    fn text(&self, field: &str, max: usize) -> Result<Option<String>, RuleError> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= max => Ok(Some(text.clone())),
            Some(Value::String(_)) => Err(self.wrong(field, format!("is longer than {max} characters"))),
            Some(_) => Err(self.wrong(field, "must be a text")),
        }
    }

    fn parsed<T: FromStr<Err: Display>>(&self, field: &str) -> Result<Option<T>, RuleError> {
        let Some(text) = self.text(field, MAX_TEXT)? else { return Ok(None) };
        parse(&text).map(Some).map_err(|message| self.wrong(field, message))
    }

    fn flag(&self, field: &str) -> Result<Option<bool>, RuleError> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(field, "must be true or false")),
        }
    }

    fn volume(&self) -> Result<Option<f32>, RuleError> {
        let Some(value) = self.get("volume") else { return Ok(None) };
        let volume = value.as_f64().filter(|volume| (0.0..=1.0).contains(volume));
        let volume = volume.ok_or_else(|| self.wrong("volume", "must be a number from 0 to 1"))?;
        #[expect(clippy::cast_possible_truncation, reason = "a volume needs no more digits")]
        Ok(Some(volume as f32))
    }

    fn list<T: PartialEq>(
        &self,
        field: &str,
        read: &dyn Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Vec<T>>, RuleError> {
        let list = match self.get(field) {
            None => return Ok(None),
            Some(Value::Array(list)) if list.len() <= MAX_LIST => list,
            Some(Value::Array(_)) => {
                return Err(self.wrong(field, format!("has more than {MAX_LIST} entries")));
            }
            Some(_) => return Err(self.wrong(field, "must be a list of texts")),
        };
        let mut found = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let place = || format!("{}{field}[{index}]", self.path);
            let text = value.as_str().ok_or_else(|| wrong(place(), "must be a text"))?;
            let one = read(text).map_err(|message| wrong(place(), message))?;
            if !found.contains(&one) {
                found.push(one);
            }
        }
        Ok(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule_parser::*;
    use serde_json::json;

    fn refused(rule: &Value) -> String {
        RuleSpec::read(rule).unwrap_err().to_string()
    }

    #[test]
    fn rule_round_trips() {
        let rule = json!({
            "name": "orders", "enabled": true,
            "match": {
                "events": ["message", "webhook_*"], "devices": ["shop"], "chats": ["15550100001@c.us"],
                "people": ["15550100002@c.us"], "in": "group", "text": "order*", "mention": true,
                "hours": { "from": "09:00", "to": "17:30", "timeZone": "Europe/Berlin" }, "priority": "normal",
            },
            "actions": ["dashboard", "sound", "command"], "priority": "high", "sound": "call", "volume": 0.5,
            "command": "lamp", "group": "10s", "throttle": "1m", "quiet": false,
        });
        let spec = RuleSpec::read(&rule).unwrap();
        assert_eq!(serde_json::to_value(&spec).unwrap(), rule);
        let least = RuleSpec::read(&json!({ "actions": [] })).unwrap();
        assert!(least.enabled && least.quiet && least.matches == Match::default());
        assert_eq!(RuleSpec::read(&serde_json::to_value(&least).unwrap()).unwrap(), least);
    }

    #[test]
    fn invalid_rule_is_rejected_with_sentence() {
        for (rule, sentence) in [
            (json!([]), "rule must be an object"),
            (json!({}), "actions is missing: name some of dashboard"),
            (json!({ "actions": ["mail"] }), "actions[0] must be dashboard, desktop,"),
            (
                json!({ "actions": [], "match": { "events": ["messages"] } }),
                "match.events[0] must be one of message, call",
            ),
            (json!({ "actions": [], "match": { "in": "room" } }), "match.in must be group or person"),
            (json!({ "actions": [], "match": { "chats": ["?"] } }), "match.chats[0] is not valid"),
            (
                json!({ "actions": [], "match": { "hours": { "from": "9" } } }),
                "match.hours.from is not valid: must be a time",
            ),
            (
                json!({ "actions": [], "match": { "hours": { "from": "09:00", "to": "09:00" } } }),
                "match.hours must not begin",
            ),
            (json!({ "actions": [], "volume": 2 }), "volume must be a number from 0 to 1"),
            (json!({ "actions": [], "sound": "../x" }), "sound must be a sound's name"),
            (json!({ "actions": ["command"] }), "command is missing"),
            (json!({ "actions": [], "command": "lamp" }), "actions must hold command"),
            (json!({ "actions": [], "group": "soon" }), "group is not valid: not a duration"),
            (json!({ "actions": [], "action": [] }), "action is no field of a rule; did you mean actions?"),
            (
                json!({ "actions": [], "match": { "txt": "order" } }),
                "match.txt is no field of a rule; did you mean text?",
            ),
            (json!({ "actions": [], "priority": "urgent" }), "priority must be low, normal or high"),
            (json!({ "actions": [], "match": { "text": "x".repeat(201) } }), "match.text is longer than 200"),
        ] {
            let said = refused(&rule);
            assert!(said.starts_with(sentence), "{said}");
        }
    }
}
