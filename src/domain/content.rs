//! What a message consists of besides its text.

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::jid::Jid;
use super::media::{Media, MediaKind, StoredMedia};
use super::message::MessageType;

/// A place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees, -90 to 90.
    pub latitude: f64,
    /// Degrees, -180 to 180.
    pub longitude: f64,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A contact card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactCard {
    /// What people call them.
    pub display_name: String,
    /// The card itself, as RFC 2426 (vCard 3.0) has it.
    pub vcard: String,
}

/// A question with answers to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Poll {
    /// The question.
    pub name: String,
    /// The answers, in order; no two are the same.
    pub options: Vec<String>,
    /// Whether one person may choose several.
    pub allow_multiple_answers: bool,
    /// What people chose so far.
    #[serde(default)]
    pub votes: Vec<PollVote>,
}

/// What one person chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PollVote {
    /// Who.
    pub voter: Jid,
    /// Which answers; none when they took their choice back.
    pub options: Vec<String>,
    /// When.
    pub timestamp: Millis,
}

/// What a message consists of. The text itself, or a file's caption, is the message's body.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Nothing but the text.
    Text,
    /// A file.
    Media(Attachment),
    /// A place.
    Location(Location),
    /// Contact cards, at least one.
    Contacts(Vec<ContactCard>),
    /// A poll.
    Poll(Poll),
    /// Something this version does not know; the type says as much as is known.
    Other(MessageType),
}

/// A file that is in the store, as what it is sent, and its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    /// As what.
    pub kind: MediaKind,
    /// The file.
    pub file: StoredMedia,
    /// What the sender calls it.
    pub filename: Option<String>,
}

impl Content {
    /// The type of a message that consists of this.
    #[must_use]
    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Text => MessageType::Chat,
            Self::Media(attachment) => attachment.kind.message_type(),
            Self::Location(_) => MessageType::Location,
            Self::Contacts(_) => MessageType::Vcard,
            Self::Poll(_) => MessageType::PollCreation,
            Self::Other(kind) => *kind,
        }
    }
}

impl From<Attachment> for Media {
    fn from(attachment: Attachment) -> Self {
        let Attachment { kind, file, filename } = attachment;
        Self { kind, file, filename, available: true, links: None }
    }
}
