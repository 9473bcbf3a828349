//! The fields of `incoming` that describe content other than text.
//!
//! At most one of them is given, and `type` must agree with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::messages::{MAX_OPTION, MAX_OPTIONS};
use crate::domain::content::{ContactCard, Content, Location, Poll};
use crate::domain::media::MediaKind;
use crate::domain::message::MessageType;
use crate::engine::SettingError;
use crate::engine::simulator::content::MAX_BODY;
use crate::engine::simulator::fields::Fields;

/// The largest fake file in bytes.
const MAX_FILE: u64 = 256 << 20;
const MAX_DATA: usize = 8 << 20;
const MAX_CARDS: usize = 257;
const MAX_CARD: usize = 16_384;
const MAX_NAME: usize = 255;
const DESCRIPTIONS: [&str; 5] = ["media", "location", "contact", "contacts", "poll"];

/// The content of a message, whose file is not saved yet.
pub(super) struct DraftContent {
    pub(super) content: Content,
    pub(super) file: Option<Draft>,
}

/// A described file.
pub(super) struct Draft {
    pub(super) kind: Option<MediaKind>,
    pub(super) filename: Option<String>,
    pub(super) caption: Option<String>,
    pub(super) bytes: DraftBytes,
}

pub(super) enum DraftBytes {
    /// The bytes of the request.
    Given(Vec<u8>),
    /// Bytes that are generated on delivery.
    Fake { mimetype: String, size: u64 },
}

/// Reads `type`, `media`, `location`, `contact`, `contacts` and `poll`.
pub(super) fn draft_content(fields: &Fields<'_>) -> Result<DraftContent, SettingError> {
    let kind = match fields.value("type") {
        None => None,
        Some(value) => Some(
            serde_json::from_value::<MessageType>(value.clone())
                .map_err(|_| fields.wrong("type", "must be a message type such as chat or image"))?,
        ),
    };
    let mut given = DESCRIPTIONS.into_iter().filter(|name| fields.value(name).is_some());
    let name = given.next();
    if let Some(second) = given.next() {
        return Err(fields.wrong(second, format!("at most one is allowed: {}", DESCRIPTIONS.join(", "))));
    }
    let (content, file) = match (name, fields.value(name.unwrap_or_default())) {
        (Some("media"), Some(value)) => (Content::Text, Some(media(value, kind)?)),
        (Some("location"), Some(value)) => (Content::Location(location(value)?), None),
        (Some("contact"), Some(value)) => (Content::Contacts(vec![card("contact", value)?]), None),
        (Some("contacts"), Some(_)) => (Content::Contacts(cards(fields)?), None),
        (Some(_), Some(value)) => (Content::Poll(poll(value)?), None),
        _ => (content_of_type(fields, kind)?, None),
    };
    let fits = file.is_some() || kind.is_none_or(|kind| kind == content.message_type());
    if !fits {
        return Err(fields.wrong("type", format!("does not agree with {}", name.unwrap_or("body"))));
    }
    Ok(DraftContent { content, file })
}

/// The content of a type without a description.
fn content_of_type(fields: &Fields<'_>, kind: Option<MessageType>) -> Result<Content, SettingError> {
    let missing = match kind {
        None | Some(MessageType::Chat) => return Ok(Content::Text),
        Some(kind @ (MessageType::CallLog | MessageType::Unknown)) => return Ok(Content::Other(kind)),
        Some(MessageType::Revoked) => {
            return Err(fields.wrong("type", "cannot be revoked; use the request revoke"));
        }
        Some(MessageType::Location) => "location",
        Some(MessageType::Vcard) => "contact",
        Some(MessageType::PollCreation) => "poll",
        Some(
            MessageType::Image
            | MessageType::Video
            | MessageType::Audio
            | MessageType::Ptt
            | MessageType::Document
            | MessageType::Sticker,
        ) => "media",
    };
    Err(fields.wrong(missing, "is required for this type"))
}

fn media(value: &Value, kind: Option<MessageType>) -> Result<Draft, SettingError> {
    let names =
        ["data", "mimetype", "filename", "caption", "asVoice", "asSticker", "asDocument", "sizeBytes"];
    let fields = Fields::nested("media".to_owned(), value, &names)?;
    let mimetype = fields.text("mimetype", MAX_NAME)?;
    let caption = fields.text("caption", MAX_BODY)?.map(str::to_owned);
    let filename = fields.text("filename", MAX_NAME)?.map(str::to_owned);
    let claimed = mimetype.map(MediaKind::of_mimetype);
    let kind = named_kind(&fields, kind)?.or(claimed);
    let size = fields.integer("sizeBytes", 1..=MAX_FILE)?;
    let bytes = match (size, fields.text("data", MAX_DATA)?) {
        (Some(_), Some(_)) => return Err(fields.wrong("sizeBytes", "is for files without data")),
        (None, None) => return Err(fields.wrong("data", "is required, or sizeBytes in its place")),
        (Some(size), None) => {
            let mimetype = mimetype.unwrap_or("application/octet-stream").to_owned();
            DraftBytes::Fake { mimetype, size }
        }
        (None, Some(data)) => {
            let bytes = STANDARD.decode(data).map_err(|_| fields.wrong("data", "must be base64"))?;
            DraftBytes::Given(bytes)
        }
    };
    Ok(Draft { kind, filename, caption, bytes })
}

/// The kind of file that the type or a flag names.
fn named_kind(fields: &Fields<'_>, kind: Option<MessageType>) -> Result<Option<MediaKind>, SettingError> {
    let of_type = match kind {
        None => None,
        Some(MessageType::Image) => Some(MediaKind::Image),
        Some(MessageType::Video) => Some(MediaKind::Video),
        Some(MessageType::Audio) => Some(MediaKind::Audio),
        Some(MessageType::Ptt) => Some(MediaKind::Ptt),
        Some(MessageType::Document) => Some(MediaKind::Document),
        Some(MessageType::Sticker) => Some(MediaKind::Sticker),
        Some(_) => {
            return Err(SettingError { field: "type".to_owned(), message: "has no media".to_owned() });
        }
    };
    let flags =
        [("asVoice", MediaKind::Ptt), ("asSticker", MediaKind::Sticker), ("asDocument", MediaKind::Document)];
    let mut found = of_type;
    for (name, kind) in flags {
        if !fields.flag(name)?.unwrap_or(false) {
            continue;
        }
        if found.is_some_and(|found| found != kind) {
            return Err(fields.wrong(name, "does not agree with the type"));
        }
        found = Some(kind);
    }
    Ok(found)
}

fn location(value: &Value) -> Result<Location, SettingError> {
    let fields = Fields::nested("location".to_owned(), value, &["latitude", "longitude", "description"])?;
    Ok(Location {
        latitude: fields.required("latitude", fields.number("latitude", -90.0..=90.0)?)?,
        longitude: fields.required("longitude", fields.number("longitude", -180.0..=180.0)?)?,
        description: fields.text("description", MAX_NAME)?.map(str::to_owned),
    })
}

fn cards(fields: &Fields<'_>) -> Result<Vec<ContactCard>, SettingError> {
    let values = fields.list("contacts", MAX_CARDS)?.unwrap_or_default();
    if values.is_empty() {
        return Err(fields.wrong("contacts", "must have at least one"));
    }
    values.iter().enumerate().map(|(at, value)| card(&format!("contacts[{at}]"), value)).collect()
}

/// `{ displayName, vcard }`, or a `number` in place of the card.
fn card(path: &str, value: &Value) -> Result<ContactCard, SettingError> {
    let fields = Fields::nested(path.to_owned(), value, &["displayName", "vcard", "number"])?;
    let display_name = fields.required("displayName", fields.text("displayName", MAX_NAME)?)?.to_owned();
    if let Some(vcard) = fields.text("vcard", MAX_CARD)? {
        return Ok(ContactCard { display_name, vcard: vcard.to_owned() });
    }
    let number = fields.jid("number")?;
    let digits = number.as_ref().and_then(|jid| jid.phone());
    let digits = digits.ok_or_else(|| fields.wrong("vcard", "is required, or a phone number in number"))?;
    let vcard = format!(
        "BEGIN:VCARD\nVERSION:3.0\nFN:{display_name}\nTEL;type=CELL;waid={digits}:+{digits}\nEND:VCARD"
    );
    Ok(ContactCard { display_name, vcard })
}

fn poll(value: &Value) -> Result<Poll, SettingError> {
    let fields = Fields::nested("poll".to_owned(), value, &["name", "options", "allowMultipleAnswers"])?;
    let name = fields.required("name", fields.text("name", MAX_NAME)?)?.to_owned();
    let options = fields.texts("options", MAX_OPTIONS, MAX_OPTION)?;
    if options.len() < 2 {
        return Err(fields.wrong("options", format!("must have 2 to {MAX_OPTIONS} answers")));
    }
    if options.iter().enumerate().any(|(at, option)| options.iter().take(at).any(|other| other == option)) {
        return Err(fields.wrong("options", "must differ from each other"));
    }
    let allow_multiple_answers = fields.flag("allowMultipleAnswers")?.unwrap_or(false);
    Ok(Poll { name, options, allow_multiple_answers, votes: Vec::new() })
}
