//! Selects the events of an endpoint, by event name and by kind of chat. Each list has at most 100 entries.

use thiserror::Error;

use super::{FilterInput, Format};

/// Maximum number of entries in each list.
const MAX_ENTRIES: usize = 100;

/// Kinds of chats that can be excluded.
pub const CHAT_KINDS: [&str; 3] = ["groups", "status", "newsletters"];

/// Subscribed and excluded event names. A name that ends with `*` matches every name with that prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Subscribed event names of the endpoint's format.
    pub events: Vec<String>,
    /// Excluded event names and kinds of chats ([`CHAT_KINDS`]).
    pub exclude: Vec<String>,
}

/// An invalid entry of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SubscriptionError {
    /// `events` or `exclude`.
    pub list: &'static str,
    /// The index of the invalid entry, from 0.
    pub index: usize,
    /// The problem with the entry.
    pub message: String,
}

impl Default for Subscription {
    fn default() -> Self {
        Self { events: vec!["*".to_owned()], exclude: Vec::new() }
    }
}

impl Subscription {
    /// Checks that every entry is a valid name of the format.
    ///
    /// # Errors
    /// The first invalid entry.
    pub fn check(&self, format: Format) -> Result<(), SubscriptionError> {
        if self.events.is_empty() {
            let message = "must hold at least one name, or * for all".to_owned();
            return Err(SubscriptionError { list: "events", index: 0, message });
        }
        let lists = [("events", &self.events, false), ("exclude", &self.exclude, true)];
        for (list, entries, with_kinds) in lists {
            for (index, entry) in entries.iter().enumerate() {
                let valid = is_event(entry, format) || (with_kinds && CHAT_KINDS.contains(&entry.as_str()));
                if index >= MAX_ENTRIES || !valid {
                    let message = wrong(entry, format, index, with_kinds);
                    return Err(SubscriptionError { list, index, message });
                }
            }
        }
        Ok(())
    }

    /// Whether an event with these filter fields is delivered under this name.
    #[must_use]
    pub fn selects(&self, name: &str, facts: &FilterInput<'_>) -> bool {
        let named = |entry: &String| matches(entry, name);
        self.events.iter().any(named)
            && !self.exclude.iter().any(|entry| named(entry) || is_of_kind(entry, facts))
    }

    /// Whether an event of operator chat is delivered: patterns do not select it.
    #[must_use]
    pub fn selects_by_name(&self, name: &str, facts: &FilterInput<'_>) -> bool {
        self.events.iter().any(|entry| entry == name) && self.selects(name, facts)
    }
}

fn is_event(entry: &str, format: Format) -> bool {
    match entry.strip_suffix('*') {
        Some(start) => !start.contains('*') && start.chars().all(|c| c.is_ascii_graphic()),
        None => format.has_event(entry),
    }
}

fn matches(entry: &str, name: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => entry == name,
    }
}

fn is_of_kind(entry: &str, facts: &FilterInput<'_>) -> bool {
    let Some(chat) = facts.chat.as_deref() else { return false };
    match entry {
        "groups" => chat.ends_with("@g.us"),
        "status" => chat.ends_with("@broadcast"),
        "newsletters" => chat.ends_with("@newsletter"),
        _ => false,
    }
}

fn wrong(entry: &str, format: Format, index: usize, with_kinds: bool) -> String {
    if index >= MAX_ENTRIES {
        return format!("has more than {MAX_ENTRIES} entries");
    }
    let kinds = if with_kinds { ", nor one of groups, status and newsletters" } else { "" };
    let shown: String = entry.chars().filter(|c| !c.is_control()).take(60).collect();
    format!("is no event of the format {}{kinds}: '{shown}'", format.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(events: &[&str], exclude: &[&str]) -> Subscription {
        let owned = |list: &[&str]| list.iter().map(|entry| (*entry).to_owned()).collect();
        Subscription { events: owned(events), exclude: owned(exclude) }
    }

    fn selects(subscription: &Subscription, kind: &str, payload: &str) -> bool {
        subscription.selects(kind, &FilterInput::of(kind, payload))
    }

    const IN_GROUP: &str = r#"{"chatId":"1@g.us"}"#;
    const PRIVATE: &str = r#"{"chatId":"1@c.us"}"#;

    #[test]
    fn subscription_matches_names_prefixes_and_all() {
        assert!(selects(&Subscription::default(), "state", "{}"));
        let some = subscription(&["message:*", "state"], &["message:ack"]);
        assert!(selects(&some, "message:edited", PRIVATE));
        assert!(selects(&some, "state", "{}"));
        assert!(!selects(&some, "message:ack", PRIVATE));
        assert!(!selects(&some, "message", PRIVATE));
    }

    #[test]
    fn conversation_events_need_their_full_name() {
        let selects = |events: &[&str], exclude: &[&str]| {
            let facts = FilterInput::of("conversation:note", "{}");
            subscription(events, exclude).selects_by_name("conversation:note", &facts)
        };
        assert!(selects(&["*", "conversation:note"], &[]));
        assert!(!selects(&["*"], &[]) && !selects(&["conversation:*"], &[]));
        assert!(!selects(&["conversation:note"], &["conversation:*"]));
    }

    #[test]
    fn subscription_excludes_chat_kinds() {
        let quiet = subscription(&["*"], &["groups", "status"]);
        assert!(!selects(&quiet, "message:ack", IN_GROUP));
        assert!(!selects(&quiet, "message:ack", r#"{"chatId":"status@broadcast"}"#));
        assert!(selects(&quiet, "message:ack", PRIVATE));
        assert!(selects(&quiet, "state", "{}"));
    }

    #[test]
    fn unknown_event_is_rejected_with_index() {
        assert!(subscription(&["message", "*"], &["groups", "message:ack"]).check(Format::Wharf).is_ok());
        assert!(subscription(&["message.any"], &[]).check(Format::Waha).is_ok());
        assert!(subscription(&["message_create"], &[]).check(Format::Wwebjs).is_ok());
        let error = subscription(&["message", "typing:start"], &[]).check(Format::Wharf).unwrap_err();
        assert_eq!((error.list, error.index), ("events", 1));
        assert!(error.to_string().contains("typing:start"));
        for wrong in [&[][..], &["groups"], &["message.any"], &["**"]] {
            assert!(subscription(wrong, &[]).check(Format::Wharf).is_err(), "{wrong:?}");
        }
        assert!(subscription(&["*"], &["people"]).check(Format::Wharf).is_err());
    }
}
