//! One device's event log, read page by page over REST, with checks of its invariants.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use wharf::domain::clock::Millis;
use wharf::domain::event::Event;
use wharf::domain::state::State;

use crate::process::Http;

/// An entry of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    pub seq: i64,
    /// The event's name.
    pub name: String,
    /// The payload on the wire.
    pub payload: Value,
}

/// A whole log in reading order.
pub struct Log {
    /// The device.
    pub device: String,
    /// All entries.
    pub entries: Vec<Entry>,
}

impl Log {
    /// Reads all pages.
    pub async fn read(http: &Http, device: &str) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let after = entries.last().map_or(0, |entry| entry.seq);
            let path = format!("devices/{device}/events?after={after}&limit=100");
            let page = http.get(&path).await.unwrap().expect("a page of events");
            let page = page.as_array().expect("events are a list").iter().map(entry);
            let before = entries.len();
            entries.extend(page);
            if entries.len() == before {
                return Self { device: device.to_owned(), entries };
            }
        }
    }

    /// Entries with this event name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.name == name)
    }

    /// `seq` is 1, 2, 3 … without gap or repetition, in the entries and in their payloads.
    pub fn check_positions(&self) {
        for (expected, entry) in (1..).zip(&self.entries) {
            assert_eq!(entry.seq, expected, "{}: a hole or a repetition: {entry:?}", self.device);
            assert_eq!(entry.payload["seq"], expected, "{}: {entry:?}", self.device);
            assert_eq!(entry.payload["deviceId"], self.device.as_str(), "{entry:?}");
        }
    }

    /// How often each message occurs in events with this name.
    pub fn messages(&self, name: &str) -> HashMap<String, u32> {
        let mut counts = HashMap::new();
        for entry in self.named(name) {
            let id =
                entry.payload.pointer("/message/id").and_then(Value::as_str).expect("a message has an id");
            *counts.entry(id.to_owned()).or_default() += 1;
        }
        counts
    }

    /// No message was received or created twice.
    pub fn check_messages(&self) {
        for name in ["message", "message:created"] {
            for (id, count) in self.messages(name) {
                assert_eq!(count, 1, "{}: {name} of {id}", self.device);
            }
        }
    }

    /// Each message's statuses only increase and occur once.
    pub fn check_steps(&self) {
        let mut levels: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for entry in &self.entries {
            let level = match entry.name.as_str() {
                "message:ack" => entry.payload["ack"].as_i64().expect("an ack is a number"),
                "message:status" => rank(entry.payload["status"].as_str().unwrap()),
                _ => continue,
            };
            let id = entry.payload["messageId"].as_str().unwrap();
            let before = levels.insert((&entry.name, id), level);
            let steps =
                || self.entries.iter().filter(|entry| entry.payload["messageId"] == id).collect::<Vec<_>>();
            assert!(
                before.is_none_or(|before| before < level),
                "{}: {entry:?} after {before:?}, of {:#?}",
                self.device,
                steps()
            );
        }
    }

    /// The state folded from the log.
    pub fn state(&self) -> State {
        self.entries.iter().fold(State::Created, |state, entry| {
            let body = entry.payload.clone();
            let event = match entry.name.as_str() {
                "qr" => Event::Qr(serde_json::from_value(body).unwrap()),
                "state" => Event::State(serde_json::from_value(body).unwrap()),
                _ => return state,
            };
            state.replay(&event, Millis(entry.payload["timestamp"].as_i64().unwrap()))
        })
    }
}

fn rank(status: &str) -> i64 {
    let steps = ["queued", "sending", "sent", "delivered", "read", "played", "failed"];
    let at = steps.iter().position(|step| *step == status);
    i64::try_from(at.unwrap_or_else(|| panic!("{status} is no step"))).unwrap()
}

fn entry(item: &Value) -> Entry {
    Entry {
        seq: item["seq"].as_i64().expect("an entry has a seq"),
        name: item["type"].as_str().expect("an entry has a name").to_owned(),
        payload: item["payload"].clone(),
    }
}
