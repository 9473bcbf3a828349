//! Converts outbound messages to the Graph API's bodies.

use serde_json::{Value, json};

use super::ids::Recipient;
use super::vcards;
use crate::domain::content::{Attachment, Content, Location, Template};
use crate::domain::media::MediaKind;
use crate::engine::Outgoing;

/// In characters.
pub(super) const MAX_TEXT: usize = 4_096;
const MAX_CAPTION: usize = 1_024;

/// Meta's ids of what a message refers to.
pub(in super::super) struct MessageRefs {
    pub(in super::super) file: Option<String>,
    pub(in super::super) quoted: Option<String>,
}

/// Why a message has no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum BodyError {
    NotSupported,
    /// The text or caption is too long.
    TooLong,
}

/// The body of `POST …/messages`.
pub(in super::super) fn body(
    message: &Outgoing,
    recipient: &Recipient,
    refs: &MessageRefs,
) -> Result<Value, BodyError> {
    let (kind, part) = part(message, refs.file.as_deref())?;
    let mut body = addressed(recipient);
    body["type"] = kind.into();
    body[kind] = part;
    // Repeated by Meta in each status.
    body["biz_opaque_callback_data"] = message.id.to_string().into();
    if let Some(quoted) = &refs.quoted {
        body["context"] = json!({ "message_id": quoted });
    }
    Ok(body)
}

/// The body of a reaction; an empty emoji removes it.
pub(in super::super) fn reaction(recipient: &Recipient, wamid: &str, emoji: &str) -> Value {
    let mut body = addressed(recipient);
    body["type"] = "reaction".into();
    body["reaction"] = json!({ "message_id": wamid, "emoji": emoji });
    body
}

/// The body of a read receipt; `typing` also shows typing for 25 s.
pub(in super::super) fn read(wamid: &str, typing: bool) -> Value {
    let mut body = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": wamid });
    if typing {
        body["typing_indicator"] = json!({ "type": "text" });
    }
    body
}

fn addressed(recipient: &Recipient) -> Value {
    let (kind, field, to) = match recipient {
        Recipient::Number(number) => ("individual", "to", number),
        Recipient::User(user) => ("individual", "recipient", user),
        Recipient::Group(group) => ("group", "to", group),
    };
    json!({ "messaging_product": "whatsapp", "recipient_type": kind, field: to })
}

fn part(message: &Outgoing, file: Option<&str>) -> Result<(&'static str, Value), BodyError> {
    let longest = match message.content {
        // Meta has the text of a template; ours is only shown here.
        Content::Template(_) => usize::MAX,
        Content::Text => MAX_TEXT,
        _ => MAX_CAPTION,
    };
    if message.body.chars().count() > longest {
        return Err(BodyError::TooLong);
    }
    Ok(match &message.content {
        Content::Text => ("text", json!({ "body": message.body, "preview_url": has_link(&message.body) })),
        Content::Media(attachment) => media(attachment, file.ok_or(BodyError::NotSupported)?, &message.body),
        Content::Location(place) => ("location", location(place)),
        Content::Contacts(cards) => {
            ("contacts", cards.iter().map(vcards::to_graph).collect::<Vec<Value>>().into())
        }
        Content::Template(chosen) => ("template", template(chosen)),
        Content::Poll(_) | Content::Other(_) => return Err(BodyError::NotSupported),
    })
}

/// Meta shows a link preview only on request.
fn has_link(body: &str) -> bool {
    body.contains("https://") || body.contains("http://")
}

fn media(attachment: &Attachment, file: &str, caption: &str) -> (&'static str, Value) {
    let mut part = json!({ "id": file });
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
            if let Some(name) = &attachment.filename {
                part["filename"] = name.as_str().into();
            }
            "document"
        }
    };
    if !caption.is_empty() && matches!(kind, "image" | "video" | "document") {
        part["caption"] = caption.into();
    }
    (kind, part)
}

fn template(chosen: &Template) -> Value {
    let mut part = json!({ "name": chosen.name, "language": { "code": chosen.language } });
    if !chosen.components.is_empty() {
        part["components"] = chosen.components.as_slice().into();
    }
    part
}

fn location(place: &Location) -> Value {
    let mut part = json!({ "latitude": place.latitude, "longitude": place.longitude });
    if let Some(name) = &place.description {
        part["name"] = name.as_str().into();
    }
    part
}
