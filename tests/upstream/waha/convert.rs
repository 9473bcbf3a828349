//! Converts events of the network to WAHA's format, as its engine WEBJS writes it.

use serde_json::{Value, json};
use wharf::domain::ack::Ack;
use wharf::domain::content::Content;
use wharf::domain::device::Account;
use wharf::domain::event::{CallStatus, TypingKind};
use wharf::domain::group::{Group, GroupChange, Participant, Role};
use wharf::domain::ids::MessageId;
use wharf::domain::jid::Jid;
use wharf::domain::media::MediaKind;
use wharf::engine::{ChatChange, EngineEvent, Incoming, IncomingChange};

use super::session::Session;

pub fn ack_name(ack: i64) -> &'static str {
    ["ERROR", "PENDING", "SERVER", "DEVICE", "READ", "PLAYED"][usize::try_from(ack + 1).unwrap()]
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Member => "participant",
        Role::Admin => "admin",
        Role::Superadmin => "superadmin",
    }
}

pub fn participant(one: &Participant) -> Value {
    json!({ "id": one.id, "role": role(one.role) })
}

pub fn group(group: &Group) -> Value {
    json!({
        "id": group.id, "subject": group.subject, "description": group.description.clone().unwrap_or_default(),
        "owner": group.owner, "creation": group.created_at.map(|at| at.0 / 1_000),
        "participants": group.participants.iter().map(participant).collect::<Vec<_>>(),
    })
}

pub fn me(account: &Account) -> Value {
    json!({ "id": format!("{}@c.us", account.phone_number), "pushName": account.client_name })
}

fn type_of(content: &Content) -> String {
    let kind = serde_json::to_value(content.message_type()).unwrap();
    kind.as_str().unwrap().to_owned()
}

fn extension(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "jpeg",
        MediaKind::Video => "mp4",
        MediaKind::Audio | MediaKind::Ptt => "oga",
        MediaKind::Sticker => "webp",
        MediaKind::Document => "bin",
    }
}

/// Converts a message to a WAMessage.
pub fn message(session: &Session, incoming: &Incoming, ack: i64) -> Value {
    let id = MessageId {
        from_me: incoming.from_me,
        chat: incoming.chat.clone(),
        network: if incoming.from_me {
            session.theirs(&incoming.network_id)
        } else {
            incoming.network_id.clone()
        },
        participant: incoming.chat.is_group().then(|| incoming.from.clone()),
    };
    let me = session.me_jid();
    let (from, to) =
        if incoming.from_me { (me, Some(incoming.chat.clone())) } else { (Some(incoming.chat.clone()), me) };
    let mut data = json!({
        "type": type_of(&incoming.content), "notifyName": incoming.notify_name, "isForwarded": incoming.forwarded,
        "mentionedJidList": incoming.mentions,
    });
    if let Content::Poll(poll) = &incoming.content {
        data["pollName"] = json!(poll.name);
        data["pollOptions"] = poll.options.iter().map(|name| json!({ "name": name })).collect();
        data["pollSelectableOptionsCount"] = json!(i32::from(!poll.allow_multiple_answers));
    }
    let media = match &incoming.content {
        Content::Media(file) => json!({
            "url": format!("{}/api/files/{}/{}.{}", session.base, session.name, file.file.hash, extension(file.kind)),
            "mimetype": file.file.mimetype, "filename": file.filename, "error": null,
        }),
        Content::Other(_) => {
            json!({ "url": null, "mimetype": null, "filename": null, "error": "it is not there" })
        }
        _ => Value::Null,
    };
    let has_media = !media.is_null()
        && !matches!(type_of(&incoming.content).as_str(), "unknown" | "call_log" | "revoked");
    let location = if let Content::Location(place) = &incoming.content { json!(place) } else { Value::Null };
    let cards = if let Content::Contacts(cards) = &incoming.content {
        cards.iter().map(|card| json!(card.vcard)).collect()
    } else {
        Vec::new()
    };
    let reply_to = incoming.quoted.as_ref().map(|quoted| {
        let network =
            if quoted.id.from_me { session.theirs(&quoted.id.network) } else { quoted.id.network.clone() };
        json!({ "id": network, "participant": quoted.author, "body": quoted.body })
    });
    json!({
        "id": id, "timestamp": incoming.timestamp.0.div_euclid(1_000), "from": from, "to": to,
        "participant": incoming.chat.is_group().then_some(&incoming.from), "fromMe": incoming.from_me,
        "body": incoming.body, "hasMedia": has_media,
        "media": if has_media { media } else { Value::Null }, "ack": ack, "ackName": ack_name(ack),
        "replyTo": reply_to, "location": location, "vCards": cards, "source": "app", "_data": data,
    })
}

/// Converts an event; WAHA has no events for some of them.
pub fn events(session: &Session, event: &EngineEvent) -> Vec<(&'static str, Value)> {
    let id = |id: &MessageId| session.named(id);
    match event {
        EngineEvent::Message(incoming) => {
            let message = message(session, incoming, 1);
            let mut events = vec![("message.any", message.clone())];
            if !incoming.from_me {
                events.push(("message", message));
            }
            events
        }
        EngineEvent::Receipt(receipt) => {
            let name = MessageId {
                from_me: true,
                chat: receipt.chat.clone(),
                network: receipt.network_id.clone(),
                participant: None,
            };
            let ack = i64::from(receipt.ack.level());
            let participant =
                receipt.participant.clone().or_else(|| session.me_jid().filter(|_| receipt.chat.is_group()));
            vec![(
                "message.ack",
                json!({
                    "id": id(&name), "from": session.me_jid(), "to": receipt.chat, "participant": participant,
                    "fromMe": true, "ack": ack, "ackName": ack_name(ack)
                }),
            )]
        }
        EngineEvent::MessageChange(IncomingChange::Reaction { id: of, from, from_me, emoji, at }) => vec![(
            "message.reaction",
            json!({
                "id": format!("false_{}_R{}", of.chat, at.0), "from": if of.chat.is_group() { &of.chat } else { from },
                "fromMe": from_me, "participant": of.chat.is_group().then_some(from), "timestamp": at.0.div_euclid(1_000),
                "reaction": { "text": emoji, "messageId": id(of) },
            }),
        )],
        EngineEvent::MessageChange(IncomingChange::Vote { id: of, voter, options, at }) => vec![(
            "poll.vote",
            json!({
                "vote": { "id": null, "from": voter, "fromMe": Some(voter) == session.me_jid().as_ref(), "to": of.chat, "participant": voter, "selectedOptions": options, "timestamp": at.0 },
                "poll": { "id": id(of), "fromMe": of.from_me },
            }),
        )],
        EngineEvent::MessageChange(IncomingChange::Edited { id: of, body, at }) => vec![(
            "message.edited",
            json!({ "id": id(of), "editedMessageId": session.theirs_of(of), "body": body, "timestamp": at.0.div_euclid(1_000), "fromMe": of.from_me }),
        )],
        EngineEvent::MessageChange(IncomingChange::Revoked { id: of }) => vec![(
            "message.revoked",
            json!({ "before": null, "after": { "id": id(of), "body": "" }, "revokedMessageId": session.theirs_of(of) }),
        )],
        EngineEvent::Typing { chat, from, kind, on } => {
            let word = match (kind, on) {
                (_, false) => "paused",
                (TypingKind::Text, true) => "typing",
                (TypingKind::Audio, true) => "recording",
            };
            vec![(
                "presence.update",
                json!({ "id": chat, "presences": [{ "participant": from, "lastKnownPresence": word }] }),
            )]
        }
        EngineEvent::Presence { contact, online, last_seen } => {
            let presence = json!({ "participant": contact, "lastKnownPresence": if *online { "online" } else { "offline" }, "lastSeen": last_seen.map(|at| at.0.div_euclid(1_000)) });
            vec![("presence.update", json!({ "id": contact, "presences": [presence] }))]
        }
        EngineEvent::Chat { chat, change: ChatChange::Archive(on) } => {
            vec![("chat.archive", json!({ "id": chat, "archived": on, "timestamp": 0 }))]
        }
        EngineEvent::Call { call_id, from, video, status } => {
            let event = match status {
                CallStatus::Ringing => "call.received",
                CallStatus::Accepted => "call.accepted",
                CallStatus::Rejected => "call.rejected",
                CallStatus::Missed | CallStatus::Ended => return Vec::new(),
            };
            vec![(
                event,
                json!({ "id": call_id, "from": from, "timestamp": 0, "isVideo": video, "isGroup": false }),
            )]
        }
        EngineEvent::Groups { groups, complete: false } => groups
            .iter()
            .map(|one| ("group.v2.join", json!({ "timestamp": 0, "group": group(one), "_data": {} })))
            .collect(),
        EngineEvent::GroupChanged { group, change, participants, text, author } => {
            changed(session, group, *change, participants, text.as_deref(), author.as_ref())
        }
        _ => Vec::new(),
    }
}

fn changed(
    session: &Session,
    group: &Jid,
    change: GroupChange,
    participants: &[Participant],
    text: Option<&str>,
    author: Option<&Jid>,
) -> Vec<(&'static str, Value)> {
    let data = json!({ "author": author });
    let is_me = |one: &Participant| Some(&one.id) == session.me_jid().as_ref();
    let kind = match change {
        GroupChange::Add => "join",
        GroupChange::Remove | GroupChange::Leave => "leave",
        GroupChange::Promote => "promote",
        GroupChange::Demote => "demote",
        GroupChange::Subject => {
            return vec![(
                "group.v2.update",
                json!({ "group": { "id": group, "subject": text }, "_data": data }),
            )];
        }
        GroupChange::Description => {
            return vec![(
                "group.v2.update",
                json!({ "group": { "id": group, "description": text }, "_data": data }),
            )];
        }
        GroupChange::Created | GroupChange::Picture | GroupChange::InviteLink => return Vec::new(),
    };
    let people: Vec<Value> = participants.iter().map(participant).collect();
    if participants.iter().any(is_me) {
        return match kind {
            "leave" => vec![("group.v2.leave", json!({ "group": { "id": group }, "_data": data }))],
            "join" => Vec::new(),
            _ => vec![(
                "group.v2.participants",
                json!({ "group": { "id": group }, "type": kind, "participants": people, "_data": data }),
            )],
        };
    }
    vec![(
        "group.v2.participants",
        json!({ "group": { "id": group }, "type": kind, "participants": people, "timestamp": 0, "_data": data }),
    )]
}

/// The number of an ack.
pub fn level(ack: Ack) -> i64 {
    i64::from(ack.level())
}
