//! Events of the server, by webhook or WebSocket: one envelope for both.

use serde_json::Value;

use super::message_in::{self, Message, believed, beside, text, time};
use super::status_in::{self, Status};
use super::{group_in, ids};
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::device::Account;
use crate::domain::event::{CallStatus, TypingKind};
use crate::domain::group::{GroupChange, Participant, Role};
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, EngineEvent, IncomingChange, IncomingReceipt, SendError};

/// The events that are asked for. Of the two that tell of messages it is the one that tells of the account's own as well.
pub(in super::super) const EVENTS: [&str; 16] = [
    "session.status",
    "message.any",
    "message.ack",
    "message.reaction",
    "message.edited",
    "message.revoked",
    "group.v2.join",
    "group.v2.leave",
    "group.v2.update",
    "group.v2.participants",
    "presence.update",
    "poll.vote",
    "call.received",
    "call.accepted",
    "call.rejected",
    "chat.archive",
];

/// What an event says.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Heard {
    /// The session's state may have changed: it is asked for, as events come late.
    Status(Option<Status>),
    /// A message, whose file is still at the server.
    Message(Box<Message>),
    /// Anything else.
    Event(EngineEvent),
    /// An event that was asked for and cannot be read.
    Unreadable(&'static str),
}

/// Whose session an envelope names.
pub(in super::super) fn account(envelope: &Value) -> Option<Account> {
    status_in::account(envelope.get("me"))
}

/// Reads an event that is told `now`. What was not asked for says nothing.
pub(in super::super) fn event(envelope: &Value, me: Option<&Jid>, now: Millis) -> Vec<Heard> {
    let heard = read(envelope, me, now);
    let name = envelope.get("event").and_then(Value::as_str).unwrap_or_default();
    let Some(asked) = EVENTS.into_iter().find(|event| *event == name) else { return heard };
    let told = envelope.get("payload").unwrap_or(&Value::Null);
    if heard.is_empty() && !says_nothing(asked, told) {
        return vec![Heard::Unreadable(asked)];
    }
    heard
}

/// Whether an event is as it should be, and has no news for us.
fn says_nothing(name: &str, told: &Value) -> bool {
    match name {
        "message.any" => message_in::is_none(told),
        "message.ack" => ids::message(told.get("id")).is_some() && told.get("ack").is_some_and(Value::is_i64),
        "presence.update" => ids::jid(told.get("id")).is_some(),
        "group.v2.update" => told.get("group").and_then(group_in::id).is_some(),
        _ => false,
    }
}

fn read(envelope: &Value, me: Option<&Jid>, now: Millis) -> Vec<Heard> {
    let name = envelope.get("event").and_then(Value::as_str).unwrap_or_default();
    let told = envelope.get("payload").unwrap_or(&Value::Null);
    let told_at = time(envelope.get("timestamp"));
    let at = believed(time(told.get("timestamp")).or(told_at).unwrap_or(Millis(0)), now);
    let heard = match name {
        "session.status" => return vec![Heard::Status(status_in::told(told))],
        "message" | "message.any" => {
            return message_in::message(told, me, now)
                .map(|message| Heard::Message(Box::new(message)))
                .into_iter()
                .collect();
        }
        "message.ack" => receipt(told, me, told_at.map_or(at, |at| believed(at, now))),
        "message.reaction" => reaction(told, me, at),
        "message.edited" => edited(told, at),
        "message.revoked" => revoked(told),
        "poll.vote" => vote(told, me, now),
        "presence.update" => return presence(told).into_iter().map(Heard::Event).collect(),
        "group.v2.join" => return joined(told, me).into_iter().map(Heard::Event).collect(),
        "group.v2.leave" => left(told, me),
        "group.v2.update" => return updated(told).into_iter().map(Heard::Event).collect(),
        "group.v2.participants" => members(told),
        "call.received" => call(told, CallStatus::Ringing),
        "call.accepted" => call(told, CallStatus::Accepted),
        "call.rejected" => call(told, CallStatus::Rejected),
        "chat.archive" => archived(told),
        _ => None,
    };
    heard.map(Heard::Event).into_iter().collect()
}

fn receipt(told: &Value, me: Option<&Jid>, at: Millis) -> Option<EngineEvent> {
    let id = ids::message(told.get("id")).filter(|id| id.from_me)?;
    let ack = Ack::try_from(told.get("ack")?.as_i64()?).ok()?;
    let whose = ids::jid(told.get("participant")).filter(|who| id.chat.is_group() && Some(who) != me);
    level(ack, at, id.chat, id.network, whose)
}

/// A receipt for a message of ours; that it waits is none.
pub(in super::super) fn level(
    ack: Ack,
    timestamp: Millis,
    chat: Jid,
    network_id: crate::domain::ids::NetworkId,
    participant: Option<Jid>,
) -> Option<EngineEvent> {
    if ack == Ack::Pending {
        return None;
    }
    let error = (ack == Ack::Error).then(|| SendError {
        code: "refused_by_network",
        message: "the network refused the message".to_owned(),
    });
    Some(EngineEvent::Receipt(IncomingReceipt { chat, network_id, ack, participant, timestamp, error }))
}

fn reaction(told: &Value, me: Option<&Jid>, at: Millis) -> Option<EngineEvent> {
    let id = ids::message(told.pointer("/reaction/messageId"))?;
    let from_me = told.get("fromMe").and_then(Value::as_bool).unwrap_or(false);
    let who = if from_me {
        me.cloned()
    } else {
        ids::jid(told.get("participant")).or_else(|| ids::jid(told.get("from")))
    };
    let from = who.filter(|who| !who.is_group())?;
    let emoji = text(told.pointer("/reaction/text")).unwrap_or_default();
    Some(EngineEvent::MessageChange(IncomingChange::Reaction { id, from, from_me, emoji, at }))
}

fn edited(told: &Value, at: Millis) -> Option<EngineEvent> {
    let id = beside(told, told.get("editedMessageId"))?;
    Some(EngineEvent::MessageChange(IncomingChange::Edited { id, body: text(told.get("body"))?, at }))
}

fn revoked(told: &Value) -> Option<EngineEvent> {
    let before = ids::message(told.pointer("/before/id"));
    let after = told.get("after").filter(|after| after.is_object());
    let id = match (before, after) {
        (Some(id), _) => id,
        (None, Some(after)) => {
            beside(after, told.get("revokedMessageId")).or_else(|| ids::message(after.get("id")))?
        }
        (None, None) => return None,
    };
    Some(EngineEvent::MessageChange(IncomingChange::Revoked { id }))
}

fn vote(told: &Value, me: Option<&Jid>, now: Millis) -> Option<EngineEvent> {
    let id = ids::message(told.pointer("/poll/id"))?;
    let vote = told.get("vote")?;
    let own = vote.get("fromMe").and_then(Value::as_bool).unwrap_or(false);
    let voter = match (own, me) {
        (true, Some(me)) => me.clone(),
        _ => ids::jid(vote.get("participant")).or_else(|| ids::jid(vote.get("from")))?,
    };
    let options = vote.get("selectedOptions").and_then(Value::as_array).into_iter().flatten();
    let options = options.filter_map(|option| text(Some(option))).collect();
    let at = believed(time(vote.get("timestamp")).unwrap_or(Millis(0)), now);
    Some(EngineEvent::MessageChange(IncomingChange::Vote { id, voter, options, at }))
}

fn presence(told: &Value) -> Vec<EngineEvent> {
    let Some(chat) = ids::jid(told.get("id")) else { return Vec::new() };
    let all = told.get("presences").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|told| {
        let who = ids::jid(told.get("participant")).unwrap_or_else(|| chat.clone());
        let typing = |kind, on| {
            (!who.is_group()).then(|| EngineEvent::Typing { chat: chat.clone(), from: who.clone(), kind, on })
        };
        let online = |online| {
            let last_seen = time(told.get("lastSeen"));
            (!who.is_group()).then(|| EngineEvent::Presence { contact: who.clone(), online, last_seen })
        };
        match told.get("lastKnownPresence")?.as_str()? {
            "typing" => typing(TypingKind::Text, true),
            "recording" => typing(TypingKind::Audio, true),
            "paused" => typing(TypingKind::Text, false),
            "online" => online(true),
            "offline" => online(false),
            _ => None,
        }
    })
    .collect()
}

/// The account came into a group.
fn joined(told: &Value, me: Option<&Jid>) -> Vec<EngineEvent> {
    let Some(group) = told.get("group").and_then(group_in::group) else { return Vec::new() };
    let author = author(told).filter(|author| Some(author) != me);
    let created = EngineEvent::GroupChanged {
        group: group.id.clone(),
        change: GroupChange::Created,
        participants: group.participants.clone(),
        text: Some(group.subject.clone()),
        author,
    };
    vec![EngineEvent::Groups { groups: vec![group], complete: false }, created]
}

/// The account left, or was removed by somebody.
fn left(told: &Value, me: Option<&Jid>) -> Option<EngineEvent> {
    let group = group_in::id(told.get("group")?)?;
    let author = author(told).filter(|author| Some(author) != me);
    let change = if author.is_some() { GroupChange::Remove } else { GroupChange::Leave };
    let participants = me.map(|me| Participant { id: me.clone(), role: Role::Member }).into_iter().collect();
    Some(EngineEvent::GroupChanged { group, change, participants, text: None, author })
}

fn updated(told: &Value) -> Vec<EngineEvent> {
    let Some(changed) = told.get("group") else { return Vec::new() };
    let Some(group) = group_in::id(changed) else { return Vec::new() };
    let author = author(told);
    let fields = [("subject", GroupChange::Subject), ("description", GroupChange::Description)];
    let texts = fields
        .into_iter()
        .filter_map(|(name, change)| Some((change, changed.get(name)?.as_str()?.to_owned())));
    texts
        .map(|(change, text)| EngineEvent::GroupChanged {
            group: group.clone(),
            change,
            participants: Vec::new(),
            text: Some(text),
            author: author.clone(),
        })
        .collect()
}

fn members(told: &Value) -> Option<EngineEvent> {
    let group = group_in::id(told.get("group")?)?;
    let list = told.get("participants").and_then(Value::as_array).into_iter().flatten();
    let participants: Vec<Participant> = list.filter_map(group_in::member).collect();
    let author = author(told);
    let by_themselves = author.as_ref().is_none_or(|author| participants.iter().any(|one| one.id == *author));
    let change = match told.get("type")?.as_str()? {
        "join" => GroupChange::Add,
        "leave" if by_themselves => GroupChange::Leave,
        "leave" => GroupChange::Remove,
        "promote" => GroupChange::Promote,
        "demote" => GroupChange::Demote,
        _ => return None,
    };
    Some(EngineEvent::GroupChanged { group, change, participants, text: None, author })
}

/// Who did something to a group, where the server's engine tells it.
fn author(told: &Value) -> Option<Jid> {
    let data = told.get("_data")?;
    ["authorPn", "author", "SenderPN", "Sender"].into_iter().find_map(|name| ids::jid(data.get(name)))
}

fn call(told: &Value, status: CallStatus) -> Option<EngineEvent> {
    let from = ids::jid(told.get("from"))?;
    let video = told.get("isVideo").and_then(Value::as_bool).unwrap_or(false);
    Some(EngineEvent::Call { call_id: text(told.get("id"))?, from, video, status })
}

fn archived(told: &Value) -> Option<EngineEvent> {
    let chat = ids::jid(told.get("id"))?;
    let on = told.get("archived")?.as_bool()?;
    Some(EngineEvent::Chat { chat, change: ChatChange::Archive(on) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn heard(name: &str, payload: &Value) -> Vec<Heard> {
        let me: Jid = "15550100009@c.us".parse().unwrap();
        event(
            &json!({ "event": name, "timestamp": 1_767_225_600_123_i64, "payload": payload }),
            Some(&me),
            Millis(1_767_225_700_000),
        )
    }

    fn told(name: &str, payload: &Value) -> EngineEvent {
        match heard(name, payload).remove(0) {
            Heard::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn acks_are_of_the_accounts_messages_and_name_the_member() {
        let ack = json!({ "id": "true_1203@g.us_AAA_15550100009@c.us", "participant": "15550100001@c.us", "ack": 3 });
        let EngineEvent::Receipt(receipt) = told("message.ack", &ack) else { panic!() };
        assert_eq!(
            (receipt.ack, receipt.participant.unwrap().to_string().as_str()),
            (Ack::Read, "15550100001@c.us")
        );
        let own = json!({ "id": "true_1203@g.us_AAA", "participant": "15550100009@c.us", "ack": -1 });
        let EngineEvent::Receipt(receipt) = told("message.ack", &own) else { panic!() };
        assert_eq!((receipt.ack, receipt.participant, receipt.error.is_some()), (Ack::Error, None, true));
        assert!(heard("message.ack", &json!({ "id": "false_15550100001@c.us_AAA", "ack": 3 })).is_empty());
        assert!(heard("message.ack", &json!({ "id": "true_15550100001@c.us_AAA", "ack": 0 })).is_empty());
    }

    #[test]
    fn changes_to_messages_name_them() {
        let edit = json!({ "id": "false_15550100001@c.us_NEW", "editedMessageId": "AAA", "body": "ten", "timestamp": 1_767_225_601 });
        let EngineEvent::MessageChange(IncomingChange::Edited { id, body, at }) =
            told("message.edited", &edit)
        else {
            panic!()
        };
        assert_eq!(
            (id.to_string().as_str(), body.as_str(), at),
            ("false_15550100001@c.us_AAA", "ten", Millis(1_767_225_601_000))
        );
        let revoke = json!({ "after": { "id": "false_15550100001@c.us_NEW" }, "before": null, "revokedMessageId": "AAA" });
        let EngineEvent::MessageChange(IncomingChange::Revoked { id }) = told("message.revoked", &revoke)
        else {
            panic!()
        };
        assert_eq!(id.to_string(), "false_15550100001@c.us_AAA");
        let vote = json!({
            "vote": { "from": "15550100001@c.us", "participant": null, "fromMe": false, "selectedOptions": ["soup"], "timestamp": 1_767_225_600_123_i64 },
            "poll": { "id": "true_15550100001@c.us_AAA" },
        });
        let EngineEvent::MessageChange(IncomingChange::Vote { voter, at, .. }) = told("poll.vote", &vote)
        else {
            panic!()
        };
        assert_eq!((voter.to_string().as_str(), at), ("15550100001@c.us", Millis(1_767_225_600_123)));
    }

    #[test]
    fn groups_say_who_came_and_who_was_removed_by_whom() {
        let group = json!({ "group": { "id": "1203@g.us" }, "type": "leave", "participants": [{ "id": "15550100001@c.us", "role": "participant" }] });
        let change = |told: EngineEvent| match told {
            EngineEvent::GroupChanged { change, .. } => change,
            other => panic!("{other:?}"),
        };
        assert_eq!(change(told("group.v2.participants", &group)), GroupChange::Leave);
        let mut removed = group;
        removed["_data"] = json!({ "author": "15550100002@c.us" });
        assert_eq!(change(told("group.v2.participants", &removed)), GroupChange::Remove);
        let out = json!({ "group": { "id": "1203@g.us" }, "_data": { "author": "15550100002@c.us" } });
        assert_eq!(change(told("group.v2.leave", &out)), GroupChange::Remove);
        let named = json!({ "group": { "id": "1203@g.us", "subject": "Gang" } });
        assert_eq!(change(told("group.v2.update", &named)), GroupChange::Subject);
    }

    #[test]
    fn what_was_not_asked_for_says_nothing_and_what_is_broken_is_told_apart() {
        for (name, payload) in [
            ("message.ack", json!(null)),
            ("message.any", json!({ "id": 5 })),
            ("poll.vote", json!({ "poll": {} })),
            ("presence.update", json!({ "id": "x" })),
        ] {
            assert_eq!(heard(name, &payload), [Heard::Unreadable(name)], "{name}");
        }
        for (name, payload) in [
            ("label.upsert", json!({ "id": "1" })),
            ("message.any", json!({ "id": "false_15550100001@c.us_AAA", "_data": { "type": "gp2" } })),
            ("presence.update", json!({ "id": "15550100001@c.us", "presences": [] })),
            ("group.v2.update", json!({ "group": { "id": "1203@g.us" } })),
        ] {
            assert!(heard(name, &payload).is_empty(), "{name}");
        }
    }
}
