//! What messages consist of, as the journal keeps it and the control API shows it.

use serde::{Deserialize, Serialize};

use crate::domain::content::{Attachment, ContactCard, Content, Location, Poll};
use crate::domain::ids::NetworkId;
use crate::domain::jid::Jid;
use crate::domain::media::{Dimensions, MediaHash, MediaKind};
use crate::domain::message::MessageType;
use crate::engine::Outgoing;

/// What a message from the device consists of besides its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageParts {
    #[serde(rename = "type", default = "chat")]
    kind: MessageType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media: Option<ReceivedFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    contacts: Vec<ContactCard>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    poll: Option<Poll>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quoted_network_id: Option<NetworkId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<Jid>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    forwarded: bool,
}

/// A file as it arrived in the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceivedFile {
    /// Of the bytes that arrived.
    sha256: MediaHash,
    /// How many arrived.
    filesize: u64,
    mimetype: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dimensions: Option<Dimensions>,
    as_voice: bool,
    as_sticker: bool,
    as_document: bool,
}

fn chat() -> MessageType {
    MessageType::Chat
}

impl ReceivedFile {
    /// Of a file of which these bytes arrived.
    pub(super) fn new(attachment: &Attachment, sha256: MediaHash, filesize: u64) -> Self {
        let Attachment { kind, file, filename } = attachment;
        Self {
            sha256,
            filesize,
            mimetype: file.mimetype.clone(),
            filename: filename.clone(),
            duration: file.duration,
            dimensions: file.dimensions,
            as_voice: *kind == MediaKind::Ptt,
            as_sticker: *kind == MediaKind::Sticker,
            as_document: *kind == MediaKind::Document,
        }
    }
}

impl MessageParts {
    /// Of a message whose file, if it has one, arrived as `media`.
    pub(super) fn of(message: &Outgoing, media: Option<ReceivedFile>) -> Self {
        let mut rich = Self {
            kind: message.content.message_type(),
            media,
            location: None,
            contacts: Vec::new(),
            poll: None,
            quoted_network_id: message.quoted.as_ref().map(|quoted| quoted.id.network.clone()),
            mentions: message.mentions.clone(),
            forwarded: message.forwarded,
        };
        match &message.content {
            Content::Location(location) => rich.location = Some(location.clone()),
            Content::Contacts(cards) => rich.contacts.clone_from(cards),
            Content::Poll(poll) => rich.poll = Some(poll.clone()),
            Content::Text | Content::Media(_) | Content::Template(_) | Content::Other(_) => {}
        }
        rich
    }
}

/// What a contact repeats of a message: its text, else what it is.
pub(super) fn summary(message: &Outgoing) -> String {
    if !message.body.is_empty() {
        return message.body.clone();
    }
    match &message.content {
        Content::Poll(poll) => poll.name.clone(),
        other => match serde_json::to_value(other.message_type()) {
            Ok(serde_json::Value::String(word)) => word,
            _ => String::new(),
        },
    }
}
