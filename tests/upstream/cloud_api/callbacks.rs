//! Converts events of the network to Meta's callbacks.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wharf::domain::ack::Ack;
use wharf::domain::content::Content;
use wharf::domain::device::Account;
use wharf::domain::event::CallStatus;
use wharf::domain::ids::MessageId;
use wharf::domain::jid::{Jid, JidKind};
use wharf::domain::media::MediaKind;
use wharf::engine::{EngineEvent, Incoming, IncomingChange, IncomingReceipt, SessionEnd};

use super::State;
use super::delivery;
use super::number::Number;

/// How long the API is down after the network dropped a link.
const DOWN: Duration = Duration::from_millis(1_500);

/// Connects a number to the network until the test ends; returns once it is connected.
pub async fn follow(state: Arc<State>, number: Arc<Number>) {
    let following = Arc::clone(&number);
    #[expect(clippy::disallowed_methods, reason = "it ends with its test")]
    tokio::spawn(async move { connected(&state, &following).await });
    number.session().await;
}

async fn connected(state: &State, number: &Arc<Number>) {
    loop {
        let mut link = number.account.connect().await;
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut link.ended => break ended,
                Some(pending) = link.events.recv() => {
                    if let EngineEvent::Opened(account) = &pending.event {
                        *number.me.lock().unwrap() = Some(account.clone());
                        number.session.send_replace(Some(Arc::clone(&link.session)));
                    }
                    for (field, value) in changes(number, &pending.event) {
                        delivery::until_taken(state, number, field, value).await;
                    }
                    pending.taken();
                }
            }
        };
        match ended {
            Ok(SessionEnd::LinkLost(_) | SessionEnd::LoggedOut(_)) => {
                number.down.send_replace(true);
                tokio::time::sleep(DOWN).await;
                number.down.send_replace(false);
            }
            // The number was prepared again, or the network has ended.
            _ => return,
        }
    }
}

/// The number in the form of `display_phone_number`.
pub fn display_number(number: &Number) -> String {
    let digits = me(number).map(|account| account.phone_number).unwrap_or_default();
    match digits.split_at_checked(4) {
        Some((country, rest)) => format!("+{} {}-{rest}", &country[..1], &country[1..]),
        None => digits,
    }
}

/// The chat and the id of a delivered message, by Meta's id.
pub fn delivered(number: &Number, wamid: &str) -> Option<(Jid, MessageId)> {
    number.delivered.lock().unwrap().get(wamid).map(|id| (id.chat.clone(), id.clone()))
}

fn me(number: &Number) -> Option<Account> {
    number.me.lock().unwrap().clone()
}

/// The changes of an event, each with its field; Meta has no callbacks for some events.
fn changes(number: &Number, event: &EngineEvent) -> Vec<(&'static str, Value)> {
    match event {
        EngineEvent::Message(message) => vec![message_change(number, message)],
        EngineEvent::Receipt(receipt) => vec![("messages", json!({ "statuses": [status(number, receipt)] }))],
        EngineEvent::MessageChange(IncomingChange::Reaction { id, from, from_me, emoji, at }) => {
            let part = json!({ "message_id": wamid_of(number, id), "emoji": emoji });
            vec![about(number, "reaction", &part, id, from, *from_me, at.0)]
        }
        EngineEvent::MessageChange(IncomingChange::Edited { id, body, at }) => {
            let part = json!({ "original_message_id": wamid_of(number, id),
                "message": { "type": "text", "text": { "body": body } } });
            vec![about(number, "edit", &part, id, author_of(id), id.from_me, at.0)]
        }
        EngineEvent::MessageChange(IncomingChange::Revoked { id }) => {
            let part = json!({ "original_message_id": wamid_of(number, id) });
            vec![about(number, "revoke", &part, id, author_of(id), id.from_me, 1_700_000_000_000)]
        }
        EngineEvent::Call { call_id, from, status, .. } => call(number, call_id, from, *status),
        _ => Vec::new(),
    }
}

fn author_of(id: &MessageId) -> &Jid {
    id.participant.as_ref().unwrap_or(&id.chat)
}

fn wamid_of(number: &Number, id: &MessageId) -> String {
    let along = number.along.lock().unwrap().get(id).map(|along| along.wamid.clone());
    along.unwrap_or_else(|| id.network.to_string())
}

/// Adds a person: by number, or by business-scoped id.
fn name(value: &mut Value, field: &str, who: &Jid) {
    match who.kind() {
        JidKind::Lid => value[format!("{field}_user_id")] = format!("US.{}", who.user()).into(),
        _ => value[field] = who.user().into(),
    }
}

fn addressed(number: &Number, message: &mut Value, chat: &Jid, from: &Jid, from_me: bool) -> &'static str {
    if from_me {
        message["from"] = me(number).map(|account| account.phone_number).into();
        name(message, "to", chat);
        return "message_echoes";
    }
    name(message, "from", from);
    if chat.is_group() {
        message["group_id"] = chat.user().into();
    }
    "messages"
}

fn change_of(list: &'static str, message: &Value, contact: Option<Value>) -> (&'static str, Value) {
    let field = if list == "messages" { "messages" } else { "smb_message_echoes" };
    let mut value = json!({ list: [message] });
    if let Some(contact) = contact {
        value["contacts"] = json!([contact]);
    }
    (field, value)
}

fn about(
    number: &Number,
    kind: &str,
    part: &Value,
    id: &MessageId,
    from: &Jid,
    from_me: bool,
    at: i64,
) -> (&'static str, Value) {
    let seconds = (at / 1_000).to_string();
    let mut message = json!({ "id": number.wamid(), "timestamp": seconds, "type": kind, kind: part });
    let list = addressed(number, &mut message, &id.chat, from, from_me);
    change_of(list, &message, None)
}

fn message_change(number: &Number, incoming: &Incoming) -> (&'static str, Value) {
    let (kind, part) = content(number, incoming);
    let seconds = (incoming.timestamp.0 / 1_000).to_string();
    let mut message = json!({ "id": incoming.network_id, "timestamp": seconds, "type": kind, kind: part });
    let list = addressed(number, &mut message, &incoming.chat, &incoming.from, incoming.from_me);
    if let Some(quoted) = &incoming.quoted {
        message["context"] = json!({ "id": wamid_of(number, &quoted.id) });
        name(&mut message["context"], "from", &quoted.author);
    }
    if incoming.forwarded {
        message["context"]["forwarded"] = true.into();
    }
    let participant = (incoming.chat.is_group() && !incoming.from_me).then(|| incoming.from.clone());
    let (from_me, network) = (incoming.from_me, incoming.network_id.clone());
    let id = MessageId { from_me, chat: incoming.chat.clone(), network, participant };
    number.delivered.lock().unwrap().insert(incoming.network_id.to_string(), id);
    let mut contact = json!({ "profile": { "name": incoming.notify_name.clone().unwrap_or_default() } });
    match incoming.from.kind() {
        JidKind::Lid => contact["user_id"] = format!("US.{}", incoming.from.user()).into(),
        _ => contact["wa_id"] = incoming.from.user().into(),
    }
    if incoming.notify_name.is_none() {
        contact["profile"] = json!({});
    }
    change_of(list, &message, Some(contact).filter(|_| !incoming.from_me))
}

fn content(number: &Number, incoming: &Incoming) -> (&'static str, Value) {
    match &incoming.content {
        Content::Text => ("text", json!({ "body": incoming.body })),
        Content::Location(place) => (
            "location",
            json!({ "latitude": place.latitude, "longitude": place.longitude, "name": place.description }),
        ),
        Content::Contacts(cards) => {
            ("contacts", cards.iter().map(|card| card_of(&card.vcard, &card.display_name)).collect())
        }
        Content::Media(attachment) => {
            let (id, file) = (number.file_id(), attachment.file.clone());
            let mut part = json!({ "id": id, "mime_type": file.mimetype, "sha256": file.hash });
            if !incoming.body.is_empty() {
                part["caption"] = incoming.body.clone().into();
            }
            number.files.lock().unwrap().insert(id, file);
            let kind = match attachment.kind {
                MediaKind::Image => "image",
                MediaKind::Video => "video",
                MediaKind::Audio => "audio",
                MediaKind::Ptt => {
                    part["voice"] = true.into();
                    "audio"
                }
                MediaKind::Sticker => "sticker",
                MediaKind::Document => {
                    part["filename"] = attachment.filename.clone().into();
                    "document"
                }
            };
            (kind, part)
        }
        Content::Poll(_) | Content::Template(_) | Content::Other(_) => ("unsupported", json!({})),
    }
}

fn card_of(vcard: &str, name: &str) -> Value {
    let phones: Vec<Value> = vcard
        .lines()
        .filter(|line| line.starts_with("TEL"))
        .filter_map(|line| {
            let (key, phone) = line.split_once(':')?;
            let wa_id = key.split(';').find_map(|part| part.strip_prefix("waid="));
            Some(json!({ "phone": phone, "wa_id": wa_id, "type": "CELL" }))
        })
        .collect();
    json!({ "name": { "formatted_name": name, "first_name": name }, "phones": phones })
}

fn status(number: &Number, receipt: &IncomingReceipt) -> Value {
    let (chat, network) = (receipt.chat.clone(), receipt.network_id.clone());
    let id = MessageId { from_me: true, chat, network, participant: None };
    let along = number.along.lock().unwrap().get(&id).cloned();
    let word = match receipt.ack {
        Ack::Error => "failed",
        Ack::Pending | Ack::Server => "sent",
        Ack::Device => "delivered",
        Ack::Read => "read",
        Ack::Played => "played",
    };
    let wamid = along.as_ref().map_or_else(|| id.network.to_string(), |along| along.wamid.clone());
    let seconds = (receipt.timestamp.0 / 1_000).to_string();
    let mut status = json!({ "id": wamid, "status": word, "timestamp": seconds });
    name(&mut status, "recipient_id", &receipt.chat);
    if let Some(data) = along.and_then(|along| along.data) {
        status["biz_opaque_callback_data"] = data.into();
    }
    if receipt.ack == Ack::Error {
        status["errors"] = json!([{ "code": 131_026, "title": "Message undeliverable",
            "message": "Message undeliverable", "error_data": { "details": "Message Undeliverable." } }]);
    }
    status
}

fn call(_number: &Number, id: &str, from: &Jid, status: CallStatus) -> Vec<(&'static str, Value)> {
    let mut call = json!({ "id": id, "timestamp": "1700000000", "direction": "USER_INITIATED" });
    name(&mut call, "from", from);
    match status {
        CallStatus::Ringing => call["event"] = "connect".into(),
        CallStatus::Ended => {
            call["event"] = "terminate".into();
            call["duration"] = 7.into();
        }
        CallStatus::Missed => call["event"] = "terminate".into(),
        CallStatus::Accepted | CallStatus::Rejected => return Vec::new(),
    }
    vec![("calls", json!({ "calls": [call] }))]
}
