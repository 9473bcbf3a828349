//! Converts an entry of the upstream's event log. Ids of messages are still the upstream's.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::message_in::in_ms;
use super::state_in::{self, RemoteDeviceState};
use super::static_codes;
use super::wire::{WireEntry, WireMessage};
use crate::domain::ack::Ack;
use crate::domain::contact::{Contact, ContactUpdate};
use crate::domain::device::Account;
use crate::domain::event::{
    CallEvent, ChatMergedEvent, GroupUpdateEvent, HistoryPhase, HistoryProgressEvent, QrEvent,
};
use crate::domain::group::GroupChange;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, EngineEvent, SendError};

/// The meaning of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum RemoteEvent {
    State(RemoteDeviceState),
    Code {
        code: String,
        valid_ms: i64,
    },
    Scanned(Account),
    DeviceDeleted,
    Message(Box<WireMessage>),
    /// A message was accepted for sending at the upstream.
    Created {
        message: Box<WireMessage>,
        temp_id: Option<String>,
    },
    Status {
        id: MessageId,
        step: SendStep,
    },
    Ack {
        id: MessageId,
        ack: Ack,
    },
    /// Messages were read: by this person, or on another device of the account.
    Read {
        chat: Jid,
        ids: Vec<MessageId>,
        by: Option<Jid>,
    },
    Updated {
        id: MessageId,
        update: RemoteUpdate,
    },
    Chat {
        chat: Jid,
        change: ChatChange,
    },
    JoinedGroup(Jid),
    HistoryComplete(HistoryProgressEvent),
    /// An event that is the same here.
    Same(EngineEvent),
    Ignored,
}

/// The result of a send, as far as the upstream reports one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum SendStep {
    Undecided,
    Sent,
    Failed(SendError),
}

/// A change to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum RemoteUpdate {
    Reaction { from: Jid, emoji: String },
    Vote { voter: Jid, options: Vec<String> },
    Edited { body: String },
    Revoked,
    Deleted,
    Starred(bool),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct MessagePayload {
    message_id: Option<MessageId>,
    message: Option<WireMessage>,
    temp_id: Option<String>,
    status: String,
    code: Option<String>,
    error: Option<String>,
    ack: Option<i64>,
    from: Option<Jid>,
    emoji: String,
    voter: Option<Jid>,
    options: Vec<String>,
    is_starred: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChatPayload {
    chat_id: Jid,
    #[serde(default)]
    message_ids: Vec<MessageId>,
    #[serde(default)]
    read_by: Option<Jid>,
}

#[derive(Deserialize)]
struct StatePayload {
    state: String,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountPayload {
    phone_number: String,
    #[serde(default)]
    client_name: String,
}

#[derive(Deserialize)]
struct ContactPayload {
    contact: Contact,
}

/// The event of an entry; `None` where its payload is not readable.
pub(in super::super) fn from_entry(entry: &WireEntry) -> Option<RemoteEvent> {
    let payload = &entry.payload;
    Some(match entry.kind.as_str() {
        "state" => {
            let StatePayload { state, reason } = parsed(payload)?;
            RemoteEvent::State(state_in::from_words(&state, reason.as_deref()))
        }
        "qr" => {
            let qr: QrEvent = parsed(payload)?;
            RemoteEvent::Code { code: qr.qr, valid_ms: qr.expires_at.since(in_ms(entry.timestamp)) }
        }
        "authenticated" => {
            let AccountPayload { phone_number, client_name } = parsed(payload)?;
            RemoteEvent::Scanned(Account { phone_number, client_name })
        }
        "device-deleted" => RemoteEvent::DeviceDeleted,
        "message:read" => {
            let ChatPayload { chat_id, message_ids, read_by } = parsed(payload)?;
            RemoteEvent::Read { chat: chat_id, ids: message_ids, by: read_by }
        }
        kind if kind == "poll:vote" || kind == "message" || kind.starts_with("message:") => {
            from_message_payload(kind, parsed(payload)?)?
        }
        "chat:cleared" => chat_event(parsed(payload)?, ChatChange::Clear),
        "chat:deleted" => chat_event(parsed(payload)?, ChatChange::Delete),
        "chat:merged" => {
            let ChatMergedEvent { from, to } = parsed(payload)?;
            let same = ContactUpdate { lid: Some(from), ..ContactUpdate::seen(to) };
            RemoteEvent::Same(EngineEvent::Contacts(vec![same]))
        }
        "contact:update" => {
            let contact = parsed::<ContactPayload>(payload)?.contact;
            RemoteEvent::Same(EngineEvent::Contacts(vec![contact_update(contact)]))
        }
        "group:update" => group_event(parsed(payload)?),
        "call" => {
            let CallEvent { call_id, from, video, status } = parsed(payload)?;
            RemoteEvent::Same(EngineEvent::Call { call_id, from, video, status })
        }
        "history:progress" => {
            let progress: HistoryProgressEvent = parsed(payload)?;
            if progress.phase == HistoryPhase::Complete {
                return Some(RemoteEvent::HistoryComplete(progress));
            }
            let HistoryProgressEvent { done, total, phase } = progress;
            RemoteEvent::Same(EngineEvent::HistoryProgress { done, total, phase })
        }
        _ => RemoteEvent::Ignored,
    })
}

fn parsed<T: DeserializeOwned>(payload: &Value) -> Option<T> {
    T::deserialize(payload).ok()
}

fn from_message_payload(kind: &str, payload: MessagePayload) -> Option<RemoteEvent> {
    let update = match kind {
        "message" => return Some(RemoteEvent::Message(Box::new(payload.message?))),
        "message:created" => {
            let (message, temp_id) = (Box::new(payload.message?), payload.temp_id);
            return Some(RemoteEvent::Created { message, temp_id });
        }
        "message:status" => {
            let step = send_step(&payload.status, payload.code.as_deref(), payload.error);
            return Some(RemoteEvent::Status { id: payload.message_id?, step });
        }
        "message:ack" => {
            let ack = Ack::try_from(payload.ack?).ok()?;
            return Some(RemoteEvent::Ack { id: payload.message_id?, ack });
        }
        "message:reaction" => RemoteUpdate::Reaction { from: payload.from?, emoji: payload.emoji },
        "poll:vote" => RemoteUpdate::Vote { voter: payload.voter?, options: payload.options },
        "message:edited" => RemoteUpdate::Edited { body: payload.message?.body? },
        "message:revoked" => RemoteUpdate::Revoked,
        "message:deleted" => RemoteUpdate::Deleted,
        "message:starred" => RemoteUpdate::Starred(payload.is_starred),
        _ => return Some(RemoteEvent::Ignored),
    };
    Some(RemoteEvent::Updated { id: payload.message_id?, update })
}

/// The meaning of a message's `status`.
pub(in super::super) fn send_step(status: &str, code: Option<&str>, error: Option<String>) -> SendStep {
    match status {
        "sent" | "delivered" | "read" | "played" => SendStep::Sent,
        "failed" => SendStep::Failed(static_codes::failure(code, error)),
        _ => SendStep::Undecided,
    }
}

fn chat_event(payload: ChatPayload, change: ChatChange) -> RemoteEvent {
    RemoteEvent::Chat { chat: payload.chat_id, change }
}

/// An update of a contact. The name is used only where it is the address book's.
pub(in super::super) fn contact_update(contact: Contact) -> ContactUpdate {
    ContactUpdate {
        id: contact.id,
        address_book_name: contact.is_my_contact.then_some(contact.name),
        pushname: contact.pushname,
        lid: contact.lid,
    }
}

fn group_event(payload: GroupUpdateEvent) -> RemoteEvent {
    let GroupUpdateEvent { group_id, change, participants, subject, description, author } = payload;
    if change == GroupChange::Created {
        return RemoteEvent::JoinedGroup(group_id);
    }
    // A removed description is an empty one.
    let text = if change == GroupChange::Description { description.or(Some(String::new())) } else { subject };
    RemoteEvent::Same(EngineEvent::GroupChanged { group: group_id, change, participants, text, author })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::Reason;
    use serde_json::json;

    fn read(kind: &str, payload: Value) -> Option<RemoteEvent> {
        from_entry(&WireEntry { seq: 1, kind: kind.to_owned(), timestamp: 1_767_225_600_000, payload })
    }

    fn of(kind: &str, payload: Value) -> RemoteEvent {
        read(kind, payload).unwrap()
    }

    #[test]
    fn events_of_the_link_are_read() {
        let qr = json!({ "qr": "code", "expiresAt": 1_767_225_620_000_i64, "attempt": 2 });
        assert_eq!(of("qr", qr), RemoteEvent::Code { code: "code".to_owned(), valid_ms: 20_000 });
        let state = json!({ "state": "reconnecting", "status": "CONNECTING", "reason": "link_dropped" });
        let connecting = RemoteDeviceState::Connecting(Some(Reason::LinkDropped));
        assert_eq!(of("state", state), RemoteEvent::State(connecting));
        assert_eq!(of("device-deleted", json!({})), RemoteEvent::DeviceDeleted);
    }

    #[test]
    fn status_and_ack_name_their_message() {
        let id: MessageId = "true_15550100001@c.us_3EB0".parse().unwrap();
        let failed =
            json!({ "messageId": id, "status": "failed", "code": "not_on_network", "error": "none" });
        let RemoteEvent::Status { step: SendStep::Failed(error), .. } = of("message:status", failed) else {
            panic!()
        };
        assert_eq!((error.code, &*error.message), ("not_on_network", "none"));
        let ack = json!({ "messageId": id, "chatId": "15550100001@c.us", "ack": 4, "ackName": "played" });
        assert_eq!(of("message:ack", ack), RemoteEvent::Ack { id, ack: Ack::Played });
    }

    #[test]
    fn removed_description_is_an_empty_one() {
        let gone = json!({ "groupId": "120363000000000001@g.us", "change": "description" });
        let RemoteEvent::Same(EngineEvent::GroupChanged { text, .. }) = of("group:update", gone) else {
            panic!()
        };
        assert_eq!(text.as_deref(), Some(""));
        let made = json!({ "groupId": "120363000000000001@g.us", "change": "created", "subject": "Team" });
        assert!(matches!(of("group:update", made), RemoteEvent::JoinedGroup(_)));
    }

    #[test]
    fn unreadable_events_differ_from_ignored_ones() {
        for (kind, payload) in [
            ("message", json!({ "message": { "id": "?" } })),
            ("message:ack", json!({ "messageId": "true_15550100001@c.us_A", "ack": 9 })),
            ("message:reaction", json!({ "messageId": "true_15550100001@c.us_A" })),
            ("chat:cleared", json!({})),
        ] {
            assert_eq!(read(kind, payload), None, "{kind}");
        }
        for (kind, payload) in [("webhook:dead", json!({ "webhookId": "x" })), ("weather", json!([]))] {
            assert_eq!(of(kind, payload), RemoteEvent::Ignored, "{kind}");
        }
    }
}
