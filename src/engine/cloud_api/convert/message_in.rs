//! Messages of others, as Meta tells them.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::cards;
use super::lenient;
use super::people;
use super::status_in::time;
use super::wire::{Contact, Context, File, Message};
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::content::{Content, Location};
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::media::{MediaHash, MediaKind};
use crate::domain::message::MessageType;
use crate::engine::cloud_api::aliases::Aliases;
use crate::engine::{EngineEvent, Incoming, IncomingChange, Quoted};

/// What there is to tell of a message.
#[derive(Debug, PartialEq)]
pub(in crate::engine::cloud_api) enum News {
    /// It is one, with a file to be fetched where it has one.
    Message(Box<Incoming>, Option<RemoteFile>),
    /// It is about another one.
    About(EngineEvent),
}

/// A file that is at Meta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine::cloud_api) struct RemoteFile {
    /// Meta's id.
    pub(in crate::engine::cloud_api) id: String,
    /// As what it was sent.
    pub(in crate::engine::cloud_api) kind: MediaKind,
    /// What its sender calls it.
    pub(in crate::engine::cloud_api) filename: Option<String>,
    /// Meta's digest of it.
    pub(in crate::engine::cloud_api) sha256: Option<String>,
}

/// What is known besides a message.
pub(in crate::engine::cloud_api) struct Around<'a> {
    /// Who wrote.
    pub(in crate::engine::cloud_api) contacts: &'a [Contact],
    /// Messages of ours, by Meta's names.
    pub(in crate::engine::cloud_api) aliases: &'a Aliases,
    /// Our account.
    pub(in crate::engine::cloud_api) me: &'a Jid,
    /// Where Meta names no time.
    pub(in crate::engine::cloud_api) now: Millis,
}

/// People of whom Meta tells the number and the business-scoped id: they are one.
pub(in crate::engine::cloud_api) fn identities(contacts: &[Contact]) -> Vec<ContactUpdate> {
    let both = contacts.iter().filter_map(|contact| {
        let id = people::number(contact.wa_id.as_deref()?)?;
        let lid = people::hidden(contact.user_id.as_deref()?)?;
        Some(ContactUpdate { lid: Some(lid), pushname: contact.name(), ..ContactUpdate::seen(id) })
    });
    both.collect()
}

/// Meta's names of other messages that a message speaks of.
pub(in crate::engine::cloud_api) fn names(message: &Message) -> Vec<String> {
    let part = |of: &str, name: &str| lenient::as_text(message.parts.get(of)?.get(name)?);
    let answered = message.context().id;
    let reacted = part("reaction", "message_id");
    let original = part(&message.kind, "original_message_id");
    [answered, reacted, original].into_iter().flatten().collect()
}

/// What a message is; `None` where it cannot be told who wrote it.
pub(in crate::engine::cloud_api) fn news(message: &Message, around: &Around<'_>) -> Option<News> {
    let other = if is_echo(message, around) {
        people::person(message.to.as_deref(), message.to_user_id.as_deref())
    } else {
        people::person(message.from.as_deref(), message.from_user_id.as_deref())
    };
    let group = message.group_id.as_deref().and_then(people::group);
    let (chat, from_me) = (group.or_else(|| other.clone())?, is_echo(message, around));
    let from = if from_me { around.me.clone() } else { other? };
    let at = time(message.timestamp.as_ref(), around.now);
    if let Some(event) = about_another(message, &chat, &from, from_me, at, around) {
        return Some(News::About(event));
    }
    let network_id = network_id(&message.id)?;
    let (body, content, file) = content(message);
    let context = message.context();
    let incoming = Incoming {
        from_me,
        content,
        quoted: quoted(&context, &chat, around),
        forwarded: context.forwarded || context.frequently_forwarded,
        notify_name: name_of(around.contacts, message).filter(|_| !from_me),
        ..Incoming::text(network_id, chat, from, body, at)
    };
    Some(News::Message(Box::new(incoming), file))
}

/// The network's id of a message: Meta's name, or its digest where that is too long to be one, so that no message is
/// lost for its name.
fn network_id(wamid: &str) -> Option<NetworkId> {
    if wamid.is_empty() {
        return None;
    }
    let digest = || MediaHash::of_digest(&Sha256::digest(wamid).into()).to_string();
    wamid.parse().or_else(|_| digest().parse()).ok()
}

/// Written by this account on its phone.
fn is_echo(message: &Message, around: &Around<'_>) -> bool {
    message.to.is_some() && message.from.as_deref().and_then(people::number).as_ref() == Some(around.me)
}

fn name_of(contacts: &[Contact], message: &Message) -> Option<String> {
    let same = |of: &Option<String>, as_in: &Option<String>| of.is_some() && of == as_in;
    let who = contacts
        .iter()
        .find(|contact| same(&contact.wa_id, &message.from) || same(&contact.user_id, &message.from_user_id));
    who?.name()
}

/// Reactions, edits and what was taken back.
fn about_another(
    message: &Message,
    chat: &Jid,
    from: &Jid,
    from_me: bool,
    at: Millis,
    around: &Around<'_>,
) -> Option<EngineEvent> {
    let part = message.parts.get(&message.kind)?;
    let text = |name: &str| part.get(name).and_then(lenient::as_text);
    let theirs = |wamid: &str| {
        let participant = (chat.is_group() && !from_me).then(|| from.clone());
        named(wamid, chat, from_me, participant, around)
    };
    match message.kind.as_str() {
        "reaction" => {
            let wamid = text("message_id")?;
            // To one of ours, or to one that came from there.
            let id = named(&wamid, chat, false, chat.is_group().then(|| from.clone()), around)?;
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

/// A message by Meta's name: ours where that is known, else one as described.
fn named(
    wamid: &str,
    chat: &Jid,
    from_me: bool,
    participant: Option<Jid>,
    around: &Around<'_>,
) -> Option<MessageId> {
    if let Some(ours) = around.aliases.get(wamid) {
        return Some(ours.clone());
    }
    Some(MessageId { from_me, chat: chat.clone(), network: network_id(wamid)?, participant })
}

fn quoted(context: &Context, chat: &Jid, around: &Around<'_>) -> Option<Quoted> {
    let wamid = context.id.as_deref()?;
    let author = people::person(context.from.as_deref(), context.from_user_id.as_deref());
    let ours = author.as_ref() == Some(around.me);
    let by = author.clone().filter(|_| chat.is_group() && !ours);
    let id = named(wamid, chat, ours, by, around)?;
    let author = if id.from_me { around.me.clone() } else { author.unwrap_or_else(|| chat.clone()) };
    Some(Quoted { id, author, body: String::new() })
}

/// Text, what it consists of besides, and a file to be fetched.
fn content(message: &Message) -> (String, Content, Option<RemoteFile>) {
    let nothing = Value::Object(Map::new());
    let part = message.parts.get(&message.kind).unwrap_or(&nothing);
    let text = |name: &str| part.get(name).and_then(lenient::as_text);
    let said = |body: Option<String>| match body {
        Some(body) => (body, Content::Text, None),
        None => unknown(String::new()),
    };
    match message.kind.as_str() {
        "text" => said(text("body")),
        "button" => said(text("text")),
        "interactive" => said(chosen(part)),
        "location" => match location(part) {
            Some(place) => (String::new(), Content::Location(place), None),
            None => unknown(String::new()),
        },
        "contacts" => match part.as_array().map(Vec::as_slice) {
            None | Some([]) => unknown(String::new()),
            Some(cards) => {
                (String::new(), Content::Contacts(cards.iter().map(cards::from_graph).collect()), None)
            }
        },
        "image" => file(part, MediaKind::Image),
        "video" => file(part, MediaKind::Video),
        "audio" => file(part, MediaKind::Audio),
        "sticker" => file(part, MediaKind::Sticker),
        "document" => file(part, MediaKind::Document),
        "system" => unknown(text("body").unwrap_or_default()),
        // Orders, and what Meta itself cannot tell, such as polls.
        _ => unknown(text("text").unwrap_or_default()),
    }
}

fn unknown(body: String) -> (String, Content, Option<RemoteFile>) {
    (body, Content::Other(MessageType::Unknown), None)
}

/// What somebody chose of buttons or a list, or filled in.
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

/// Until it was fetched the message is its type without a file.
fn file(part: &Value, kind: MediaKind) -> (String, Content, Option<RemoteFile>) {
    let File { id, caption, filename, sha256, voice } =
        serde_json::from_value(part.clone()).unwrap_or_default();
    let kind = if voice && kind == MediaKind::Audio { MediaKind::Ptt } else { kind };
    let remote = id.map(|id| RemoteFile { id, kind, filename, sha256 });
    (caption.unwrap_or_default(), Content::Other(kind.message_type()), remote)
}
