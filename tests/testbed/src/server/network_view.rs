//! What the network saw of an account, as `network` of the control API shows it.
//!
//! Invariant: nothing in it grows beyond [`MOST`]; what comes after that is left out, and said so.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::id::Id;

/// Entries of each kind.
const MOST: usize = 200_000;
/// How often somebody asks for a message that they cannot decrypt.
const MOST_ASKED: u32 = 5;

/// See the module.
#[derive(Debug, Default)]
pub struct NetworkView {
    sent: Vec<Sent>,
    /// Where in `sent` a message stands.
    places: HashMap<(Id, String), usize>,
    acknowledged: Vec<String>,
    known: HashSet<String>,
    lists: HashMap<ViewList, Vec<Value>>,
    /// Which messages were changes.
    changes: HashSet<(Id, String)>,
    /// Who asked for which message again, and how often.
    asked: HashMap<(String, String), u32>,
    /// How often a phone asked for a message again, those that came then included.
    asked_in_all: u64,
    full: bool,
}

/// What is only listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViewList {
    /// What the companion typed.
    Typing,
    /// What it read.
    Read,
    /// What it did to messages and chats.
    Changes,
    /// What it said about messages that it was sent.
    Receipts,
    /// What nobody could decrypt of what it sent.
    Undecryptable,
}

impl ViewList {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Typing, "typing"),
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
    /// Who was shown it.
    shown: HashSet<String>,
    on_own_phone: bool,
    /// Every phone that it was for has tried to open it; before, nobody is shown it.
    tried: bool,
    /// It changes another message and is none itself.
    is_change: bool,
}

impl NetworkView {
    /// A copy of a message came in; whether it is the first.
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

    /// Somebody decrypted a copy. They are shown it once, whatever the number of copies. Whether nobody was
    /// shown it before, and whether they were not.
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

    /// The account's own phone decrypted its copy.
    pub fn on_own_phone(&mut self, to: &Id, id: &str, body: String, rich: Map<String, Value>) {
        let Some(sent) = self.find(to, id) else { return };
        sent.on_own_phone = true;
        if sent.shown.is_empty() {
            (sent.body, sent.rich) = (body, rich);
        }
    }

    /// Every phone that a message was for has tried to open it.
    pub fn tried(&mut self, to: &Id, id: &str) {
        if let Some(sent) = self.find(to, id) {
            sent.tried = true;
        }
    }

    /// What came was no message to be shown but a change of one; whether that is news.
    pub fn not_a_message(&mut self, to: &Id, id: &str) -> bool {
        let key = (to.clone(), id.to_owned());
        if let Some(sent) = self.find(to, id) {
            sent.is_change = true;
        }
        self.changes.len() < MOST && self.changes.insert(key)
    }

    /// Somebody could not decrypt a copy, and may ask for another: how often they have then.
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

    /// Whether somebody still waits for a copy that they can decrypt.
    #[must_use]
    pub fn is_asked(&self, id: &str, who: &str) -> bool {
        self.asked.contains_key(&(id.to_owned(), who.to_owned()))
    }

    /// Somebody decrypted what they could not before.
    pub fn recovered(&mut self, id: &str, who: &str) {
        if self.asked.remove(&(id.to_owned(), who.to_owned())).is_none() {
            return;
        }
        if let Some(list) = self.lists.get_mut(&ViewList::Undecryptable) {
            list.retain(|entry| entry["networkId"] != id || entry["by"] != who);
        }
    }

    /// The companion confirmed a message; whether that is news.
    pub fn confirmed(&mut self, id: &str) -> bool {
        let news = self.known.len() < MOST && self.known.insert(id.to_owned());
        if news {
            self.acknowledged.push(id.to_owned());
        }
        news
    }

    /// Adds to a list.
    pub fn record(&mut self, list: ViewList, entry: Value) {
        let list = self.lists.entry(list).or_default();
        if list.len() < MOST {
            list.push(entry);
        } else {
            self.full = true;
        }
    }

    /// The body of a message that the companion sent, for those who quote it.
    #[must_use]
    pub fn body_of(&self, to: &Id, id: &str) -> Option<&str> {
        let place = self.places.get(&(to.clone(), id.to_owned()))?;
        self.sent.get(*place).map(|sent| sent.body.as_str())
    }

    /// As the control API shows it.
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
