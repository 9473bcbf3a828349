//! An entry of the upstream's event log, as news. Ids of messages are still the upstream's.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::message_in::in_ms;
use super::state_in::{self, There};
use super::wire::{WireEntry, WireMessage};
use super::words;
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::contact::{Contact, ContactUpdate};
use crate::domain::device::Account;
use crate::domain::event::{CallEvent, ChatMergedEvent, GroupUpdateEvent, HistoryProgressEvent, QrEvent};
use crate::domain::group::GroupChange;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, EngineEvent, SendError};

/// What an entry tells.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum News {
    /// The device went on to there.
    State(There),
    /// A code to scan.
    Code { code: String, valid_ms: i64 },
    /// A phone accepted the link.
    Scanned(Account),
    /// The device was deleted.
    Deleted,
    /// A message came in, or was sent from another linked device.
    Message(Box<WireMessage>),
    /// A message was accepted for sending there.
    Created { message: Box<WireMessage>, temp_id: Option<String> },
    /// A step of an outgoing message.
    Step { id: MessageId, step: Step, temp_id: Option<String> },
    /// How far a message has come.
    Ack { id: MessageId, ack: Ack, at: Millis },
    /// Messages were read: by whom, or on another device of the account.
    Read { chat: Jid, ids: Vec<MessageId>, by: Option<Jid>, at: Millis },
    /// Something about a message changed.
    Changed { id: MessageId, said: Said, at: Millis },
    /// Something was done to a chat.
    Chat { chat: Jid, change: ChatChange },
    /// The account came into a group.
    IntoGroup(Jid),
    /// The first synchronisation is done.
    Complete(HistoryProgressEvent),
    /// To be handed on as it is.
    Plain(EngineEvent),
    /// Nothing for us.
    Nothing,
}

/// A step of an outgoing message, as far as it matters to whoever waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// Not decided.
    OnItsWay,
    /// The network has it.
    Sent,
    /// It failed.
    Failed(SendError),
}

/// What changed about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Said {
    React { from: Jid, emoji: String },
    Vote { voter: Jid, options: Vec<String> },
    Edit { body: String },
    Revoke,
    Delete,
    Star(bool),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfMessage {
    #[serde(default)]
    message_id: Option<MessageId>,
    #[serde(default)]
    message: Option<WireMessage>,
    #[serde(default)]
    temp_id: Option<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    ack: Option<i64>,
    #[serde(default)]
    from: Option<Jid>,
    #[serde(default)]
    emoji: String,
    #[serde(default)]
    voter: Option<Jid>,
    #[serde(default)]
    options: Vec<String>,
    #[serde(default)]
    is_starred: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfChat {
    chat_id: Jid,
    #[serde(default)]
    message_ids: Vec<MessageId>,
    #[serde(default)]
    read_by: Option<Jid>,
}

#[derive(Deserialize)]
struct OfState {
    state: String,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfAccount {
    phone_number: String,
    #[serde(default)]
    client_name: String,
}

#[derive(Deserialize)]
struct OfContact {
    contact: Contact,
}

/// What an entry of the log, or an event of the socket, tells; none where it should tell something and cannot be read.
pub(in super::super) fn news(entry: &WireEntry) -> Option<News> {
    let at = in_ms(entry.timestamp);
    let payload = &entry.payload;
    Some(match entry.kind.as_str() {
        "state" => {
            let OfState { state, reason } = parsed(payload)?;
            News::State(state_in::there(&state, reason.as_deref()))
        }
        "qr" => {
            let qr: QrEvent = parsed(payload)?;
            News::Code { code: qr.qr, valid_ms: qr.expires_at.since(at) }
        }
        "authenticated" => {
            let OfAccount { phone_number, client_name } = parsed(payload)?;
            News::Scanned(Account { phone_number, client_name })
        }
        "device-deleted" => News::Deleted,
        "message" => News::Message(Box::new(parsed::<OfMessage>(payload)?.message?)),
        "message:created" => {
            let OfMessage { message, temp_id, .. } = parsed(payload)?;
            News::Created { message: Box::new(message?), temp_id }
        }
        "message:status" => step(parsed(payload)?)?,
        "message:ack" => {
            let told: OfMessage = parsed(payload)?;
            News::Ack { id: told.message_id?, ack: Ack::try_from(told.ack?).ok()?, at }
        }
        "message:read" => {
            let OfChat { chat_id, message_ids, read_by } = parsed(payload)?;
            News::Read { chat: chat_id, ids: message_ids, by: read_by, at }
        }
        "message:reaction" | "message:edited" | "message:revoked" | "message:deleted" | "message:starred"
        | "poll:vote" => {
            let told: OfMessage = parsed(payload)?;
            News::Changed { id: told.message_id.clone()?, said: said(&entry.kind, told)?, at }
        }
        "chat:cleared" => News::Chat { chat: parsed::<OfChat>(payload)?.chat_id, change: ChatChange::Clear },
        "chat:deleted" => News::Chat { chat: parsed::<OfChat>(payload)?.chat_id, change: ChatChange::Delete },
        "chat:merged" => {
            let ChatMergedEvent { from, to } = parsed(payload)?;
            let same = ContactUpdate { lid: Some(from), ..ContactUpdate::seen(to) };
            News::Plain(EngineEvent::Contacts(vec![same]))
        }
        "contact:update" => {
            let OfContact { contact } = parsed(payload)?;
            News::Plain(EngineEvent::Contacts(vec![contact_update(contact)]))
        }
        "group:update" => group(parsed(payload)?),
        "call" => {
            let CallEvent { call_id, from, video, status } = parsed(payload)?;
            News::Plain(EngineEvent::Call { call_id, from, video, status })
        }
        "history:progress" => progress(parsed(payload)?),
        _ => News::Nothing,
    })
}

fn parsed<T: DeserializeOwned>(payload: &Value) -> Option<T> {
    T::deserialize(payload).ok()
}

fn step(told: OfMessage) -> Option<News> {
    let step = step_of(&told.status, told.code.as_deref(), told.error);
    Some(News::Step { id: told.message_id?, step, temp_id: told.temp_id })
}

/// What a message's `status` means.
pub(in super::super) fn step_of(status: &str, code: Option<&str>, error: Option<String>) -> Step {
    match status {
        "sent" | "delivered" | "read" | "played" => Step::Sent,
        "failed" => Step::Failed(words::failure(code, error)),
        _ => Step::OnItsWay,
    }
}

fn said(kind: &str, told: OfMessage) -> Option<Said> {
    Some(match kind {
        "message:reaction" => Said::React { from: told.from?, emoji: told.emoji },
        "poll:vote" => Said::Vote { voter: told.voter?, options: told.options },
        "message:edited" => Said::Edit { body: told.message?.body? },
        "message:revoked" => Said::Revoke,
        "message:deleted" => Said::Delete,
        "message:starred" => Said::Star(told.is_starred),
        _ => return None,
    })
}

/// What is known of a person. The name is the address book's only where that has them.
pub(in super::super) fn contact_update(contact: Contact) -> ContactUpdate {
    ContactUpdate {
        id: contact.id,
        address_book_name: contact.is_my_contact.then_some(contact.name),
        pushname: contact.pushname,
        lid: contact.lid,
    }
}

fn group(told: GroupUpdateEvent) -> News {
    let GroupUpdateEvent { group_id, change, participants, subject, description, author } = told;
    if change == GroupChange::Created {
        return News::IntoGroup(group_id);
    }
    let text = if change == GroupChange::Description { description.or(Some(String::new())) } else { subject };
    News::Plain(EngineEvent::GroupChanged { group: group_id, change, participants, text, author })
}

fn progress(told: HistoryProgressEvent) -> News {
    use crate::domain::event::HistoryPhase;
    if told.phase == HistoryPhase::Complete {
        return News::Complete(told);
    }
    let HistoryProgressEvent { done, total, phase } = told;
    News::Plain(EngineEvent::HistoryProgress { done, total, phase })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::Reason;
    use serde_json::json;

    fn read(kind: &str, payload: Value) -> Option<News> {
        news(&WireEntry { seq: 1, kind: kind.to_owned(), timestamp: 1_767_225_600_000, payload })
    }

    fn of(kind: &str, payload: Value) -> News {
        read(kind, payload).unwrap()
    }

    #[test]
    fn the_link_is_told_step_by_step() {
        let qr = json!({ "qr": "code", "expiresAt": 1_767_225_620_000_i64, "attempt": 2 });
        assert_eq!(of("qr", qr), News::Code { code: "code".to_owned(), valid_ms: 20_000 });
        let state = json!({ "state": "reconnecting", "status": "CONNECTING", "reason": "link_dropped" });
        assert_eq!(of("state", state), News::State(There::Coming(Some(Reason::LinkDropped))));
        assert_eq!(of("device-deleted", json!({})), News::Deleted);
    }

    #[test]
    fn steps_and_acks_name_their_message() {
        let id: MessageId = "true_15550100001@c.us_3EB0".parse().unwrap();
        let failed = json!({ "messageId": id, "chatId": "15550100001@c.us", "status": "failed", "code": "not_on_network", "error": "nobody", "tempId": "t" });
        let News::Step { step: Step::Failed(error), temp_id, .. } = of("message:status", failed) else {
            panic!()
        };
        assert_eq!(
            (error.code, &*error.message, temp_id.as_deref()),
            ("not_on_network", "nobody", Some("t"))
        );
        let ack = json!({ "messageId": id, "chatId": "15550100001@c.us", "ack": 4, "ackName": "played" });
        assert_eq!(of("message:ack", ack), News::Ack { id, ack: Ack::Played, at: Millis(1_767_225_600_000) });
    }

    #[test]
    fn a_description_that_is_taken_away_is_an_empty_one() {
        let gone = json!({ "groupId": "120363000000000001@g.us", "change": "description" });
        let News::Plain(EngineEvent::GroupChanged { text, .. }) = of("group:update", gone) else { panic!() };
        assert_eq!(text.as_deref(), Some(""));
        let made = json!({ "groupId": "120363000000000001@g.us", "change": "created", "subject": "Team" });
        assert!(matches!(of("group:update", made), News::IntoGroup(_)));
    }

    #[test]
    fn what_cannot_be_read_is_told_from_what_is_for_others() {
        for (kind, payload) in [
            ("message", json!({ "message": { "id": "?" } })),
            ("message:ack", json!({ "messageId": "true_15550100001@c.us_A", "ack": 9 })),
            ("message:reaction", json!({ "messageId": "true_15550100001@c.us_A" })),
            ("chat:cleared", json!({})),
        ] {
            assert_eq!(read(kind, payload), None, "{kind}");
        }
        for (kind, payload) in [("webhook:dead", json!({ "webhookId": "x" })), ("weather", json!([]))] {
            assert_eq!(of(kind, payload), News::Nothing, "{kind}");
        }
    }
}
