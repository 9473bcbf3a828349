//! Callbacks as Meta writes them. What is not named here is passed over; of what is, anything may be absent.

use serde::Deserialize;
use serde_json::Value;

/// A whole callback.
#[derive(Debug, Deserialize)]
pub(in crate::engine::cloud_api) struct Envelope {
    #[serde(default)]
    pub(in crate::engine::cloud_api) object: String,
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(default)]
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Change {
    #[serde(default)]
    field: String,
    #[serde(default)]
    value: Value,
}

/// What one change tells of a number. Messages and the rest are read one by one: one that cannot be read must not
/// keep the others from being heard.
#[derive(Debug, Default, Deserialize)]
pub(in crate::engine::cloud_api) struct Told {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    pub(in crate::engine::cloud_api) contacts: Vec<Contact>,
    #[serde(default)]
    pub(in crate::engine::cloud_api) messages: Vec<Value>,
    #[serde(default)]
    pub(in crate::engine::cloud_api) statuses: Vec<Value>,
    /// Written with the phone's own app by an account that has both.
    #[serde(default)]
    pub(in crate::engine::cloud_api) message_echoes: Vec<Value>,
    #[serde(default)]
    pub(in crate::engine::cloud_api) calls: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    phone_number_id: String,
}

/// Somebody who wrote.
#[derive(Debug, Default, Deserialize)]
pub(in crate::engine::cloud_api) struct Contact {
    #[serde(default)]
    pub(in crate::engine::cloud_api) profile: Profile,
    pub(in crate::engine::cloud_api) wa_id: Option<String>,
    pub(in crate::engine::cloud_api) user_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::engine::cloud_api) struct Profile {
    pub(in crate::engine::cloud_api) name: Option<String>,
}

/// A message. What its type calls for stands under the type's own name.
#[derive(Debug, Default, Deserialize)]
pub(in crate::engine::cloud_api) struct Message {
    #[serde(default)]
    pub(in crate::engine::cloud_api) id: String,
    pub(in crate::engine::cloud_api) from: Option<String>,
    pub(in crate::engine::cloud_api) from_user_id: Option<String>,
    /// Of one that this account wrote on its phone.
    pub(in crate::engine::cloud_api) to: Option<String>,
    pub(in crate::engine::cloud_api) to_user_id: Option<String>,
    pub(in crate::engine::cloud_api) group_id: Option<String>,
    pub(in crate::engine::cloud_api) timestamp: Option<Value>,
    #[serde(default, rename = "type")]
    pub(in crate::engine::cloud_api) kind: String,
    pub(in crate::engine::cloud_api) context: Option<Context>,
    #[serde(flatten)]
    pub(in crate::engine::cloud_api) parts: serde_json::Map<String, Value>,
}

/// What a message answers, and whether it was passed on.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::engine::cloud_api) struct Context {
    pub(in crate::engine::cloud_api) id: Option<String>,
    pub(in crate::engine::cloud_api) from: Option<String>,
    pub(in crate::engine::cloud_api) from_user_id: Option<String>,
    #[serde(default)]
    pub(in crate::engine::cloud_api) forwarded: bool,
    #[serde(default)]
    pub(in crate::engine::cloud_api) frequently_forwarded: bool,
}

/// A file.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::engine::cloud_api) struct File {
    pub(in crate::engine::cloud_api) id: Option<String>,
    pub(in crate::engine::cloud_api) caption: Option<String>,
    pub(in crate::engine::cloud_api) filename: Option<String>,
    #[serde(default)]
    pub(in crate::engine::cloud_api) voice: bool,
}

/// What became of a message of ours.
#[derive(Debug, Default, Deserialize)]
pub(in crate::engine::cloud_api) struct Status {
    #[serde(default)]
    pub(in crate::engine::cloud_api) id: String,
    #[serde(default)]
    pub(in crate::engine::cloud_api) status: String,
    pub(in crate::engine::cloud_api) timestamp: Option<Value>,
    pub(in crate::engine::cloud_api) biz_opaque_callback_data: Option<String>,
    #[serde(default)]
    pub(in crate::engine::cloud_api) errors: Vec<StatusError>,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::engine::cloud_api) struct StatusError {
    pub(in crate::engine::cloud_api) code: Option<i64>,
}

/// A call.
#[derive(Debug, Default, Deserialize)]
pub(in crate::engine::cloud_api) struct Call {
    #[serde(default)]
    pub(in crate::engine::cloud_api) id: String,
    pub(in crate::engine::cloud_api) from: Option<String>,
    pub(in crate::engine::cloud_api) from_user_id: Option<String>,
    #[serde(default)]
    pub(in crate::engine::cloud_api) event: String,
    /// Of one that is over and was answered, in seconds.
    pub(in crate::engine::cloud_api) duration: Option<Value>,
}

impl Envelope {
    /// What it tells of one number, in its order.
    pub(in crate::engine::cloud_api) fn told_of(self, phone_number_id: &str) -> Vec<Told> {
        let changes = self.entry.into_iter().flat_map(|entry| entry.changes);
        let ours = changes
            .filter(|change| matches!(change.field.as_str(), "messages" | "smb_message_echoes" | "calls"))
            .filter_map(|change| serde_json::from_value::<Told>(change.value).ok());
        ours.filter(|told| told.metadata.phone_number_id == phone_number_id).collect()
    }
}
