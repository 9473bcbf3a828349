//! The body of a request to send a message, shared by REST and Socket.IO. Exactly one of text, media,
//! location, contact, poll and template is sent; `null`, empty values and older names of fields are
//! understood.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::api::http::error::ApiError;
use crate::api::http::input::loose::{unquote_numbers, wrap_in_list};
use crate::api::http::input::{Alias, Report, Request};
use crate::api::http::schema::{self, LocationObject};
use crate::domain::clock::Millis;
use crate::domain::content::{ContactCard, Content, Location, Poll, Template};
use crate::domain::ids::MessageId;
use crate::domain::jid::{Jid, JidKind};
use crate::domain::outbox::Priority;
use crate::service::{IdempotencyKey, MediaSource, SendAs, SendContent, SendMedia, SendRequest};

/// Longest caption, in characters.
pub const CAPTION_MAX_CHARS: usize = 1_024;
/// Largest file in `media.data`, in bytes.
const INLINE_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Longest description of a location and longest answer of a poll, in characters.
const NAME_MAX_CHARS: usize = 255;
/// Fewest and most answers of a poll.
const POLL_OPTIONS: std::ops::RangeInclusive<usize> = 2..=12;
/// Components of a template, in bytes of JSON.
const COMPONENTS_MAX_BYTES: usize = 32_768;
/// How far ahead `sendAt` may be, and how far back before it counts as a wrong unit.
const SEND_AT_RANGE_MS: i64 = 366 * 24 * 60 * 60 * 1000;
/// The contents of a message besides its text.
const OTHER_CONTENTS: [&str; 5] = ["media", "location", "contact", "poll", "template"];
/// Fields that count as absent when they are empty, of whatever type.
const ABSENT_WHEN_EMPTY: [&str; 8] =
    ["text", "body", "media", "mediaUrl", "location", "contact", "poll", "mentions"];

/// The limits of a message that depend on settings and time.
#[derive(Debug, Clone, Copy)]
pub struct SendLimits {
    /// Longest text, in characters.
    pub text_max_chars: usize,
    /// The server's time, to which `sendAt` is compared.
    pub now: Millis,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendBody {
    #[schema(schema_with = schema::chat_id)]
    to: Jid,
    /// The text. `body` is accepted too. The longest is a setting, 4,096 characters by default.
    #[schema(min_length = 1, max_length = 4096, pattern = r"\S", example = "Hello")]
    text: Option<String>,
    /// The file. `mediaUrl` is accepted for `media.url`, and `text` for `media.caption`.
    media: Option<MediaBody>,
    /// The location.
    #[schema(value_type = Option<LocationObject>)]
    location: Option<Location>,
    /// The card. A list of up to 20 is accepted too.
    #[schema(max_items = 20)]
    contact: Option<Vec<CardBody>>,
    /// The poll.
    poll: Option<PollBody>,
    /// The template.
    template: Option<TemplateBody>,
    #[schema(schema_with = schema::message_id, required = false)]
    quoted_message_id: Option<MessageId>,
    #[serde(default)]
    #[schema(schema_with = schema::mentions, required = false)]
    mentions: Vec<Jid>,
    /// Its priority among messages to other chats; `normal` by default.
    #[schema(value_type = Option<PriorityWord>)]
    priority: Option<Priority>,
    /// Not before this time, in milliseconds since the epoch; at most a year ahead.
    #[schema(value_type = Option<i64>)]
    send_at: Option<Millis>,
    /// Marks a text from elsewhere as forwarded. `messages/forward` does so by itself.
    is_forwarded: Option<bool>,
    /// The client's own id of the message, repeated in the answer and in its events.
    #[schema(max_length = 128)]
    temp_id: Option<String>,
    /// Accepted from existing clients; every message goes through the queue.
    use_queue: Option<bool>,
    /// Accepted from existing clients; typing is a setting of the device's outbox.
    enable_typing: Option<bool>,
}

/// The words of a message's priority.
#[derive(ToSchema)]
#[schema(as = Priority, rename_all = "lowercase")]
#[expect(dead_code, reason = "only in the OpenAPI document")]
enum PriorityWord {
    High,
    Normal,
    Low,
}

/// A file to send: uploaded before, fetched from an address, or in the request.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MediaBody {
    /// The answer of `POST …/media`.
    #[schema(min_length = 1, max_length = 255)]
    media_id: Option<String>,
    /// An http or https address. Private networks are refused unless the settings allow them.
    #[schema(min_length = 1, max_length = 2048, format = "uri", example = "https://example.com/menu.jpg")]
    url: Option<String>,
    /// Base64, of up to 4 MiB.
    #[schema(
        min_length = 1,
        content_encoding = "base64",
        pattern = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)$"
    )]
    data: Option<String>,
    /// Ignored: the type is detected from the content.
    #[schema(max_length = 255, example = "image/jpeg")]
    mimetype: Option<String>,
    /// The file name that the recipient sees.
    #[schema(max_length = 255, example = "menu.jpg")]
    filename: Option<String>,
    /// The text under the file. `text` beside `media` is accepted too.
    #[schema(max_length = 1024)]
    caption: Option<String>,
    /// Sends audio as a voice note.
    as_voice: Option<bool>,
    /// Sends a WebP picture as a sticker.
    as_sticker: Option<bool>,
    /// Sends the file as a document, whatever its type.
    as_document: Option<bool>,
}

/// A contact card: a person by number, or a complete vCard.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CardBody {
    /// The display name; that of the vCard, or the number, when absent.
    #[schema(max_length = 255, example = "Ada")]
    name: Option<String>,
    /// The phone number with its country code.
    #[schema(max_length = 255, pattern = r"^\+?[0-9]{5,15}$", example = "+15550100002")]
    phone_number: Option<String>,
    /// The person's organization.
    #[schema(max_length = 255)]
    organization: Option<String>,
    /// A vCard.
    #[schema(max_length = 16384, pattern = "^BEGIN:VCARD")]
    vcard: Option<String>,
}

/// A question with answers to choose from.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[schema(as = PollToSend)]
#[serde(rename_all = "camelCase")]
pub struct PollBody {
    /// The question.
    #[schema(min_length = 1, max_length = 255, pattern = r"\S", example = "Lunch?")]
    name: String,
    #[schema(schema_with = schema::poll_options)]
    options: Vec<String>,
    /// Whether one person may choose several answers.
    allow_multiple_answers: Option<bool>,
}

/// A text that the network approved beforehand, with the values of its placeholders.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[schema(as = TemplateToSend)]
pub struct TemplateBody {
    /// The template's name at the network.
    #[schema(min_length = 1, max_length = 512, pattern = "^[a-z0-9_]+$", example = "order_ready")]
    name: String,
    /// The template's language at the network.
    #[schema(min_length = 2, max_length = 16, pattern = "^[A-Za-z_]+$", example = "en_US")]
    language: String,
    #[serde(default)]
    #[schema(schema_with = schema::template_components, required = false)]
    components: Vec<Value>,
    /// The text to show here, which the network does not report; the template's name when absent.
    #[schema(max_length = 4096)]
    text: Option<String>,
}

impl Request for SendBody {
    const ALIASES: &'static [Alias] = &[("to", &["chatId"]), ("text", &["body"])];
    const LIMIT_IS_A_SETTING: &'static [&'static str] = &["text"];

    fn is_absent(field: &str, value: &Value) -> bool {
        is_blank(value) || ABSENT_WHEN_EMPTY.contains(&field) && is_empty(value)
    }

    fn normalize(object: &mut Map<String, Value>, report: &mut Report) {
        compare_spellings(object, report);
        unquote_numbers(object, &["sendAt"]);
        move_media_url(object, report);
        if wrap_in_list(object, "contact") {
            report.rename("contact[0]", "contact");
        }
        normalize_contents(object);
        move_caption(object, report);
        require_one_content(object, report);
    }

    fn check(&self, report: &mut Report) {
        for (index, mention) in self.mentions.iter().enumerate() {
            if !matches!(mention.kind(), JidKind::Person | JidKind::Lid) {
                report.error(format!("mentions[{index}]"), "must be a person");
            }
        }
        if let Some(media) = &self.media {
            media.check(report);
        }
        let description = self.location.as_ref().and_then(|location| location.description.as_ref());
        if description.is_some_and(|text| text.chars().count() > NAME_MAX_CHARS) {
            report.error("location.description", format!("is longer than {NAME_MAX_CHARS} characters"));
        }
        for (index, card) in self.contact.iter().flatten().enumerate() {
            card.check(index, report);
        }
        if let Some(poll) = &self.poll {
            poll.check(report);
        }
        if let Some(template) = &self.template {
            template.check(report);
        }
    }
}

/// Clients write `null` and `""` for absent values.
fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

/// Both spellings of a field are accepted together when their values are equal.
fn compare_spellings(object: &mut Map<String, Value>, report: &mut Report) {
    if let Some(body) = object.remove("body")
        && object.get("text") != Some(&body)
    {
        report.error("body", "differs from text; give one of them");
    }
    let Some(chat_id) = object.remove("chatId") else { return };
    let jid = |value: Option<&Value>| value.and_then(Value::as_str).and_then(|text| text.parse::<Jid>().ok());
    match (jid(object.get("to")), jid(Some(&chat_id))) {
        (_, None) => report.error("chatId", "must be a chat id or a phone number"),
        (Some(to), Some(chat_id)) if to != chat_id => report.error("chatId", "names another chat than to"),
        _ => {}
    }
}

fn move_media_url(object: &mut Map<String, Value>, report: &mut Report) {
    let Some(url) = object.remove("mediaUrl") else { return };
    let media = object.entry("media").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(media) = media
        && media.get("url").is_none_or(is_blank)
    {
        media.insert("url".to_owned(), url);
        report.rename("media.url", "mediaUrl");
    }
}

/// Drops blank values inside the contents, and gives their fields their own names.
fn normalize_contents(object: &mut Map<String, Value>) {
    const NAMES: [(&str, &str, &[&str]); 4] = [
        ("location", "description", &["name"]),
        ("contact", "name", &["displayName"]),
        ("contact", "phoneNumber", &["number"]),
        ("poll", "name", &["question", "title"]),
    ];
    for content in OTHER_CONTENTS {
        let Some(value) = object.get_mut(content) else { continue };
        let values =
            if let Value::Array(list) = value { list.as_mut_slice() } else { std::slice::from_mut(value) };
        for fields in values.iter_mut().filter_map(Value::as_object_mut) {
            fields.retain(|_, value| !is_blank(value));
            for (_, name, others) in NAMES.iter().filter(|(of, ..)| *of == content) {
                let given = others.iter().find(|other| fields.contains_key(**other));
                if let Some(value) =
                    given.filter(|_| !fields.contains_key(*name)).and_then(|n| fields.remove(*n))
                {
                    fields.insert((*name).to_owned(), value);
                }
            }
            unquote_numbers(fields, &["latitude", "longitude"]);
            // As Meta writes it.
            if let Some(code) = fields.get("language").and_then(|language| language.get("code")).cloned() {
                fields.insert("language".to_owned(), code);
            }
        }
    }
}

/// `text` beside `media` is its caption.
fn move_caption(object: &mut Map<String, Value>, report: &mut Report) {
    if !object.get("text").is_some_and(Value::is_string) {
        return;
    }
    let Some(Value::Object(media)) = object.get_mut("media") else { return };
    let caption = media.get("caption").cloned();
    let Some(text) = object.remove("text") else { return };
    match caption {
        Some(caption) if caption != text => {
            report.error("text", "differs from media.caption; give one of them");
        }
        Some(_) => {}
        None => {
            if let Some(Value::Object(media)) = object.get_mut("media") {
                media.insert("caption".to_owned(), text);
                report.rename("media.caption", "text");
            }
        }
    }
}

fn require_one_content(object: &Map<String, Value>, report: &mut Report) {
    let mut contents = OTHER_CONTENTS.into_iter().filter(|content| object.contains_key(*content));
    let first = contents.next();
    match (first, contents.count() + usize::from(object.contains_key("text"))) {
        (None, 0) => {
            report.error("text", "is required, or one of media, location, contact, poll, template");
        }
        (None, _) | (Some(_), 0) => {}
        (Some(first), _) => {
            report.error(first, "give exactly one of text, media, location, contact, poll, template");
        }
    }
}

impl MediaBody {
    fn check(&self, report: &mut Report) {
        let sources = [&self.media_id, &self.url, &self.data];
        if sources.into_iter().flatten().count() != 1 {
            report.error("media", "must have exactly one of mediaId, url and data");
        }
        let forms = [self.as_voice, self.as_sticker, self.as_document];
        if forms.into_iter().flatten().filter(|is_set| *is_set).count() > 1 {
            report.error("media.asVoice", "give at most one of asVoice, asSticker and asDocument");
        }
    }

    fn into_content(self) -> Result<(String, SendContent), ApiError> {
        let as_what = if self.as_voice == Some(true) {
            SendAs::Voice
        } else if self.as_sticker == Some(true) {
            SendAs::Sticker
        } else if self.as_document == Some(true) {
            SendAs::Document
        } else {
            SendAs::Content
        };
        let source = match (self.media_id, self.url, self.data) {
            (Some(id), ..) => MediaSource::Uploaded(id),
            (None, Some(url), _) => MediaSource::Url(url),
            (None, None, data) => MediaSource::Inline(decode(&data.unwrap_or_default())?),
        };
        let media = SendMedia { source, filename: self.filename, as_what };
        Ok((self.caption.unwrap_or_default(), SendContent::Media(media)))
    }
}

/// Base64, also with the prefix `data:…;base64,` of browsers, and in lines.
fn decode(text: &str) -> Result<Vec<u8>, ApiError> {
    let text = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,").map_or("", |(_, data)| data),
        None => text,
    };
    let text: Cow<'_, str> = if text.contains(|c: char| c.is_ascii_whitespace()) {
        text.split_ascii_whitespace().collect::<String>().into()
    } else {
        text.into()
    };
    if text.len() / 4 * 3 > INLINE_MAX_BYTES + 2 {
        return Err(ApiError::DataTooLarge(INLINE_MAX_BYTES));
    }
    match STANDARD.decode(text.as_bytes()) {
        Ok(bytes) if bytes.len() > INLINE_MAX_BYTES => Err(ApiError::DataTooLarge(INLINE_MAX_BYTES)),
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(ApiError::field("media.data", "must be base64 of at least one byte")),
    }
}

impl CardBody {
    fn check(&self, index: usize, report: &mut Report) {
        match (&self.vcard, &self.phone_number) {
            (Some(vcard), _) => {
                if !vcard.trim_start().to_ascii_uppercase().starts_with("BEGIN:VCARD") {
                    report.error(format!("contact[{index}].vcard"), "must begin with BEGIN:VCARD");
                }
            }
            (None, Some(_)) if self.person().is_some() => {}
            (None, Some(_)) => report.error(
                format!("contact[{index}].phoneNumber"),
                "must be a phone number with its country code, such as +15550100001",
            ),
            (None, None) => {
                report.error(format!("contact[{index}].phoneNumber"), "is required, or vcard");
            }
        }
    }

    fn person(&self) -> Option<Jid> {
        let jid = self.phone_number.as_ref()?.parse::<Jid>().ok()?;
        jid.phone().is_some().then_some(jid)
    }

    fn into_card(self) -> Option<ContactCard> {
        let person = self.person();
        match self.vcard {
            Some(vcard) => Some(ContactCard::of_vcard(vcard, self.name)),
            None => Some(ContactCard::of_person(&person?, self.name, self.organization.as_deref())),
        }
    }
}

impl PollBody {
    fn check(&self, report: &mut Report) {
        let different: HashSet<&str> = self.options.iter().map(|text| text.trim()).collect();
        let fits = |text: &String| !text.trim().is_empty() && text.chars().count() <= NAME_MAX_CHARS;
        let valid = POLL_OPTIONS.contains(&self.options.len())
            && different.len() == self.options.len()
            && self.options.iter().all(fits);
        if !valid {
            let (least, most) = (POLL_OPTIONS.start(), POLL_OPTIONS.end());
            report.error(
                "poll.options",
                format!("must be {least} to {most} different texts of at most {NAME_MAX_CHARS} characters"),
            );
        }
    }
}

impl TemplateBody {
    fn check(&self, report: &mut Report) {
        let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !self.name.chars().all(in_name) {
            report.error("template.name", "must be lower-case letters, digits and underscores");
        }
        if !self.language.chars().all(|c| c.is_ascii_alphabetic() || c == '_') {
            report.error("template.language", "must be a code such as en or en_US");
        }
        let bytes: usize = self.components.iter().map(|component| component.to_string().len() + 1).sum();
        if !self.components.iter().all(Value::is_object) || bytes >= COMPONENTS_MAX_BYTES {
            report.error(
                "template.components",
                format!("must be objects of at most {COMPONENTS_MAX_BYTES} bytes in all"),
            );
        }
    }
}

impl SendBody {
    /// The request to the service; `key` is the client's idempotency key.
    ///
    /// # Errors
    /// When the text is too long, `sendAt` is out of range, or the data of a file is not valid.
    pub fn into_request(self, limits: &SendLimits, key: Option<String>) -> Result<SendRequest, ApiError> {
        if let Some(at) = self.send_at {
            check_send_at(at, limits.now)?;
        }
        if self.text.as_ref().is_some_and(|text| text.chars().count() > limits.text_max_chars) {
            let message = format!("is longer than {} characters", limits.text_max_chars);
            return Err(ApiError::field("text", message));
        }
        let ready = |content| Ok((String::new(), SendContent::Ready(content)));
        let (text, content) = if let Some(media) = self.media {
            media.into_content()
        } else if let Some(location) = self.location {
            ready(Content::Location(location))
        } else if let Some(cards) = self.contact {
            ready(Content::Contacts(cards.into_iter().filter_map(CardBody::into_card).collect()))
        } else if let Some(PollBody { name, options, allow_multiple_answers }) = self.poll {
            let allow_multiple_answers = allow_multiple_answers.unwrap_or(false);
            ready(Content::Poll(Poll { name, options, allow_multiple_answers, votes: Vec::new() }))
        } else if let Some(TemplateBody { name, language, components, text }) = self.template {
            let text = text.unwrap_or_else(|| name.clone());
            let template = Template { name, language, components };
            Ok((text, SendContent::Ready(Content::Template(template))))
        } else {
            Ok((self.text.unwrap_or_default(), SendContent::Ready(Content::Text)))
        }?;
        let mut request = SendRequest {
            to: self.to,
            text,
            content,
            quoted: self.quoted_message_id,
            mentions: self.mentions,
            forwarded: self.is_forwarded.unwrap_or(false),
            temp_id: self.temp_id,
            priority: self.priority.unwrap_or_default(),
            send_at: self.send_at,
            idempotency: None,
        };
        request.idempotency = key.map(|key| IdempotencyKey { key, fingerprint: fingerprint(&request) });
        Ok(request)
    }
}

fn check_send_at(at: Millis, now: Millis) -> Result<(), ApiError> {
    if at.since(now) > SEND_AT_RANGE_MS {
        return Err(ApiError::field("sendAt", "is more than a year ahead"));
    }
    if at.0 < 0 || now.since(at) > SEND_AT_RANGE_MS {
        return Err(ApiError::field("sendAt", "is long past; it must be in milliseconds since the epoch"));
    }
    Ok(())
}

/// SHA-256 over the request's meaning: the same for all spellings of one request.
fn fingerprint(request: &SendRequest) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut parts = vec![
        Some(request.to.to_string()),
        Some(request.text.clone()),
        request.temp_id.clone(),
        Some(request.priority.rank().to_string()),
        request.send_at.map(|at| at.0.to_string()),
    ];
    let is_plain = request.content == SendContent::Ready(Content::Text);
    if !is_plain || request.quoted.is_some() || !request.mentions.is_empty() {
        // After the parts that every text has: fingerprints that earlier versions stored stay valid.
        parts.push(Some(content_fingerprint(&request.content)));
        parts.push(request.quoted.as_ref().map(ToString::to_string));
        parts.extend(request.mentions.iter().map(|jid| Some(jid.to_string())));
    }
    if request.forwarded {
        parts.push(Some("forwarded".to_owned()));
    }
    for part in parts {
        let bytes = part.as_ref().map(String::as_bytes);
        // A length before each part (-1: absent) keeps parts from running into each other.
        let length = bytes.map_or(-1, |b| i64::try_from(b.len()).unwrap_or(i64::MAX));
        hash.update(length.to_be_bytes());
        hash.update(bytes.unwrap_or_default());
    }
    hash.finalize().to_vec()
}

fn content_fingerprint(content: &SendContent) -> String {
    match content {
        SendContent::Ready(content) => format!("{content:?}"),
        SendContent::Media(SendMedia { source, filename, as_what }) => {
            let source = match source {
                MediaSource::Inline(bytes) => format!("data {}", STANDARD.encode(Sha256::digest(bytes))),
                MediaSource::Uploaded(id) => format!("mediaId {id}"),
                MediaSource::Url(url) => format!("url {url}"),
            };
            format!("{source} {filename:?} {as_what:?}")
        }
    }
}

mod document;
#[cfg(test)]
mod tests;

pub use document::{SendLocation, SendMessage};
