//! Parses the fields of `incoming` that describe content besides text.

use serde_json::Value;

use super::fields::Fields;
use super::{Refusal, files};
use crate::phone::keys;
use crate::phone::outbound::{Card, Content, Location, PollQuestion};
use crate::server::World;

const MAX_NAME: usize = 255;
const MAX_CARDS: usize = 257;
const MAX_CARD: usize = 16_384;
const MAX_OPTION: usize = 255;
const MAX_OPTIONS: usize = 12;
const DESCRIPTIONS: [&str; 5] = ["media", "location", "contact", "contacts", "poll"];
const TYPES: [&str; 13] = [
    "chat",
    "image",
    "video",
    "audio",
    "ptt",
    "document",
    "sticker",
    "location",
    "vcard",
    "poll_creation",
    "call_log",
    "revoked",
    "unknown",
];

/// Parses `type`, `media`, `location`, `contact`, `contacts` and `poll`.
pub(super) fn content(fields: &Fields<'_>, world: &World) -> Result<Content, Refusal> {
    let kind = fields.word("type", &TYPES)?;
    let mut given = DESCRIPTIONS.into_iter().filter(|name| fields.value(name).is_some());
    let name = given.next();
    if let Some(second) = given.next() {
        return Err(fields.wrong(second, format!("there can be one of {}", DESCRIPTIONS.join(", "))));
    }
    let (content, is) = match (name, fields.value(name.unwrap_or_default())) {
        (Some("media"), Some(value)) => return files::media(value, kind, world),
        (Some("location"), Some(value)) => (Content::Location(place(value)?), "location"),
        (Some("contact"), Some(value)) => (Content::Contacts(vec![card("contact", value)?]), "vcard"),
        (Some("contacts"), Some(_)) => (Content::Contacts(cards(fields)?), "vcard"),
        (Some(_), Some(value)) => (Content::Poll(question(value)?), "poll_creation"),
        _ => (bare(fields, kind)?, "chat"),
    };
    if kind.is_some_and(|kind| kind != is) {
        return Err(fields.wrong("type", format!("is not what {} describes", name.unwrap_or("body"))));
    }
    Ok(content)
}

/// A type without a description.
fn bare(fields: &Fields<'_>, kind: Option<&str>) -> Result<Content, Refusal> {
    let missing = match kind {
        None | Some("chat") => return Ok(Content::Text),
        Some("revoked") => {
            return Err(fields.wrong("type", "cannot be revoked; use the call revoke"));
        }
        Some("call_log" | "unknown") => {
            return Err(fields.wrong("type", "cannot be written"));
        }
        Some("location") => "location",
        Some("vcard") => "contact",
        Some("poll_creation") => "poll",
        Some(_) => "media",
    };
    Err(fields.wrong(missing, "is required for this type"))
}

fn place(value: &Value) -> Result<Location, Refusal> {
    let fields = Fields::nested("location".to_owned(), value, &["latitude", "longitude", "description"])?;
    Ok(Location {
        latitude: fields.required("latitude", fields.number("latitude", -90.0..=90.0)?)?,
        longitude: fields.required("longitude", fields.number("longitude", -180.0..=180.0)?)?,
        description: fields.text("description", MAX_NAME)?.map(str::to_owned),
    })
}

fn cards(fields: &Fields<'_>) -> Result<Vec<Card>, Refusal> {
    let values = fields.list("contacts", MAX_CARDS)?.unwrap_or_default();
    if values.is_empty() {
        return Err(fields.wrong("contacts", "must have at least one"));
    }
    values.iter().enumerate().map(|(at, value)| card(&format!("contacts[{at}]"), value)).collect()
}

/// `{ displayName, vcard }`, or `number` instead of `vcard`.
fn card(path: &str, value: &Value) -> Result<Card, Refusal> {
    let fields = Fields::nested(path.to_owned(), value, &["displayName", "vcard", "number"])?;
    let display_name = fields.required("displayName", fields.text("displayName", MAX_NAME)?)?.to_owned();
    if let Some(vcard) = fields.text("vcard", MAX_CARD)? {
        return Ok(Card { display_name, vcard: vcard.to_owned() });
    }
    let Some(crate::id::Id::Number(digits)) = fields.id("number")? else {
        return Err(fields.wrong("vcard", "is required, or a phone number in number"));
    };
    let vcard = format!(
        "BEGIN:VCARD\nVERSION:3.0\nFN:{display_name}\nTEL;type=CELL;waid={digits}:+{digits}\nEND:VCARD"
    );
    Ok(Card { display_name, vcard })
}

fn question(value: &Value) -> Result<PollQuestion, Refusal> {
    let fields = Fields::nested("poll".to_owned(), value, &["name", "options", "allowMultipleAnswers"])?;
    let name = fields.required("name", fields.text("name", MAX_NAME)?)?.to_owned();
    let options = fields.texts("options", MAX_OPTIONS, MAX_OPTION)?;
    if options.len() < 2 {
        return Err(fields.wrong("options", format!("must have 2 to {MAX_OPTIONS} answers")));
    }
    if options.iter().enumerate().any(|(at, option)| options.iter().take(at).any(|other| other == option)) {
        return Err(fields.wrong("options", "must differ from each other"));
    }
    let several = fields.flag("allowMultipleAnswers")?.unwrap_or(false);
    let secret: [u8; 32] = keys::bytes();
    Ok(PollQuestion { name, options, several, secret: secret.to_vec() })
}
