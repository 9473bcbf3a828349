//! The entries of the ledger, and the view of them behind `GET …/network`.
//!
//! The kinds and fields of entries are stored and are read for as long as the files last: names stay, and a
//! line that cannot be parsed is skipped.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::content::MessageParts;
use super::network_message::Quote;
use crate::domain::clock::Millis;
use crate::domain::event::TypingKind;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::engine::{Incoming, Quoted};

/// An entry of the ledger.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub(super) enum LedgerEntry<'a> {
    /// The daemon acknowledged a message of a contact. The text is for messages that quote it.
    Acknowledged { network_id: &'a NetworkId, chat: &'a Jid, from: &'a Jid, from_me: bool, body: &'a str },
    /// A copy of a message from the device arrived.
    Sent {
        network_id: &'a NetworkId,
        to: &'a Jid,
        body: &'a str,
        at: Millis,
        #[serde(flatten)]
        parts: &'a MessageParts,
    },
    /// The device started or stopped typing.
    Typing {
        chat: &'a Jid,
        // The field `kind` is already the kind of the entry.
        typing: TypingKind,
        on: bool,
        at: Millis,
    },
    /// The device sent a read receipt.
    Read { chat: &'a Jid, message_ids: &'a [MessageId], at: Millis },
    /// The device changed a message or a chat.
    Change { change: &'a SimulatedChange, at: Millis },
    /// Earlier entries of the device no longer count; with `everything`, the device was deleted.
    Forgotten { everything: bool },
}

/// A change, as the ledger stores it and the control API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub(super) enum SimulatedChange {
    Edit {
        message_id: MessageId,
        body: String,
    },
    React {
        message_id: MessageId,
        emoji: String,
    },
    Revoke {
        message_id: MessageId,
    },
    DeleteForMe {
        message_id: MessageId,
    },
    Star {
        message_id: MessageId,
        on: bool,
    },
    Vote {
        message_id: MessageId,
        options: Vec<String>,
    },
    Archive {
        chat: Jid,
        on: bool,
    },
    Pin {
        chat: Jid,
        on: bool,
    },
    /// A mute without `until` has no end.
    Mute {
        chat: Jid,
        on: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Millis>,
    },
    Clear {
        chat: Jid,
    },
    Delete {
        chat: Jid,
    },
}

impl<'a> LedgerEntry<'a> {
    /// The acknowledgement of this message.
    pub(super) fn acknowledged(message: &'a Incoming) -> Self {
        Self::Acknowledged {
            network_id: &message.network_id,
            chat: &message.chat,
            from: &message.from,
            from_me: message.from_me,
            body: &message.body,
        }
    }
}

/// The network's record of one device: its messages, changes, typing, receipts and acknowledgements.
#[derive(Default)]
pub(super) struct NetworkView {
    sent: Vec<Map<String, Value>>,
    /// The index in `sent`, by recipient and network id.
    sent_at: HashMap<(String, String), usize>,
    acknowledged: Vec<String>,
    acknowledged_ids: HashSet<String>,
    typing: Vec<Value>,
    read: Vec<Value>,
    changes: Vec<Value>,
}

impl NetworkView {
    /// Adds an entry.
    pub(super) fn apply(&mut self, kind: &str, line: &[u8]) {
        if kind == "forgotten" {
            *self = Self::default();
            return;
        }
        let Ok(mut entry) = serde_json::from_slice::<Map<String, Value>>(line) else { return };
        entry.remove("device");
        entry.remove("kind");
        match kind {
            "sent" => self.add_copy(entry),
            "acknowledged" => {
                let id = text(&entry, "networkId");
                if self.acknowledged_ids.insert(id.clone()) {
                    self.acknowledged.push(id);
                }
            }
            "typing" => {
                let mut take = |name: &str| entry.remove(name).unwrap_or_default();
                let typing = json!({
                    "to": take("chat"), "kind": take("typing"), "on": take("on"), "at": take("at"),
                });
                self.typing.push(typing);
            }
            "read" => self.read.push(entry.into()),
            "change" => {
                if let Some(Value::Object(change)) = entry.remove("change") {
                    entry.extend(change);
                    self.changes.push(entry.into());
                }
            }
            _ => {}
        }
    }

    /// Counts a copy; the recipient sees the first one only.
    fn add_copy(&mut self, mut copy: Map<String, Value>) {
        let key = (text(&copy, "to"), text(&copy, "networkId"));
        if let Some(first) = self.sent_at.get(&key).and_then(|at| self.sent.get_mut(*at)) {
            let arrivals = first.get("arrivals").and_then(Value::as_u64).unwrap_or(0);
            first.insert("arrivals".to_owned(), json!(arrivals + 1));
            return;
        }
        copy.insert("arrivals".to_owned(), json!(1));
        copy.insert("shown".to_owned(), json!(1));
        copy.entry("type").or_insert_with(|| json!("chat"));
        self.sent_at.insert(key, self.sent.len());
        self.sent.push(copy);
    }

    /// The answer of `GET …/network`.
    pub(super) fn into_json(self) -> Value {
        let Self { sent, acknowledged, typing, read, changes, .. } = self;
        json!({ "sent": sent, "acknowledged": acknowledged, "typing": typing, "read": read, "changes": changes })
    }
}

/// The message of this entry as a quotation, if it is the quoted one.
pub(super) fn quoted(quote: &Quote, me: Option<&Jid>, kind: &str, line: &[u8]) -> Option<Quoted> {
    let is_sent = kind == "sent";
    // Earlier versions wrote "incoming" for "acknowledged".
    if !is_sent && kind != "acknowledged" && kind != "incoming" {
        return None;
    }
    let id = quote.network_id.as_str();
    if !std::str::from_utf8(line).is_ok_and(|line| line.contains(id)) {
        return None;
    }
    let entry: Map<String, Value> = serde_json::from_slice(line).ok()?;
    let chat = text(&entry, if is_sent { "to" } else { "chat" });
    if text(&entry, "networkId") != id || chat != quote.chat.to_string() {
        return None;
    }
    let from_me = is_sent || entry.get("fromMe").and_then(Value::as_bool).unwrap_or(false);
    let author = if is_sent { me?.clone() } else { text(&entry, "from").parse().ok()? };
    quote.matches(from_me, &author).then(|| quote.by(from_me, author, text(&entry, "body")))
}

fn text(entry: &Map<String, Value>, name: &str) -> String {
    entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
