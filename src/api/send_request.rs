//! The body of a request to send a message, as REST and Socket.IO both take it.
//!
//! Pure. Existing clients are loose, so alternatives that are empty or null count as absent, `body` stands
//! for `text`, `chatId` for `to` and `mediaUrl` for `media.url`; what has the wrong type is named.

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::clock::Millis;
use crate::domain::content::Content;
use crate::domain::jid::Jid;
use crate::domain::outbox::Priority;
use crate::service::{IdempotencyKey, SendContent, SendRequest};

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

/// A well-formed request to send a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendBody {
    /// The chat.
    pub to: Jid,
    /// The text; never blank.
    pub text: String,
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
    /// The field's name on the wire.
    pub field: &'static str,
    /// What it should be.
    pub message: String,
}

/// Why a request to send cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendProblem {
    /// These fields are wrong; there is at least one.
    Invalid(Vec<FieldError>),
    /// The request is well formed but uses this field, which does nothing yet.
    NotBuilt(&'static str),
}

/// Reads the body of a request to send.
///
/// # Errors
/// [`SendProblem`]; it names every wrong field, not only the first.
pub fn parse(body: &Value, limits: &SendLimits) -> Result<SendBody, SendProblem> {
    let Value::Object(object) = body else {
        let message = "the request must be a JSON object".to_owned();
        return Err(SendProblem::Invalid(vec![FieldError { field: "request", message }]));
    };
    let mut fields = Fields { object, errors: Vec::new() };
    let to = fields.recipient();
    let text = fields.text(limits.text_max_chars);
    let other = fields.other_content(text.is_some());
    let temp_id = fields.temp_id();
    let priority = fields.priority();
    let send_at = fields.send_at(limits.now);
    fields.boolean("useQueue");
    fields.boolean("enableTyping");
    let extra = fields.not_built_extra();
    match (to, text, other.or(extra)) {
        _ if !fields.errors.is_empty() => Err(SendProblem::Invalid(fields.errors)),
        (_, _, Some(field)) => Err(SendProblem::NotBuilt(field)),
        (Some(to), Some(text), None) => Ok(SendBody { to, text, temp_id, priority, send_at }),
        // Not reached: whatever is missing has been named.
        (None, _, None) | (_, None, None) => Err(SendProblem::Invalid(fields.errors)),
    }
}

impl SendBody {
    /// SHA-256 over the request's meaning: the same for all spellings of one request.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        let send_at = self.send_at.map(|at| at.0.to_string());
        let parts = [
            Some(self.to.to_string()),
            Some(self.text.clone()),
            self.temp_id.clone(),
            Some(self.priority.rank().to_string()),
            send_at,
        ];
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
        let Self { to, text, temp_id, priority, send_at } = self;
        SendRequest {
            to,
            text,
            content: SendContent::Ready(Content::Text),
            quoted: None,
            mentions: Vec::new(),
            forwarded: false,
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
}

impl<'a> Fields<'a> {
    /// The field, unless it counts as absent.
    fn get(&self, field: &str) -> Option<&'a Value> {
        let alternative = ALTERNATIVES.contains(&field);
        self.object.get(field).filter(|value| if alternative { !is_empty(value) } else { !is_blank(value) })
    }

    fn wrong(&mut self, field: &'static str, message: impl Into<String>) {
        self.errors.push(FieldError { field, message: message.into() });
    }

    fn string(&mut self, field: &'static str) -> Option<&'a str> {
        let value = self.get(field)?;
        let text = value.as_str();
        if text.is_none() {
            self.wrong(field, "must be a string");
        }
        text
    }

    fn boolean(&mut self, field: &'static str) {
        if self.get(field).is_some_and(|value| !value.is_boolean()) {
            self.wrong(field, "must be true or false");
        }
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

    /// What else than text is to be sent. Exactly one content must be there.
    fn other_content(&mut self, has_text: bool) -> Option<&'static str> {
        let before = self.errors.len();
        let media = self.get("media").map(|_| "media");
        if self.get("media").is_some_and(|value| !value.is_object()) {
            self.wrong("media", "must be an object");
        }
        let media_url = self.string("mediaUrl").map(|_| "mediaUrl");
        let location = self.object_field("location");
        let contact = self.get("contact").map(|_| "contact");
        if self.get("contact").is_some_and(|v| v.is_number() || v.is_boolean()) {
            self.wrong("contact", "must be an object");
        }
        let poll = self.object_field("poll");
        let others: Vec<_> = [media.or(media_url), location, contact, poll].into_iter().flatten().collect();
        let text_was_wrong = ["text", "body"].iter().any(|f| self.get(f).is_some_and(|v| !v.is_string()));
        match others.len() + usize::from(has_text || text_was_wrong) {
            0 if self.errors.len() == before => {
                self.wrong("text", "is required, or one of media, location, contact, poll");
            }
            0 | 1 => {}
            _ => {
                let field = others.first().copied().unwrap_or("text");
                self.wrong(field, "give exactly one of text, media, location, contact, poll");
            }
        }
        others.first().copied()
    }

    fn object_field(&mut self, field: &'static str) -> Option<&'static str> {
        let value = self.get(field)?;
        if value.is_object() {
            return Some(field);
        }
        self.wrong(field, "must be an object");
        None
    }

    /// Fields that change a text message and do nothing yet.
    fn not_built_extra(&mut self) -> Option<&'static str> {
        let quoted = self.string("quotedMessageId").map(|_| "quotedMessageId");
        let mentions = self.get("mentions");
        let is_list = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
        if mentions.is_some_and(|value| !is_list(value)) {
            self.wrong("mentions", "must be a list of chat ids");
        }
        quoted.or(mentions.map(|_| "mentions"))
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
