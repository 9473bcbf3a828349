//! Records the traffic of an account, for `network` of the control API. No list exceeds [`MOST`]
//! entries; `full` reports that entries are missing.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::id::Id;

/// The most entries of each kind.
const MOST: usize = 200_000;
/// The most requests of a phone for one message.
const MOST_ASKED: u32 = 5;

/// The record of an account.
#[derive(Debug, Default)]
pub struct NetworkView {
    sent: Vec<Sent>,
    /// Positions in `sent`.
    places: HashMap<(Id, String), usize>,
    acknowledged: Vec<String>,
    confirmed_ids: HashSet<String>,
    lists: HashMap<ViewList, Vec<Value>>,
    /// Messages that were changes.
    changes: HashSet<(Id, String)>,
    /// Requests for messages, by message and phone.
    asked: HashMap<(String, String), u32>,
    /// All requests of phones, including those that were fulfilled.
    asked_in_all: u64,
    full: bool,
}

/// Kinds of entries without further logic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViewList {
    /// Typing of the companion.
    Typing,
    /// The presence that it declared.
    Presence,
    /// Messages that it read.
    Read,
    /// Its changes to messages and chats.
    Changes,
    /// Its receipts.
    Receipts,
    /// Its messages that a phone could not decrypt.
    Undecryptable,
}

impl ViewList {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Typing, "typing"),
        (Self::Presence, "presence"),
        (Self::Read, "read"),
        (Self::Changes, "changes"),
        (Self::Receipts, "receipts"),
        (Self::Undecryptable, "undecryptable"),
    ];
}

/// A message from a companion.
#[derive(Debug)]
struct Sent {
    id: String,
    to: Id,
    at: i64,
    body: String,
    rich: Map<String, Value>,
    arrivals: u64,
    /// The people who have seen it.
    shown: HashSet<String>,
    on_own_phone: bool,
    /// Whether all recipients' phones have tried to decrypt it; hidden before.
    tried: bool,
    /// Whether it changes another message.
    is_change: bool,
}

impl NetworkView {
    /// Records a copy of a message; `true` if it is the first.
    pub fn arrived(&mut self, to: &Id, id: &str, at: i64) -> bool {
        if let Some(sent) = self.find(to, id) {
            sent.arrivals += 1;
            return false;
        }
        if self.sent.len() >= MOST {
            self.full = true;
            return true;
        }
        self.places.insert((to.clone(), id.to_owned()), self.sent.len());
        self.sent.push(Sent {
            id: id.to_owned(),
            to: to.clone(),
            at,
            body: String::new(),
            rich: Map::new(),
            arrivals: 1,
            shown: HashSet::new(),
            on_own_phone: false,
            tried: false,
            is_change: false,
        });
        true
    }

    /// Records that a person decrypted a copy, which each sees once. Returns whether it is the first person,
    /// and the first copy for this person.
    pub fn read_by(
        &mut self,
        to: &Id,
        id: &str,
        who: &str,
        body: String,
        rich: Map<String, Value>,
    ) -> (bool, bool) {
        let Some(sent) = self.find(to, id) else { return (false, false) };
        let first = sent.shown.is_empty();
        if first {
            (sent.body, sent.rich) = (body, rich);
        }
        (first, sent.shown.insert(who.to_owned()))
    }

    /// Records that the account's own phone decrypted its copy.
    pub fn on_own_phone(&mut self, to: &Id, id: &str, body: String, rich: Map<String, Value>) {
        let Some(sent) = self.find(to, id) else { return };
        sent.on_own_phone = true;
        if sent.shown.is_empty() {
            (sent.body, sent.rich) = (body, rich);
        }
    }

    /// Records that all recipients' phones have tried to decrypt a message.
    pub fn tried(&mut self, to: &Id, id: &str) {
        if let Some(sent) = self.find(to, id) {
            sent.tried = true;
        }
    }

    /// Marks a message as a change of another one; `true` if it was not marked.
    pub fn not_a_message(&mut self, to: &Id, id: &str) -> bool {
        let key = (to.clone(), id.to_owned());
        if let Some(sent) = self.find(to, id) {
            sent.is_change = true;
        }
        self.changes.len() < MOST && self.changes.insert(key)
    }

    /// Records a request for a message that could not be decrypted; returns its count, or `None`
    /// above the limit.
    pub fn asked_again(&mut self, id: &str, who: &str) -> Option<u32> {
        let key = (id.to_owned(), who.to_owned());
        if self.asked.len() >= MOST && !self.asked.contains_key(&key) {
            return None;
        }
        let count = self.asked.entry(key).or_default();
        (*count < MOST_ASKED).then(|| {
            *count += 1;
            self.asked_in_all += 1;
            *count
        })
    }

    /// Whether a person still waits for a copy.
    #[must_use]
    pub fn is_asked(&self, id: &str, who: &str) -> bool {
        self.asked.contains_key(&(id.to_owned(), who.to_owned()))
    }

    /// Removes the request of a person who could decrypt a later copy.
    pub fn recovered(&mut self, id: &str, who: &str) {
        if self.asked.remove(&(id.to_owned(), who.to_owned())).is_none() {
            return;
        }
        if let Some(list) = self.lists.get_mut(&ViewList::Undecryptable) {
            list.retain(|entry| entry["networkId"] != id || entry["by"] != who);
        }
    }

    /// Records that the companion confirmed a message; `true` if it was the first time.
    pub fn confirmed(&mut self, id: &str) -> bool {
        let is_new = self.confirmed_ids.len() < MOST && self.confirmed_ids.insert(id.to_owned());
        if is_new {
            self.acknowledged.push(id.to_owned());
        }
        is_new
    }

    /// Adds an entry.
    pub fn record(&mut self, list: ViewList, entry: Value) {
        let list = self.lists.entry(list).or_default();
        if list.len() < MOST {
            list.push(entry);
        } else {
            self.full = true;
        }
    }

    /// The text of a message from the companion, for quotes.
    #[must_use]
    pub fn body_of(&self, to: &Id, id: &str) -> Option<&str> {
        let place = self.places.get(&(to.clone(), id.to_owned()))?;
        self.sent.get(*place).map(|sent| sent.body.as_str())
    }

    /// The record in the control API's format.
    #[must_use]
    pub fn view(&self) -> Value {
        let sent: Vec<Value> =
            self.sent.iter().filter(|sent| sent.tried && !sent.is_change).map(Sent::view).collect();
        let mut view = Map::new();
        view.insert("sent".to_owned(), json!(sent));
        view.insert("acknowledged".to_owned(), json!(self.acknowledged));
        for (list, name) in ViewList::ALL {
            let entries = self.lists.get(&list).map(Vec::as_slice).unwrap_or_default();
            view.insert(name.to_owned(), json!(entries));
        }
        view.insert("askedAgain".to_owned(), json!(self.asked_in_all));
        if self.full {
            view.insert("full".to_owned(), json!(true));
        }
        Value::Object(view)
    }

    fn find(&mut self, to: &Id, id: &str) -> Option<&mut Sent> {
        let place = self.places.get(&(to.clone(), id.to_owned()))?;
        self.sent.get_mut(*place)
    }
}

impl Sent {
    fn view(&self) -> Value {
        let mut view = self.rich.clone();
        view.insert("networkId".to_owned(), json!(self.id));
        view.insert("to".to_owned(), json!(self.to.to_string()));
        view.insert("body".to_owned(), json!(self.body));
        view.insert("at".to_owned(), json!(self.at));
        view.insert("arrivals".to_owned(), json!(self.arrivals));
        view.insert("shown".to_owned(), json!(u8::from(!self.shown.is_empty())));
        view.insert("shownTo".to_owned(), json!(self.shown.len()));
        view.insert("onOwnPhone".to_owned(), json!(self.on_own_phone));
        Value::Object(view)
    }
}
