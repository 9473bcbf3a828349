//! The body of a request to send a message, as REST and Socket.IO both take it.
//!
//! Pure. Existing clients are loose, so alternatives that are empty or null count as absent, `body` stands
//! for `text`, `chatId` for `to` and `mediaUrl` for `media.url`; what has the wrong type is named.

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::clock::Millis;
use crate::domain::content::Content;
use crate::domain::ids::MessageId;
use crate::domain::jid::{Jid, JidKind};
use crate::domain::outbox::Priority;
use crate::service::{IdempotencyKey, SendContent, SendRequest};

mod content;

pub(crate) use content::CAPTION_MAX_CHARS;

/// People that one message may mention.
const MAX_MENTIONS: usize = 1_024;

/// Longest `tempId`, in characters.
const TEMP_ID_MAX_CHARS: usize = 128;
/// How far ahead `sendAt` may lie, and how far back before it is taken for a slip of the unit.
const SEND_AT_RANGE_MS: i64 = 366 * 24 * 60 * 60 * 1000;

/// What a message may be at most, and what time it is.
#[derive(Debug, Clone, Copy)]
pub struct SendLimits {
    /// Longest text, in characters.
    pub text_max_chars: usize,
    /// The server's time, against which `sendAt` is held.
    pub now: Millis,
}

/// A well-formed request to send.
#[derive(Debug, Clone, PartialEq)]
pub struct SendBody {
    /// The chat.
    pub to: Jid,
    /// The text, or the caption of a file.
    pub text: String,
    /// What it consists of besides.
    pub content: SendContent,
    /// The message that it answers.
    pub quoted: Option<MessageId>,
    /// Who is mentioned in the text.
    pub mentions: Vec<Jid>,
    /// Whether it is marked as forwarded.
    pub forwarded: bool,
    /// The client's own name for the message.
    pub temp_id: Option<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// Not before this moment.
    pub send_at: Option<Millis>,
}

/// A field and what is wrong with it, as in the `details` of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's name on the wire, with the path to it where it is inside another.
    pub field: String,
    /// What it should be.
    pub message: String,
}

/// Why a request to send cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendProblem {
    /// These fields are wrong; there is at least one.
    Invalid(Vec<FieldError>),
    /// `media.data` is larger than may be: so many bytes.
    DataTooLarge(usize),
}

/// Reads the body of a request to send.
///
/// # Errors
/// [`SendProblem`]; it names every wrong field, not only the first.
pub fn parse(body: &Value, limits: &SendLimits) -> Result<SendBody, SendProblem> {
    let Value::Object(object) = body else {
        let message = "the request must be a JSON object".to_owned();
        return Err(SendProblem::Invalid(vec![FieldError { field: "request".to_owned(), message }]));
    };
    let mut fields = Fields { object, errors: Vec::new(), too_large: None };
    let to = fields.recipient();
    let text = fields.text(limits.text_max_chars);
    let content = fields.content(text);
    let temp_id = fields.temp_id();
    let priority = fields.priority();
    let send_at = fields.send_at(limits.now);
    fields.boolean("useQueue");
    fields.boolean("enableTyping");
    let forwarded = fields.boolean("isForwarded");
    let quoted = fields.quoted();
    let mentions = fields.mentions();
    if let Some(most) = fields.too_large {
        return Err(SendProblem::DataTooLarge(most));
    }
    match (to, content) {
        (Some(to), Some((text, content))) if fields.errors.is_empty() => {
            Ok(SendBody { to, text, content, quoted, mentions, forwarded, temp_id, priority, send_at })
        }
        _ => Err(SendProblem::Invalid(fields.errors)),
    }
}

impl SendBody {
    /// SHA-256 over the request's meaning: the same for all spellings of one request.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        let send_at = self.send_at.map(|at| at.0.to_string());
        let mut parts = vec![
            Some(self.to.to_string()),
            Some(self.text.clone()),
            self.temp_id.clone(),
            Some(self.priority.rank().to_string()),
            send_at,
        ];
        let plain = self.content == SendContent::Ready(Content::Text);
        if !plain || self.quoted.is_some() || !self.mentions.is_empty() {
            // After the parts that every text has: what was remembered by an earlier version stays valid.
            parts.push(Some(content::fingerprint(&self.content)));
            parts.push(self.quoted.as_ref().map(ToString::to_string));
            parts.extend(self.mentions.iter().map(|jid| Some(jid.to_string())));
        }
        if self.forwarded {
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

    /// What the service is asked to do; `key` is the client's idempotency key.
    #[must_use]
    pub fn into_request(self, key: Option<String>) -> SendRequest {
        let idempotency = key.map(|key| IdempotencyKey { key, fingerprint: self.fingerprint() });
        let Self { to, text, content, quoted, mentions, forwarded, temp_id, priority, send_at } = self;
        SendRequest {
            to,
            text,
            content,
            quoted,
            mentions,
            forwarded,
            temp_id,
            priority,
            send_at,
            idempotency,
        }
    }
}

/// A request's fields, and what was wrong with those read so far.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    errors: Vec<FieldError>,
    /// How large inline data may be, where it is larger.
    too_large: Option<usize>,
}

impl<'a> Fields<'a> {
    /// The field, unless it counts as absent.
    fn get(&self, field: &str) -> Option<&'a Value> {
        let alternative = ALTERNATIVES.contains(&field);
        self.object.get(field).filter(|value| if alternative { !is_empty(value) } else { !is_blank(value) })
    }

    fn wrong(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.into(), message: message.into() });
    }

    fn string(&mut self, field: &'static str) -> Option<&'a str> {
        let value = self.get(field)?;
        let text = value.as_str();
        if text.is_none() {
            self.wrong(field, "must be a string");
        }
        text
    }

    /// `false`, where it is not given.
    fn boolean(&mut self, field: &'static str) -> bool {
        let value = self.get(field);
        if value.is_some_and(|value| !value.is_boolean()) {
            self.wrong(field, "must be true or false");
        }
        value == Some(&Value::Bool(true))
    }

    fn recipient(&mut self) -> Option<Jid> {
        let before = self.errors.len();
        let (to, chat_id) = (self.jid("to"), self.jid("chatId"));
        if let (Some(to), Some(chat_id)) = (&to, &chat_id)
            && to != chat_id
        {
            self.wrong("chatId", "names another chat than to");
        }
        let jid = to.or(chat_id);
        if jid.is_none() && self.errors.len() == before {
            self.wrong("to", "is required: a chat id or a phone number");
        }
        jid
    }

    fn jid(&mut self, field: &'static str) -> Option<Jid> {
        match self.string(field)?.parse() {
            Ok(jid) => Some(jid),
            Err(error) => {
                self.wrong(field, format!("is not valid: {error}"));
                None
            }
        }
    }

    fn text(&mut self, max_chars: usize) -> Option<String> {
        let (text, body) = (self.string("text"), self.string("body"));
        if let (Some(text), Some(body)) = (text, body)
            && text != body
        {
            self.wrong("body", "differs from text; give one of them");
        }
        let field = if text.is_some() { "text" } else { "body" };
        let text = text.or(body)?;
        if text.trim().is_empty() {
            self.wrong(field, "must not be blank");
        }
        if text.chars().count() > max_chars {
            self.wrong(field, format!("is longer than {max_chars} characters"));
        }
        Some(text.to_owned())
    }

    fn quoted(&mut self) -> Option<MessageId> {
        match self.string("quotedMessageId")?.parse() {
            Ok(id) => Some(id),
            Err(error) => {
                self.wrong("quotedMessageId", format!("is not valid: {error}"));
                None
            }
        }
    }

    fn mentions(&mut self) -> Vec<Jid> {
        let Some(value) = self.get("mentions") else { return Vec::new() };
        let list: Option<Vec<&str>> = value.as_array().and_then(|l| l.iter().map(Value::as_str).collect());
        let Some(list) = list.filter(|list| list.len() <= MAX_MENTIONS) else {
            self.wrong("mentions", format!("must be a list of at most {MAX_MENTIONS} ids of people"));
            return Vec::new();
        };
        let mut mentions = Vec::with_capacity(list.len());
        for (index, text) in list.into_iter().enumerate() {
            match text.parse::<Jid>() {
                Ok(jid) if matches!(jid.kind(), JidKind::Person | JidKind::Lid) => mentions.push(jid),
                Ok(_) => self.wrong(format!("mentions[{index}]"), "must be a person"),
                Err(error) => self.wrong(format!("mentions[{index}]"), format!("is not valid: {error}")),
            }
        }
        mentions
    }

    fn temp_id(&mut self) -> Option<String> {
        let temp_id = self.string("tempId")?;
        if temp_id.chars().count() > TEMP_ID_MAX_CHARS {
            self.wrong("tempId", format!("is longer than {TEMP_ID_MAX_CHARS} characters"));
        }
        Some(temp_id.to_owned())
    }

    fn priority(&mut self) -> Priority {
        match self.get("priority").map(Value::as_str) {
            None | Some(Some("normal")) => Priority::Normal,
            Some(Some("high")) => Priority::High,
            Some(Some("low")) => Priority::Low,
            Some(_) => {
                self.wrong("priority", "must be high, normal or low");
                Priority::Normal
            }
        }
    }

    fn send_at(&mut self, now: Millis) -> Option<Millis> {
        let value = self.get("sendAt")?;
        let Some(at) = whole_number(value).map(Millis) else {
            self.wrong("sendAt", "must be a time in milliseconds since the epoch");
            return None;
        };
        if at.since(now) > SEND_AT_RANGE_MS {
            self.wrong("sendAt", "is more than a year ahead");
        }
        if at.0 < 0 || now.since(at) > SEND_AT_RANGE_MS {
            self.wrong("sendAt", "is long past; it must be in milliseconds since the epoch");
        }
        Some(at)
    }
}

/// What a message can consist of, and whom it can mention. An empty one counts as absent, of whatever type it is.
const ALTERNATIVES: [&str; 8] =
    ["text", "body", "media", "mediaUrl", "location", "contact", "poll", "mentions"];

/// Clients write `null` and `""` where they have nothing to say.
fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A whole number, or a string of digits.
fn whole_number(value: &Value) -> Option<i64> {
    /// Largest number up to which every whole one has a floating-point form of its own.
    const EXACT: f64 = 9_007_199_254_740_991.0;
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() <= EXACT)?;
            format!("{float:.0}").parse().ok()
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
