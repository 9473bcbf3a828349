//! Messages, in the form that the store and the wire use. Message ids are permanent.

use serde::{Deserialize, Serialize};

use super::ack::{Ack, Status};
use super::clock::Millis;
use super::content::{Attachment, ContactCard, Content, Location, Poll, Template};
use super::ids::MessageId;
use super::jid::Jid;
use super::media::Media;

/// The type of a message, with the names of whatsapp-web.js.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// A text message.
    Chat,
    /// A picture.
    Image,
    /// A video.
    Video,
    /// A sound file.
    Audio,
    /// A voice note.
    Ptt,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
    /// A location.
    Location,
    /// A contact card.
    Vcard,
    /// A poll.
    PollCreation,
    /// A past call.
    CallLog,
    /// A message that was revoked for everyone.
    Revoked,
    /// A type that this version does not support.
    Unknown,
}

impl MessageType {
    /// Whether messages of this type have a file.
    #[must_use]
    pub fn is_file(self) -> bool {
        use MessageType::{Audio, Document, Image, Ptt, Sticker, Video};
        matches!(self, Image | Video | Audio | Ptt | Document | Sticker)
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The permanent id.
    pub id: MessageId,
    /// The chat of the message.
    pub chat_id: Jid,
    /// The sender; in a group, the group's id.
    pub from: Jid,
    /// The recipient.
    pub to: Jid,
    /// The sender, in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Jid>,
    /// Whether our account wrote it.
    pub from_me: bool,
    /// The text.
    pub body: String,
    /// The message type.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// When it was written, by the network's clock.
    pub timestamp: Millis,
    /// The acknowledgement level.
    pub ack: Ack,
    /// Whether the message has a file.
    pub has_media: bool,
    /// The file.
    #[serde(flatten, default)]
    pub media: Option<Media>,
    /// The location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The contact cards.
    #[serde(default, rename = "vCards", skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<ContactCard>,
    /// The poll with its votes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// The template from which the message was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// The quoted message at the time of the reply, without its own quoted message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted_message: Option<Box<Self>>,
    /// Whether it was forwarded.
    pub is_forwarded: bool,
    /// Whether the message is starred in this account.
    pub is_starred: bool,
    /// Whether the text was edited after sending.
    pub is_edited: bool,
    /// The sender's display name, or the phone number without one.
    pub notify_name: String,
    /// The mentioned people. Always present, because dashboards iterate over the list without a check.
    #[serde(default)]
    pub mentioned_ids: Vec<Jid>,
    /// The reactions. Always present, because dashboards iterate over the list without a check.
    #[serde(default)]
    pub reactions: Vec<Reaction>,
    /// The user of operator chat who wrote the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_by: Option<SentBy>,
}

/// The user of operator chat who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentBy {
    /// `<identity>:<user id>`.
    pub id: String,
    /// The display name at that time.
    pub name: String,
}

/// One person's reaction to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reaction {
    /// The reaction.
    pub emoji: String,
    /// The person who reacted.
    pub from: Jid,
    /// Whether the device's own account reacted.
    pub from_me: bool,
}

impl Message {
    /// Sets the content, the type and `has_media`.
    #[must_use]
    pub fn with_content(mut self, content: Content) -> Self {
        self.kind = content.message_type();
        self.has_media = matches!(content, Content::Media(_));
        match content {
            Content::Text | Content::Other(_) => {}
            Content::Media(attachment) => self.media = Some(attachment.into()),
            Content::Location(location) => self.location = Some(location),
            Content::Contacts(contacts) => self.contacts = contacts,
            Content::Poll(poll) => self.poll = Some(poll),
            Content::Template(template) => self.template = Some(template),
        }
        self
    }

    /// The content of the message besides its text.
    #[must_use]
    pub fn content(&self) -> Content {
        if let Some(media) = self.media.clone() {
            let Media { kind, file, filename, .. } = media;
            return Content::Media(Attachment { kind, file, filename });
        }
        match (&self.location, &self.poll, &self.template) {
            (Some(location), ..) => Content::Location(location.clone()),
            (_, Some(poll), _) => Content::Poll(Poll { votes: Vec::new(), ..poll.clone() }),
            (.., Some(template)) => Content::Template(template.clone()),
            _ if !self.contacts.is_empty() => Content::Contacts(self.contacts.clone()),
            _ if self.kind == MessageType::Chat => Content::Text,
            _ => Content::Other(self.kind),
        }
    }

    /// The current message in its quoted form, without its own quoted message and reactions.
    #[must_use]
    pub fn as_quote(self) -> Self {
        Self { quoted_message: None, reactions: Vec::new(), sent_by: None, ..self }
    }

    /// The message after it was revoked for everyone: without text, content and reactions.
    #[must_use]
    pub fn revoked(self) -> Self {
        Self {
            body: String::new(),
            kind: MessageType::Revoked,
            has_media: false,
            media: None,
            location: None,
            contacts: Vec::new(),
            poll: None,
            template: None,
            quoted_message: None,
            mentioned_ids: Vec::new(),
            reactions: Vec::new(),
            is_edited: false,
            ..self
        }
    }
}

/// The acknowledgement of one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The recipient.
    pub participant: Jid,
    /// The acknowledgement level of the recipient.
    pub ack: Ack,
    /// When the recipient reached this level.
    pub timestamp: Millis,
}

/// Why a message failed: a stable code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendFailure {
    /// A stable code in snake_case.
    pub code: String,
    /// The failure as a sentence.
    pub message: String,
}

/// A message with its delivery state.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackedMessage {
    /// The message.
    pub message: Message,
    /// The status of a message that was sent through this daemon.
    pub status: Status,
    /// Why the message failed; absent unless it failed.
    pub failure: Option<SendFailure>,
    /// Per-recipient receipts.
    pub receipts: Vec<Receipt>,
}
