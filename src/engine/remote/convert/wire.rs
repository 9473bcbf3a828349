//! The upstream's JSON. Unreadable fields count as absent, because older back ends omit many.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::domain::content::{ContactCard, Location, PollVote};
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;

/// An optional field; an unreadable value counts as absent.
fn loose<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(d: D) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(d)?;
    Ok(serde_json::from_value(value).ok())
}

/// A list without its unreadable values.
fn loose_list<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(d: D) -> Result<Vec<T>, D::Error> {
    let value = Value::deserialize(d)?;
    let items = if let Value::Array(items) = value { items } else { Vec::new() };
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct WireMessage {
    pub id: MessageId,
    #[serde(default, deserialize_with = "loose")]
    pub chat_id: Option<Jid>,
    #[serde(default, deserialize_with = "loose")]
    pub from: Option<Jid>,
    #[serde(default, deserialize_with = "loose")]
    pub author: Option<Jid>,
    #[serde(default, deserialize_with = "loose")]
    pub body: Option<String>,
    #[serde(default, deserialize_with = "loose", rename = "type")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "loose")]
    pub timestamp: Option<i64>,
    #[serde(default, deserialize_with = "loose")]
    pub ack: Option<i64>,
    #[serde(default)]
    pub has_media: bool,
    #[serde(default, deserialize_with = "loose")]
    pub mimetype: Option<String>,
    #[serde(default, deserialize_with = "loose")]
    pub filename: Option<String>,
    #[serde(default, deserialize_with = "loose")]
    pub location: Option<Location>,
    #[serde(default, deserialize_with = "loose_list", rename = "vCards")]
    pub cards: Vec<ContactCard>,
    #[serde(default, deserialize_with = "loose")]
    pub poll: Option<WirePoll>,
    #[serde(default, deserialize_with = "loose")]
    pub quoted_message: Option<Box<WireMessage>>,
    #[serde(default, deserialize_with = "loose_list")]
    pub mentioned_ids: Vec<Jid>,
    #[serde(default, deserialize_with = "loose_list")]
    pub reactions: Vec<WireReaction>,
    #[serde(default)]
    pub is_forwarded: bool,
    #[serde(default)]
    pub is_starred: bool,
    #[serde(default)]
    pub is_edited: bool,
    #[serde(default, deserialize_with = "loose")]
    pub notify_name: Option<String>,
    /// This and the following fields are only in answers about one message.
    #[serde(default, deserialize_with = "loose")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "loose")]
    pub code: Option<String>,
    #[serde(default, deserialize_with = "loose")]
    pub error: Option<String>,
    #[serde(default, deserialize_with = "loose_list")]
    pub receipts: Vec<WireReceipt>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct WirePoll {
    pub name: String,
    pub options: Vec<String>,
    #[serde(default)]
    pub allow_multiple_answers: bool,
    #[serde(default, deserialize_with = "loose_list")]
    pub votes: Vec<PollVote>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct WireReaction {
    pub emoji: String,
    pub from: Jid,
    #[serde(default)]
    pub from_me: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(in super::super) struct WireReceipt {
    pub participant: Jid,
    pub ack: i64,
    #[serde(default)]
    pub timestamp: i64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct WireChat {
    pub id: Jid,
    #[serde(default, deserialize_with = "loose")]
    pub name: Option<String>,
    #[serde(default)]
    pub archived: bool,
    #[serde(default)]
    pub pinned: bool,
    #[serde(default)]
    pub muted: bool,
    #[serde(default, deserialize_with = "loose")]
    pub muted_until: Option<i64>,
    #[serde(default, deserialize_with = "loose")]
    pub timestamp: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct WireDevice {
    /// Older back ends have `status` only.
    #[serde(default, deserialize_with = "loose")]
    pub state: Option<String>,
    #[serde(default, deserialize_with = "loose")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "loose")]
    pub reason: Option<String>,
    #[serde(default, deserialize_with = "loose")]
    pub phone_number: Option<String>,
    #[serde(default, deserialize_with = "loose")]
    pub client_name: Option<String>,
    /// In any form; it is only compared.
    #[serde(default)]
    pub created_at: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct WireLogPage {
    pub data: Vec<Value>,
    pub newest_seq: i64,
    #[serde(default)]
    pub next_after: i64,
    #[serde(default)]
    pub has_more: bool,
    #[serde(default)]
    pub resync: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct WireEntry {
    pub seq: i64,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub timestamp: i64,
    pub payload: Value,
}

/// A group in a list.
#[derive(Debug, Deserialize)]
pub(in super::super) struct WireGroupId {
    pub id: Jid,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn message_with_unreadable_fields_is_read() {
        let message: WireMessage = serde_json::from_value(json!({
            "id": "false_15550100001@c.us_A1", "body": "hi", "author": null, "ack": "two", "mentionedIds": [5, "15550100002@c.us"],
            "quotedMessage": { "body": "no id" },
        }))
        .unwrap();
        assert_eq!((message.body.as_deref(), message.ack), (Some("hi"), None));
        assert_eq!((message.mentioned_ids.len(), message.quoted_message), (1, None));
    }
}
