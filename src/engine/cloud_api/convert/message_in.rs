//! Converts inbound messages.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::ids::{self, MessageAliases};
use super::status_in::time;
use super::vcards;
use super::wire::{Contact, Context, File, Message};
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::content::{Content, Location};
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::media::{MediaHash, MediaKind};
use crate::domain::message::MessageType;
use crate::engine::relay::lenient;
use crate::engine::{EngineEvent, Incoming, IncomingChange, Quoted};

/// The result of converting a message of a callback.
#[derive(Debug, PartialEq)]
pub(in super::super) enum CloudEvent {
    /// A message, with its file where that is still at Meta.
    Message(Box<Incoming>, Option<RemoteFile>),
    /// A change of another message.
    Change(EngineEvent),
}

/// A file at Meta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct RemoteFile {
    pub(in super::super) id: String,
    pub(in super::super) kind: MediaKind,
    pub(in super::super) filename: Option<String>,
    /// Meta's digest.
    pub(in super::super) sha256: Option<String>,
}

/// The context of a message.
pub(in super::super) struct MessageContext<'a> {
    /// The authors.
    pub(in super::super) contacts: &'a [Contact],
    pub(in super::super) aliases: &'a MessageAliases,
    pub(in super::super) me: &'a Jid,
    /// Replaces a missing time.
    pub(in super::super) now: Millis,
}

/// People with both a number and a business-scoped id.
pub(in super::super) fn identities(contacts: &[Contact]) -> Vec<ContactUpdate> {
    let both = contacts.iter().filter_map(|contact| {
        let id = ids::number(contact.wa_id.as_deref()?)?;
        let lid = ids::hidden(contact.user_id.as_deref()?)?;
        Some(ContactUpdate { lid: Some(lid), pushname: contact.name(), ..ContactUpdate::seen(id) })
    });
    both.collect()
}

/// Meta's ids of other messages that a message refers to.
pub(in super::super) fn referenced_ids(message: &Message) -> Vec<String> {
    let part = |of: &str, name: &str| lenient::as_text(message.parts.get(of)?.get(name)?);
    let answered = message.context().id;
    let reacted = part("reaction", "message_id");
    let original = part(&message.kind, "original_message_id");
    [answered, reacted, original].into_iter().flatten().collect()
}

/// Converts a message; `None` where it has no author.
pub(in super::super) fn event(message: &Message, context: &MessageContext<'_>) -> Option<CloudEvent> {
    let other = if is_echo(message, context) {
        ids::person(message.to.as_deref(), message.to_user_id.as_deref())
    } else {
        ids::person(message.from.as_deref(), message.from_user_id.as_deref())
    };
    let group = message.group_id.as_deref().and_then(ids::group);
    let (chat, from_me) = (group.or_else(|| other.clone())?, is_echo(message, context));
    let from = if from_me { context.me.clone() } else { other? };
    let at = time(message.timestamp.as_ref(), context.now);
    if let Some(event) = change(message, &chat, &from, from_me, at, context) {
        return Some(CloudEvent::Change(event));
    }
    let network_id = network_id(&message.id)?;
    let (body, content, file) = content(message);
    let reply = message.context();
    let incoming = Incoming {
        from_me,
        content,
        quoted: quoted(&reply, &chat, context),
        forwarded: reply.forwarded || reply.frequently_forwarded,
        notify_name: name_of(context.contacts, message).filter(|_| !from_me),
        ..Incoming::text(network_id, chat, from, body, at)
    };
    Some(CloudEvent::Message(Box::new(incoming), file))
}

/// The network id of a message: Meta's id, or its digest where that is too long, so that no message is lost.
fn network_id(wamid: &str) -> Option<NetworkId> {
    if wamid.is_empty() {
        return None;
    }
    let digest = || MediaHash::of_digest(&Sha256::digest(wamid).into()).to_string();
    wamid.parse().or_else(|_| digest().parse()).ok()
}

/// Whether this account wrote the message on its phone.
fn is_echo(message: &Message, context: &MessageContext<'_>) -> bool {
    message.to.is_some() && message.from.as_deref().and_then(ids::number).as_ref() == Some(context.me)
}

fn name_of(contacts: &[Contact], message: &Message) -> Option<String> {
    let same = |of: &Option<String>, as_in: &Option<String>| of.is_some() && of == as_in;
    let who = contacts
        .iter()
        .find(|contact| same(&contact.wa_id, &message.from) || same(&contact.user_id, &message.from_user_id));
    who?.name()
}

/// Converts reactions, edits and revocations.
fn change(
    message: &Message,
    chat: &Jid,
    from: &Jid,
    from_me: bool,
    at: Millis,
    context: &MessageContext<'_>,
) -> Option<EngineEvent> {
    let part = message.parts.get(&message.kind)?;
    let text = |name: &str| part.get(name).and_then(lenient::as_text);
    let theirs = |wamid: &str| {
        let participant = (chat.is_group() && !from_me).then(|| from.clone());
        message_id(wamid, chat, from_me, participant, context)
    };
    match message.kind.as_str() {
        "reaction" => {
            let wamid = text("message_id")?;
            // A reaction to one of our messages, or to an inbound one.
            let id = message_id(&wamid, chat, false, chat.is_group().then(|| from.clone()), context)?;
            let emoji = text("emoji").unwrap_or_default();
            Some(EngineEvent::MessageChange(IncomingChange::Reaction {
                id,
                from: from.clone(),
                from_me,
                emoji,
                at,
            }))
        }
        "edit" => {
            let changed = part.get("message")?;
            let kind = changed.get("type").and_then(Value::as_str).unwrap_or("text");
            let inside = changed.get(kind)?;
            let body = inside.get("body").or_else(|| inside.get("caption"))?.as_str()?.to_owned();
            Some(EngineEvent::MessageChange(IncomingChange::Edited {
                id: theirs(&text("original_message_id")?)?,
                body,
                at,
            }))
        }
        "revoke" => Some(EngineEvent::MessageChange(IncomingChange::Revoked {
            id: theirs(&text("original_message_id")?)?,
        })),
        _ => None,
    }
}

/// The message with this id: one of ours where there is an alias, else as described.
fn message_id(
    wamid: &str,
    chat: &Jid,
    from_me: bool,
    participant: Option<Jid>,
    context: &MessageContext<'_>,
) -> Option<MessageId> {
    if let Some(ours) = context.aliases.get(wamid) {
        return Some(ours.clone());
    }
    Some(MessageId { from_me, chat: chat.clone(), network: network_id(wamid)?, participant })
}

fn quoted(reply: &Context, chat: &Jid, context: &MessageContext<'_>) -> Option<Quoted> {
    let wamid = reply.id.as_deref()?;
    let author = ids::person(reply.from.as_deref(), reply.from_user_id.as_deref());
    let ours = author.as_ref() == Some(context.me);
    let by = author.clone().filter(|_| chat.is_group() && !ours);
    let id = message_id(wamid, chat, ours, by, context)?;
    let author = if id.from_me { context.me.clone() } else { author.unwrap_or_else(|| chat.clone()) };
    Some(Quoted { id, author, body: String::new() })
}

/// The text, the content, and the file at Meta.
fn content(message: &Message) -> (String, Content, Option<RemoteFile>) {
    let nothing = Value::Object(Map::new());
    let part = message.parts.get(&message.kind).unwrap_or(&nothing);
    let text = |name: &str| part.get(name).and_then(lenient::as_text);
    let as_text = |body: Option<String>| match body {
        Some(body) => (body, Content::Text, None),
        None => unknown(String::new()),
    };
    match message.kind.as_str() {
        "text" => as_text(text("body")),
        "button" => as_text(text("text")),
        "interactive" => as_text(chosen(part)),
        "location" => match location(part) {
            Some(place) => (String::new(), Content::Location(place), None),
            None => unknown(String::new()),
        },
        "contacts" => match part.as_array().map(Vec::as_slice) {
            None | Some([]) => unknown(String::new()),
            Some(cards) => {
                (String::new(), Content::Contacts(cards.iter().map(vcards::from_graph).collect()), None)
            }
        },
        "image" => file(part, MediaKind::Image),
        "video" => file(part, MediaKind::Video),
        "audio" => file(part, MediaKind::Audio),
        "sticker" => file(part, MediaKind::Sticker),
        "document" => file(part, MediaKind::Document),
        "system" => unknown(text("body").unwrap_or_default()),
        // Orders, and types that the API does not support, such as polls.
        _ => unknown(text("text").unwrap_or_default()),
    }
}

fn unknown(body: String) -> (String, Content, Option<RemoteFile>) {
    (body, Content::Other(MessageType::Unknown), None)
}

/// The chosen button or list entry, or the form that was filled in.
fn chosen(part: &Value) -> Option<String> {
    let kinds = [("button_reply", "title"), ("list_reply", "title"), ("nfm_reply", "response_json")];
    kinds.iter().find_map(|(kind, name)| lenient::as_text(part.get(kind)?.get(name)?))
}

fn location(part: &Value) -> Option<Location> {
    let degrees = |name: &str| part.get(name).and_then(Value::as_f64);
    let words = |name: &str| part.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let description = match (words("name"), words("address")) {
        (Some(name), Some(address)) => Some(format!("{name}, {address}")),
        (one, other) => one.or(other).map(str::to_owned),
    };
    Some(Location { latitude: degrees("latitude")?, longitude: degrees("longitude")?, description })
}

/// A file: until it is downloaded, the content is its type only.
fn file(part: &Value, kind: MediaKind) -> (String, Content, Option<RemoteFile>) {
    let File { id, caption, filename, sha256, voice } =
        serde_json::from_value(part.clone()).unwrap_or_default();
    let kind = if voice && kind == MediaKind::Audio { MediaKind::Ptt } else { kind };
    let remote = id.map(|id| RemoteFile { id, kind, filename, sha256 });
    (caption.unwrap_or_default(), Content::Other(kind.message_type()), remote)
}
