//! Parses decrypted messages as a phone does: messages to show, or changes to earlier ones. Pure.

use serde_json::{Map, Value, json};
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use super::outbound::{Card, Location};
use crate::id::Id;

/// A decrypted message.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// A message to show: its text and other content, as the control API writes it.
    Message(String, Map<String, Value>),
    /// A change to an earlier message.
    Change(Change),
    /// A message for the phone only.
    Ignored,
}

/// A change and its message.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The changed message.
    pub key: wa::MessageKey,
    /// The kind of change.
    pub what: What,
}

/// A change to a message.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A new text, or a new caption.
    Edit(Edited),
    /// An emoji; empty removes the reaction.
    React(String),
    /// The message is revoked.
    Revoke,
    /// An encrypted vote: payload and initialisation vector.
    Vote(Vec<u8>, Vec<u8>),
}

/// An edited text or caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The text.
    pub body: String,
    /// The type of file, for a caption.
    pub caption_of: Option<&'static str>,
    /// The network id of the quoted message.
    pub quoted: Option<String>,
    /// The mentioned people.
    pub mentions: Vec<String>,
}

/// Resolves an id of the wire to an id of the control API.
pub type IdResolver<'a> = &'a dyn Fn(&Id) -> Id;

/// Parses a message.
#[must_use]
pub fn parse(message: &wa::Message, name: IdResolver<'_>) -> Received {
    let message = inner(message);
    if let Some(change) = change(message) {
        return Received::Change(change);
    }
    match parse_content(message, name) {
        Some((body, rich)) => Received::Message(body, rich),
        None => Received::Ignored,
    }
}

/// The innermost message.
#[must_use]
pub fn inner(message: &wa::Message) -> &wa::Message {
    if let Some(sent) = message.device_sent_message.as_option().and_then(|sent| sent.message.as_option()) {
        return inner(sent);
    }
    let envelopes = [
        &message.ephemeral_message,
        &message.view_once_message,
        &message.view_once_message_v2,
        &message.view_once_message_v2_extension,
        &message.document_with_caption_message,
        &message.edited_message,
    ];
    let found = envelopes.into_iter().find_map(|envelope| envelope.as_option()?.message.as_option());
    found.map_or(message, inner)
}

fn change(message: &wa::Message) -> Option<Change> {
    if let Some(reaction) = message.reaction_message.as_option() {
        let emoji = reaction.text.clone().unwrap_or_default();
        return Some(Change { key: reaction.key.as_option()?.clone(), what: What::React(emoji) });
    }
    if let Some(update) = message.poll_update_message.as_option() {
        let vote = update.vote.as_option()?;
        let what = What::Vote(vote.enc_payload.clone()?, vote.enc_iv.clone()?);
        return Some(Change { key: update.poll_creation_message_key.as_option()?.clone(), what });
    }
    let protocol = message.protocol_message.as_option()?;
    let key = protocol.key.as_option()?.clone();
    match protocol.r#type? {
        wa::message::protocol_message::Type::REVOKE => Some(Change { key, what: What::Revoke }),
        wa::message::protocol_message::Type::MESSAGE_EDIT => {
            let edited = inner(protocol.edited_message.as_option()?);
            Some(Change { key, what: What::Edit(read_edit(edited)) })
        }
        _ => None,
    }
}

fn read_edit(message: &wa::Message) -> Edited {
    let image = message.image_message.as_option().map(|file| ("image", file.context_info.as_option()));
    let video = message.video_message.as_option().map(|file| ("video", file.context_info.as_option()));
    let document =
        message.document_message.as_option().map(|file| ("document", file.context_info.as_option()));
    let file = image.or(video).or(document);
    let text_context =
        message.extended_text_message.as_option().and_then(|text| text.context_info.as_option());
    let context = file.map_or(text_context, |(_, context)| context);
    Edited {
        body: text(message),
        caption_of: file.map(|(kind, _)| kind),
        quoted: context.and_then(|context| context.stanza_id.clone()),
        mentions: context.map(|context| context.mentioned_jid.clone()).unwrap_or_default(),
    }
}

/// The text or the caption.
fn text(message: &wa::Message) -> String {
    let captions = [
        message.conversation.as_ref(),
        message.extended_text_message.as_option().and_then(|text| text.text.as_ref()),
        message.image_message.as_option().and_then(|file| file.caption.as_ref()),
        message.video_message.as_option().and_then(|file| file.caption.as_ref()),
        message.document_message.as_option().and_then(|file| file.caption.as_ref()),
        message.location_message.as_option().and_then(|place| place.comment.as_ref()),
    ];
    captions.into_iter().flatten().next().cloned().unwrap_or_default()
}

fn parse_content(message: &wa::Message, name: IdResolver<'_>) -> Option<(String, Map<String, Value>)> {
    let mut rich = Map::new();
    let context = content(message, &mut rich)?;
    if let Some(context) = context {
        if let Some(id) = &context.stanza_id {
            rich.insert("quotedNetworkId".to_owned(), json!(id));
        }
        let mentions: Vec<String> =
            context.mentioned_jid.iter().map(|mentioned| named(mentioned, name)).collect();
        if !mentions.is_empty() {
            rich.insert("mentions".to_owned(), json!(mentions));
        }
        if context.is_forwarded == Some(true) {
            rich.insert("forwarded".to_owned(), json!(true));
        }
    }
    Some((text(message), rich))
}

fn named(jid: &str, name: IdResolver<'_>) -> String {
    jid.parse::<Jid>()
        .ok()
        .and_then(|jid| Id::of(&jid))
        .map_or_else(|| jid.to_owned(), |id| name(&id).to_string())
}

/// Inserts type and content; returns the context, if there is one. `None` if there is nothing to show.
fn content<'m>(
    message: &'m wa::Message,
    rich: &mut Map<String, Value>,
) -> Option<Option<&'m wa::ContextInfo>> {
    let mut put = |kind: &str, more: Option<(&str, Value)>| {
        rich.insert("type".to_owned(), json!(kind));
        rich.extend(more.map(|(name, value)| (name.to_owned(), value)));
    };
    if message.conversation.is_some() {
        put("chat", None);
        return Some(None);
    }
    if let Some(text) = message.extended_text_message.as_option() {
        put("chat", None);
        return Some(text.context_info.as_option());
    }
    if let Some(place) = message.location_message.as_option() {
        let (Some(latitude), Some(longitude)) = (place.degrees_latitude, place.degrees_longitude) else {
            return None;
        };
        let place_json = json!(Location { latitude, longitude, description: place.name.clone() });
        put("location", Some(("location", place_json)));
        return Some(place.context_info.as_option());
    }
    if let Some(card) = message.contact_message.as_option() {
        put("vcard", Some(("contacts", json!([read_card(card)]))));
        return Some(card.context_info.as_option());
    }
    if let Some(several) = message.contacts_array_message.as_option() {
        let cards: Vec<Card> = several.contacts.iter().map(read_card).collect();
        put("vcard", Some(("contacts", json!(cards))));
        return Some(several.context_info.as_option());
    }
    if let Some(poll) = question(message) {
        let options: Vec<&str> =
            poll.options.iter().filter_map(|option| option.option_name.as_deref()).collect();
        let several = poll.selectable_options_count != Some(1);
        let poll_json = json!({
            "name": poll.name, "options": options, "allowMultipleAnswers": several, "votes": [],
        });
        put("poll_creation", Some(("poll", poll_json)));
        return Some(poll.context_info.as_option());
    }
    file(message).map(|(kind, file, context)| {
        put(kind, Some(("media", file)));
        context
    })
}

/// The options of a poll.
#[must_use]
pub fn options(message: &wa::Message) -> Option<Vec<String>> {
    let poll = question(inner(message))?;
    Some(poll.options.iter().filter_map(|option| option.option_name.clone()).collect())
}

fn question(message: &wa::Message) -> Option<&wa::message::PollCreationMessage> {
    let polls = [
        &message.poll_creation_message,
        &message.poll_creation_message_v2,
        &message.poll_creation_message_v3,
        &message.poll_creation_message_v5,
    ];
    polls.into_iter().find_map(|poll| poll.as_option())
}

fn read_card(card: &wa::message::ContactMessage) -> Card {
    Card {
        display_name: card.display_name.clone().unwrap_or_default(),
        vcard: card.vcard.clone().unwrap_or_default(),
    }
}

fn file(message: &wa::Message) -> Option<(&'static str, Value, Option<&wa::ContextInfo>)> {
    let file = |mimetype: &Option<String>, sha256: &Option<Vec<u8>>, length: Option<u64>, kind: &str| {
        json!({
            "sha256": hex(sha256.as_deref().unwrap_or_default()),
            "filesize": length.unwrap_or_default(),
            "mimetype": mimetype,
            "asVoice": kind == "ptt",
            "asSticker": kind == "sticker",
            "asDocument": kind == "document",
        })
    };
    if let Some(it) = message.image_message.as_option() {
        let mut value = file(&it.mimetype, &it.file_sha256, it.file_length, "image");
        put_size(&mut value, it.width, it.height);
        value["thumbnailBytes"] = json!(it.jpeg_thumbnail.as_ref().map_or(0, Vec::len));
        return Some(("image", value, it.context_info.as_option()));
    }
    if let Some(it) = message.video_message.as_option() {
        let mut value = file(&it.mimetype, &it.file_sha256, it.file_length, "video");
        put_size(&mut value, it.width, it.height);
        put_duration(&mut value, it.seconds);
        return Some(("video", value, it.context_info.as_option()));
    }
    if let Some(it) = message.audio_message.as_option() {
        let kind = if it.ptt == Some(true) { "ptt" } else { "audio" };
        let mut value = file(&it.mimetype, &it.file_sha256, it.file_length, kind);
        put_duration(&mut value, it.seconds);
        return Some((kind, value, it.context_info.as_option()));
    }
    if let Some(it) = message.sticker_message.as_option() {
        let mut value = file(&it.mimetype, &it.file_sha256, it.file_length, "sticker");
        put_size(&mut value, it.width, it.height);
        return Some(("sticker", value, it.context_info.as_option()));
    }
    let it = message.document_message.as_option()?;
    let mut value = file(&it.mimetype, &it.file_sha256, it.file_length, "document");
    if let (Value::Object(map), Some(name)) = (&mut value, &it.file_name) {
        map.insert("filename".to_owned(), json!(name));
    }
    Some(("document", value, it.context_info.as_option()))
}

fn put_size(value: &mut Value, width: Option<u32>, height: Option<u32>) {
    if let (Value::Object(map), Some(width), Some(height)) = (value, width, height) {
        map.insert("dimensions".to_owned(), json!({ "width": width, "height": height }));
    }
}

fn put_duration(value: &mut Value, seconds: Option<u32>) {
    if let (Value::Object(map), Some(seconds)) = (value, seconds) {
        map.insert("duration".to_owned(), json!(f64::from(seconds)));
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
