//! Callbacks in Meta's format. Unknown fields are ignored; every other field may be absent or of
//! another type.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::engine::relay::lenient;

/// A whole callback.
pub(in super::super) struct Envelope(Value);

/// The values of one change. Each is parsed separately: an unreadable one must not hide the others.
#[derive(Debug, Default)]
pub(in super::super) struct CallbackValues {
    pub(in super::super) contacts: Vec<Contact>,
    /// Includes messages that the account wrote in the phone's own app.
    pub(in super::super) messages: Vec<Message>,
    pub(in super::super) statuses: Vec<Status>,
    pub(in super::super) calls: Vec<Call>,
    /// The kinds of values that could not be read.
    pub(in super::super) unreadable: Vec<&'static str>,
}

/// A person who wrote.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Contact {
    #[serde(deserialize_with = "lenient::fields")]
    profile: Map<String, Value>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) wa_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) user_id: Option<String>,
}

impl Contact {
    /// The name that the person chose.
    pub(in super::super) fn name(&self) -> Option<String> {
        self.profile.get("name").and_then(Value::as_str).map(str::to_owned)
    }
}

/// A message. Its content is in the field with the name of its type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Message {
    #[serde(deserialize_with = "lenient::word")]
    pub(in super::super) id: String,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) from: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) from_user_id: Option<String>,
    /// The recipient of a message that this account wrote on its phone.
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) to: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) to_user_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) group_id: Option<String>,
    pub(in super::super) timestamp: Option<Value>,
    #[serde(rename = "type", deserialize_with = "lenient::word")]
    pub(in super::super) kind: String,
    #[serde(deserialize_with = "lenient::fields")]
    context: Map<String, Value>,
    #[serde(flatten)]
    pub(in super::super) parts: Map<String, Value>,
}

impl Message {
    /// The quoted message, and whether the message was forwarded.
    pub(in super::super) fn context(&self) -> Context {
        serde_json::from_value(Value::Object(self.context.clone())).unwrap_or_default()
    }
}

/// The quoted message, and whether the message was forwarded.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Context {
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) from: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) from_user_id: Option<String>,
    #[serde(deserialize_with = "lenient::flag")]
    pub(in super::super) forwarded: bool,
    #[serde(deserialize_with = "lenient::flag")]
    pub(in super::super) frequently_forwarded: bool,
}

/// A file of a message.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct File {
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) caption: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) filename: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) sha256: Option<String>,
    #[serde(deserialize_with = "lenient::flag")]
    pub(in super::super) voice: bool,
}

/// A status of one of our messages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Status {
    #[serde(deserialize_with = "lenient::word")]
    pub(in super::super) id: String,
    #[serde(deserialize_with = "lenient::word")]
    pub(in super::super) status: String,
    pub(in super::super) timestamp: Option<Value>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) biz_opaque_callback_data: Option<String>,
    #[serde(deserialize_with = "lenient::list")]
    errors: Vec<Value>,
}

impl Status {
    /// Meta's error number.
    pub(in super::super) fn code(&self) -> Option<i64> {
        self.errors.iter().find_map(|error| lenient::as_number(error.get("code")?))
    }
}

/// A call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Call {
    #[serde(deserialize_with = "lenient::word")]
    pub(in super::super) id: String,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) from: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in super::super) from_user_id: Option<String>,
    #[serde(deserialize_with = "lenient::word")]
    pub(in super::super) event: String,
    /// In seconds; only for an answered call that ended.
    pub(in super::super) duration: Option<Value>,
}

impl Envelope {
    /// `None` where the object is no WhatsApp account.
    pub(in super::super) fn of(value: Value) -> Option<Self> {
        (value.get("object")? == "whatsapp_business_account").then_some(Self(value))
    }

    /// The values of one number, in their order.
    pub(in super::super) fn values_of(&self, phone_number_id: &str) -> Vec<CallbackValues> {
        let entries = lenient::as_list(self.0.get("entry"));
        let changes = entries.iter().flat_map(|entry| lenient::as_list(entry.get("changes")));
        let ours = changes.filter(|change| {
            let field = change.get("field").and_then(Value::as_str).unwrap_or_default();
            matches!(field, "messages" | "smb_message_echoes" | "calls")
        });
        ours.filter_map(|change| {
            CallbackValues::of(change.get("value").unwrap_or(&Value::Null), phone_number_id)
        })
        .collect()
    }
}

impl CallbackValues {
    fn of(value: &Value, phone_number_id: &str) -> Option<Self> {
        let mut values = Self::default();
        match value.pointer("/metadata/phone_number_id").and_then(lenient::as_text) {
            Some(id) if id == phone_number_id => {}
            Some(_) => return None,
            None => {
                values.unreadable.push("a change without a number");
                return Some(values);
            }
        }
        values.contacts = values.read_each(value, "contacts");
        values.messages = values.read_each(value, "messages");
        let echoes = values.read_each(value, "message_echoes");
        values.messages.extend(echoes);
        values.statuses = values.read_each(value, "statuses");
        values.calls = values.read_each(value, "calls");
        Some(values)
    }

    fn read_each<T: DeserializeOwned>(&mut self, value: &Value, list: &'static str) -> Vec<T> {
        let entries = lenient::as_list(value.get(list)).iter();
        let read = entries.filter_map(|entry| {
            let read = Some(entry).filter(|entry| entry.is_object());
            let read = read.and_then(|entry| serde_json::from_value(entry.clone()).ok());
            if read.is_none() {
                self.unreadable.push(list);
            }
            read
        });
        read.collect()
    }
}
