//! The parts of a sent message besides its text, as the ledger stores them and the control API shows them.
//!
//! Limits that both directions share are here.

use serde::Serialize;

use crate::domain::content::{Attachment, ContactCard, Content, Location, Poll};
use crate::domain::ids::NetworkId;
use crate::domain::jid::Jid;
use crate::domain::media::{Dimensions, MediaHash, MediaKind};
use crate::domain::message::MessageType;
use crate::engine::Outgoing;

/// The longest text in bytes.
pub(super) const MAX_BODY: usize = 65_536;
/// The longest emoji in bytes: families and flags have many code points.
pub(super) const MAX_EMOJI: usize = 64;

/// The parts of a message from the device.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageParts {
    #[serde(rename = "type")]
    kind: MessageType,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<ReceivedFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contacts: Vec<ContactCard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<Poll>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quoted_network_id: Option<NetworkId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<Jid>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    forwarded: bool,
}

/// A file as it arrived in the network.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceivedFile {
    /// Computed from the bytes that arrived.
    sha256: MediaHash,
    /// The number of bytes that arrived.
    filesize: u64,
    mimetype: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<Dimensions>,
    as_voice: bool,
    as_sticker: bool,
    as_document: bool,
}

impl ReceivedFile {
    /// Describes a file by its attachment and by the bytes that arrived.
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
    /// The parts of a message with the file that arrived.
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

/// The text that a contact echoes: the body, or else the name of a poll or the type.
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
