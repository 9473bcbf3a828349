//! Converts events of the server. Webhooks and the WebSocket have the same envelope.

use serde_json::Value;

use super::message_in::{self, Message, capped, id_with, time};
use super::status_in;
use super::{group_in, ids};
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::device::Account;
use crate::domain::event::{CallStatus, TypingKind};
use crate::domain::group::{GroupChange, Participant, Role};
use crate::domain::ids::NetworkId;
use crate::domain::jid::Jid;
use crate::engine::relay::lenient::non_empty as text;
use crate::engine::{ChatChange, EngineEvent, IncomingChange, IncomingReceipt, SendError};

/// The subscribed events. `message.any` is `message` with the account's own messages.
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

/// The result of converting an event.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum WahaEvent {
    /// The session's status may have changed. It is polled, because events arrive late.
    Status,
    /// A message, whose media is still at the server.
    Message(Box<Message>),
    Event(EngineEvent),
    /// A subscribed event that cannot be read.
    Unreadable(&'static str),
}

/// The account in an envelope.
pub(in super::super) fn account(envelope: &Value) -> Option<Account> {
    status_in::account(envelope.get("me"))
}

/// Converts an event that arrives `now`. Other events than the subscribed ones are ignored.
pub(in super::super) fn events(envelope: &Value, me: Option<&Jid>, now: Millis) -> Vec<WahaEvent> {
    let events = read(envelope, me, now);
    let name = envelope.get("event").and_then(Value::as_str).unwrap_or_default();
    let Some(name) = EVENTS.into_iter().find(|event| *event == name) else { return events };
    let payload = envelope.get("payload").unwrap_or(&Value::Null);
    if events.is_empty() && !is_irrelevant(name, payload) {
        return vec![WahaEvent::Unreadable(name)];
    }
    events
}

/// Whether an event is valid and changes nothing here.
fn is_irrelevant(name: &str, payload: &Value) -> bool {
    match name {
        "message.any" => message_in::is_no_message(payload),
        "message.ack" => {
            ids::message(payload.get("id")).is_some() && payload.get("ack").is_some_and(Value::is_i64)
        }
        "presence.update" => ids::jid(payload.get("id")).is_some(),
        "group.v2.update" => payload.get("group").and_then(group_in::id).is_some(),
        _ => false,
    }
}

fn read(envelope: &Value, me: Option<&Jid>, now: Millis) -> Vec<WahaEvent> {
    let name = envelope.get("event").and_then(Value::as_str).unwrap_or_default();
    let payload = envelope.get("payload").unwrap_or(&Value::Null);
    let sent_at = time(envelope.get("timestamp"));
    let at = capped(time(payload.get("timestamp")).or(sent_at).unwrap_or(Millis(0)), now);
    let event = match name {
        "session.status" => return vec![WahaEvent::Status],
        "message" | "message.any" => {
            return message_in::message(payload, me, now)
                .map(|message| WahaEvent::Message(Box::new(message)))
                .into_iter()
                .collect();
        }
        "message.ack" => receipt(payload, me, sent_at.map_or(at, |at| capped(at, now))),
        "message.reaction" => reaction(payload, me, at),
        "message.edited" => edited(payload, at),
        "message.revoked" => revoked(payload),
        "poll.vote" => vote(payload, me, now),
        "presence.update" => return presence(payload).into_iter().map(WahaEvent::Event).collect(),
        "group.v2.join" => return joined(payload, me).into_iter().map(WahaEvent::Event).collect(),
        "group.v2.leave" => left_group(payload, me),
        "group.v2.update" => return updated(payload).into_iter().map(WahaEvent::Event).collect(),
        "group.v2.participants" => members(payload),
        "call.received" => call(payload, CallStatus::Ringing),
        "call.accepted" => call(payload, CallStatus::Accepted),
        "call.rejected" => call(payload, CallStatus::Rejected),
        "chat.archive" => archived(payload),
        _ => None,
    };
    event.map(WahaEvent::Event).into_iter().collect()
}

fn receipt(payload: &Value, me: Option<&Jid>, at: Millis) -> Option<EngineEvent> {
    let id = ids::message(payload.get("id")).filter(|id| id.from_me)?;
    let ack = Ack::try_from(payload.get("ack")?.as_i64()?).ok()?;
    let member = ids::jid(payload.get("participant")).filter(|who| id.chat.is_group() && Some(who) != me);
    receipt_event(ack, at, id.chat, id.network, member)
}

/// A receipt for one of our messages; `None` for a pending one.
pub(in super::super) fn receipt_event(
    ack: Ack,
    timestamp: Millis,
    chat: Jid,
    network_id: NetworkId,
    participant: Option<Jid>,
) -> Option<EngineEvent> {
    if ack == Ack::Pending {
        return None;
    }
    let error = (ack == Ack::Error).then(|| SendError {
        code: "refused_by_network",
        message: "the network rejected the message".to_owned(),
    });
    Some(EngineEvent::Receipt(IncomingReceipt { chat, network_id, ack, participant, timestamp, error }))
}

fn reaction(payload: &Value, me: Option<&Jid>, at: Millis) -> Option<EngineEvent> {
    let id = ids::message(payload.pointer("/reaction/messageId"))?;
    let from_me = payload.get("fromMe").and_then(Value::as_bool).unwrap_or(false);
    let who = if from_me {
        me.cloned()
    } else {
        ids::jid(payload.get("participant")).or_else(|| ids::jid(payload.get("from")))
    };
    let from = who.filter(|who| !who.is_group())?;
    let emoji = text(payload.pointer("/reaction/text")).unwrap_or_default();
    Some(EngineEvent::MessageChange(IncomingChange::Reaction { id, from, from_me, emoji, at }))
}

fn edited(payload: &Value, at: Millis) -> Option<EngineEvent> {
    let id = id_with(payload, payload.get("editedMessageId"))?;
    Some(EngineEvent::MessageChange(IncomingChange::Edited { id, body: text(payload.get("body"))?, at }))
}

fn revoked(payload: &Value) -> Option<EngineEvent> {
    let before = ids::message(payload.pointer("/before/id"));
    let after = payload.get("after").filter(|after| after.is_object());
    let id = match (before, after) {
        (Some(id), _) => id,
        (None, Some(after)) => {
            id_with(after, payload.get("revokedMessageId")).or_else(|| ids::message(after.get("id")))?
        }
        (None, None) => return None,
    };
    Some(EngineEvent::MessageChange(IncomingChange::Revoked { id }))
}

fn vote(payload: &Value, me: Option<&Jid>, now: Millis) -> Option<EngineEvent> {
    let id = ids::message(payload.pointer("/poll/id"))?;
    let vote = payload.get("vote")?;
    let own = vote.get("fromMe").and_then(Value::as_bool).unwrap_or(false);
    let voter = match (own, me) {
        (true, Some(me)) => me.clone(),
        _ => ids::jid(vote.get("participant")).or_else(|| ids::jid(vote.get("from")))?,
    };
    let options = vote.get("selectedOptions").and_then(Value::as_array).into_iter().flatten();
    let options = options.filter_map(|option| text(Some(option))).collect();
    let at = capped(time(vote.get("timestamp")).unwrap_or(Millis(0)), now);
    Some(EngineEvent::MessageChange(IncomingChange::Vote { id, voter, options, at }))
}

fn presence(payload: &Value) -> Vec<EngineEvent> {
    let Some(chat) = ids::jid(payload.get("id")) else { return Vec::new() };
    let all = payload.get("presences").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|payload| {
        let who = ids::jid(payload.get("participant")).unwrap_or_else(|| chat.clone());
        let typing = |kind, on| {
            (!who.is_group()).then(|| EngineEvent::Typing { chat: chat.clone(), from: who.clone(), kind, on })
        };
        let online = |online| {
            let last_seen = time(payload.get("lastSeen"));
            (!who.is_group()).then(|| EngineEvent::Presence { contact: who.clone(), online, last_seen })
        };
        match payload.get("lastKnownPresence")?.as_str()? {
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

/// The account joined a group.
fn joined(payload: &Value, me: Option<&Jid>) -> Vec<EngineEvent> {
    let Some(group) = payload.get("group").and_then(group_in::group) else { return Vec::new() };
    let author = author(payload).filter(|author| Some(author) != me);
    let created = EngineEvent::GroupChanged {
        group: group.id.clone(),
        change: GroupChange::Created,
        participants: group.participants.clone(),
        text: Some(group.subject.clone()),
        author,
    };
    vec![EngineEvent::Groups { groups: vec![group], complete: false }, created]
}

/// The account left a group, or was removed.
fn left_group(payload: &Value, me: Option<&Jid>) -> Option<EngineEvent> {
    let group = group_in::id(payload.get("group")?)?;
    let author = author(payload).filter(|author| Some(author) != me);
    let change = if author.is_some() { GroupChange::Remove } else { GroupChange::Leave };
    let participants = me.map(|me| Participant { id: me.clone(), role: Role::Member }).into_iter().collect();
    Some(EngineEvent::GroupChanged { group, change, participants, text: None, author })
}

fn updated(payload: &Value) -> Vec<EngineEvent> {
    let Some(changed) = payload.get("group") else { return Vec::new() };
    let Some(group) = group_in::id(changed) else { return Vec::new() };
    let author = author(payload);
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

fn members(payload: &Value) -> Option<EngineEvent> {
    let group = group_in::id(payload.get("group")?)?;
    let list = payload.get("participants").and_then(Value::as_array).into_iter().flatten();
    let participants: Vec<Participant> = list.filter_map(group_in::member).collect();
    let author = author(payload);
    let is_own_choice = author.as_ref().is_none_or(|author| participants.iter().any(|one| one.id == *author));
    let change = match payload.get("type")?.as_str()? {
        "join" => GroupChange::Add,
        "leave" if is_own_choice => GroupChange::Leave,
        "leave" => GroupChange::Remove,
        "promote" => GroupChange::Promote,
        "demote" => GroupChange::Demote,
        _ => return None,
    };
    Some(EngineEvent::GroupChanged { group, change, participants, text: None, author })
}

/// The author of a change of a group, where the server's engine names one.
fn author(payload: &Value) -> Option<Jid> {
    let data = payload.get("_data")?;
    ["authorPn", "author", "SenderPN", "Sender"].into_iter().find_map(|name| ids::jid(data.get(name)))
}

fn call(payload: &Value, status: CallStatus) -> Option<EngineEvent> {
    let from = ids::jid(payload.get("from"))?;
    let video = payload.get("isVideo").and_then(Value::as_bool).unwrap_or(false);
    Some(EngineEvent::Call { call_id: text(payload.get("id"))?, from, video, status })
}

fn archived(payload: &Value) -> Option<EngineEvent> {
    let chat = ids::jid(payload.get("id"))?;
    let on = payload.get("archived")?.as_bool()?;
    Some(EngineEvent::Chat { chat, change: ChatChange::Archive(on) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn convert(name: &str, payload: &Value) -> Vec<WahaEvent> {
        let me: Jid = "15550100009@c.us".parse().unwrap();
        events(
            &json!({ "event": name, "timestamp": 1_767_225_600_123_i64, "payload": payload }),
            Some(&me),
            Millis(1_767_225_700_000),
        )
    }

    fn converted(name: &str, payload: &Value) -> EngineEvent {
        match convert(name, payload).remove(0) {
            WahaEvent::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn receipt_names_the_member_of_a_group() {
        let ack = json!({ "id": "true_1203@g.us_AAA_15550100009@c.us", "participant": "15550100001@c.us", "ack": 3 });
        let EngineEvent::Receipt(receipt) = converted("message.ack", &ack) else { panic!() };
        assert_eq!(
            (receipt.ack, receipt.participant.unwrap().to_string().as_str()),
            (Ack::Read, "15550100001@c.us")
        );
        let own = json!({ "id": "true_1203@g.us_AAA", "participant": "15550100009@c.us", "ack": -1 });
        let EngineEvent::Receipt(receipt) = converted("message.ack", &own) else { panic!() };
        assert_eq!((receipt.ack, receipt.participant, receipt.error.is_some()), (Ack::Error, None, true));
        assert!(convert("message.ack", &json!({ "id": "false_15550100001@c.us_AAA", "ack": 3 })).is_empty());
        assert!(convert("message.ack", &json!({ "id": "true_15550100001@c.us_AAA", "ack": 0 })).is_empty());
    }

    #[test]
    fn changes_name_their_message() {
        let edit = json!({ "id": "false_15550100001@c.us_NEW", "editedMessageId": "AAA", "body": "ten", "timestamp": 1_767_225_601 });
        let EngineEvent::MessageChange(IncomingChange::Edited { id, body, at }) =
            converted("message.edited", &edit)
        else {
            panic!()
        };
        assert_eq!(
            (id.to_string().as_str(), body.as_str(), at),
            ("false_15550100001@c.us_AAA", "ten", Millis(1_767_225_601_000))
        );
        let revoke = json!({ "after": { "id": "false_15550100001@c.us_NEW" }, "before": null, "revokedMessageId": "AAA" });
        let EngineEvent::MessageChange(IncomingChange::Revoked { id }) =
            converted("message.revoked", &revoke)
        else {
            panic!()
        };
        assert_eq!(id.to_string(), "false_15550100001@c.us_AAA");
        let vote = json!({
            "vote": { "from": "15550100001@c.us", "participant": null, "fromMe": false, "selectedOptions": ["soup"], "timestamp": 1_767_225_600_123_i64 },
            "poll": { "id": "true_15550100001@c.us_AAA" },
        });
        let EngineEvent::MessageChange(IncomingChange::Vote { voter, at, .. }) =
            converted("poll.vote", &vote)
        else {
            panic!()
        };
        assert_eq!((voter.to_string().as_str(), at), ("15550100001@c.us", Millis(1_767_225_600_123)));
    }

    #[test]
    fn removal_from_a_group_is_different_from_leaving() {
        let group = json!({ "group": { "id": "1203@g.us" }, "type": "leave", "participants": [{ "id": "15550100001@c.us", "role": "participant" }] });
        let change = |payload: EngineEvent| match payload {
            EngineEvent::GroupChanged { change, .. } => change,
            other => panic!("{other:?}"),
        };
        assert_eq!(change(converted("group.v2.participants", &group)), GroupChange::Leave);
        let mut removed = group;
        removed["_data"] = json!({ "author": "15550100002@c.us" });
        assert_eq!(change(converted("group.v2.participants", &removed)), GroupChange::Remove);
        let out = json!({ "group": { "id": "1203@g.us" }, "_data": { "author": "15550100002@c.us" } });
        assert_eq!(change(converted("group.v2.leave", &out)), GroupChange::Remove);
        let named = json!({ "group": { "id": "1203@g.us", "subject": "Gang" } });
        assert_eq!(change(converted("group.v2.update", &named)), GroupChange::Subject);
    }

    #[test]
    fn unreadable_event_differs_from_irrelevant_one() {
        for (name, payload) in [
            ("message.ack", json!(null)),
            ("message.any", json!({ "id": 5 })),
            ("poll.vote", json!({ "poll": {} })),
            ("presence.update", json!({ "id": "x" })),
        ] {
            assert_eq!(convert(name, &payload), [WahaEvent::Unreadable(name)], "{name}");
        }
        for (name, payload) in [
            ("label.upsert", json!({ "id": "1" })),
            ("message.any", json!({ "id": "false_15550100001@c.us_AAA", "_data": { "type": "gp2" } })),
            ("presence.update", json!({ "id": "15550100001@c.us", "presences": [] })),
            ("group.v2.update", json!({ "group": { "id": "1203@g.us" } })),
        ] {
            assert!(convert(name, &payload).is_empty(), "{name}");
        }
    }
}
