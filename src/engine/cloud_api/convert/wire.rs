//! Callbacks as Meta writes them. What is not named here is passed over; of what is, anything may be absent or odd.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::engine::relay::lenient;

/// A whole callback.
pub(in crate::engine::cloud_api) struct Envelope(Value);

/// What one change tells of a number. Everything is read one by one: what cannot be read must not keep the rest from
/// being heard.
#[derive(Debug, Default)]
pub(in crate::engine::cloud_api) struct CallbackValues {
    pub(in crate::engine::cloud_api) contacts: Vec<Contact>,
    /// With those that were written with the phone's own app by an account that has both.
    pub(in crate::engine::cloud_api) messages: Vec<Message>,
    pub(in crate::engine::cloud_api) statuses: Vec<Status>,
    pub(in crate::engine::cloud_api) calls: Vec<Call>,
    /// What stood where, of what cannot be read.
    pub(in crate::engine::cloud_api) passed_over: Vec<&'static str>,
}

/// Somebody who wrote.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::engine::cloud_api) struct Contact {
    #[serde(deserialize_with = "lenient::fields")]
    profile: Map<String, Value>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) wa_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) user_id: Option<String>,
}

impl Contact {
    /// As they call themselves.
    pub(in crate::engine::cloud_api) fn name(&self) -> Option<String> {
        self.profile.get("name").and_then(Value::as_str).map(str::to_owned)
    }
}

/// A message. What its type calls for stands under the type's own name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::engine::cloud_api) struct Message {
    #[serde(deserialize_with = "lenient::word")]
    pub(in crate::engine::cloud_api) id: String,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) from: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) from_user_id: Option<String>,
    /// Of one that this account wrote on its phone.
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) to: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) to_user_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) group_id: Option<String>,
    pub(in crate::engine::cloud_api) timestamp: Option<Value>,
    #[serde(rename = "type", deserialize_with = "lenient::word")]
    pub(in crate::engine::cloud_api) kind: String,
    #[serde(deserialize_with = "lenient::fields")]
    context: Map<String, Value>,
    #[serde(flatten)]
    pub(in crate::engine::cloud_api) parts: Map<String, Value>,
}

impl Message {
    /// What it answers, and whether it was passed on.
    pub(in crate::engine::cloud_api) fn context(&self) -> Context {
        serde_json::from_value(Value::Object(self.context.clone())).unwrap_or_default()
    }
}

/// What a message answers, and whether it was passed on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::engine::cloud_api) struct Context {
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) from: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) from_user_id: Option<String>,
    #[serde(deserialize_with = "lenient::flag")]
    pub(in crate::engine::cloud_api) forwarded: bool,
    #[serde(deserialize_with = "lenient::flag")]
    pub(in crate::engine::cloud_api) frequently_forwarded: bool,
}

/// A file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::engine::cloud_api) struct File {
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) caption: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) filename: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) sha256: Option<String>,
    #[serde(deserialize_with = "lenient::flag")]
    pub(in crate::engine::cloud_api) voice: bool,
}

/// What became of a message of ours.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::engine::cloud_api) struct Status {
    #[serde(deserialize_with = "lenient::word")]
    pub(in crate::engine::cloud_api) id: String,
    #[serde(deserialize_with = "lenient::word")]
    pub(in crate::engine::cloud_api) status: String,
    pub(in crate::engine::cloud_api) timestamp: Option<Value>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) biz_opaque_callback_data: Option<String>,
    #[serde(deserialize_with = "lenient::list")]
    errors: Vec<Value>,
}

impl Status {
    /// Meta's number of why it failed.
    pub(in crate::engine::cloud_api) fn code(&self) -> Option<i64> {
        self.errors.iter().find_map(|error| lenient::as_number(error.get("code")?))
    }
}

/// A call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::engine::cloud_api) struct Call {
    #[serde(deserialize_with = "lenient::word")]
    pub(in crate::engine::cloud_api) id: String,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) from: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(in crate::engine::cloud_api) from_user_id: Option<String>,
    #[serde(deserialize_with = "lenient::word")]
    pub(in crate::engine::cloud_api) event: String,
    /// Of one that is over and was answered, in seconds.
    pub(in crate::engine::cloud_api) duration: Option<Value>,
}

impl Envelope {
    /// `None` where it is not of a WhatsApp account.
    pub(in crate::engine::cloud_api) fn of(value: Value) -> Option<Self> {
        (value.get("object")? == "whatsapp_business_account").then_some(Self(value))
    }

    /// What it tells of one number, in its order.
    pub(in crate::engine::cloud_api) fn told_of(&self, phone_number_id: &str) -> Vec<CallbackValues> {
        let entries = lenient::as_list(self.0.get("entry"));
        let changes = entries.iter().flat_map(|entry| lenient::as_list(entry.get("changes")));
        let ours = changes.filter(|change| {
            let field = change.get("field").and_then(Value::as_str).unwrap_or_default();
            matches!(field, "messages" | "smb_message_echoes" | "calls")
        });
        ours.filter_map(|change| CallbackValues::of(change.get("value").unwrap_or(&Value::Null), phone_number_id))
            .collect()
    }
}

impl CallbackValues {
    fn of(value: &Value, phone_number_id: &str) -> Option<Self> {
        let mut told = Self::default();
        match value.pointer("/metadata/phone_number_id").and_then(lenient::as_text) {
            Some(id) if id == phone_number_id => {}
            Some(_) => return None,
            None => {
                told.passed_over.push("a change of no number");
                return Some(told);
            }
        }
        told.contacts = told.read_each(value, "contacts");
        told.messages = told.read_each(value, "messages");
        let echoes = told.read_each(value, "message_echoes");
        told.messages.extend(echoes);
        told.statuses = told.read_each(value, "statuses");
        told.calls = told.read_each(value, "calls");
        Some(told)
    }

    fn read_each<T: DeserializeOwned>(&mut self, value: &Value, list: &'static str) -> Vec<T> {
        let entries = lenient::as_list(value.get(list)).iter();
        let read = entries.filter_map(|entry| {
            let read = Some(entry).filter(|entry| entry.is_object());
            let read = read.and_then(|entry| serde_json::from_value(entry.clone()).ok());
            if read.is_none() {
                self.passed_over.push(list);
            }
            read
        });
        read.collect()
    }
}
