//! Messages, as they stand in the store and on the wire.

use serde::{Deserialize, Serialize};

use super::ack::{Ack, Status};
use super::clock::Millis;
use super::content::{Attachment, ContactCard, Content, Location, Poll, Template};
use super::ids::MessageId;
use super::jid::Jid;
use super::media::Media;

/// What a message is. The words are whatsapp-web.js's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// Text.
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
    /// A place.
    Location,
    /// A contact card.
    Vcard,
    /// A poll.
    PollCreation,
    /// A call that took place.
    CallLog,
    /// Taken back for everyone.
    Revoked,
    /// Something this version does not know.
    Unknown,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Permanent id.
    pub id: MessageId,
    /// The chat it stands in.
    pub chat_id: Jid,
    /// Who wrote it; in a group, the group.
    pub from: Jid,
    /// Whom it went to.
    pub to: Jid,
    /// The sender, in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Jid>,
    /// Whether our account wrote it.
    pub from_me: bool,
    /// The text.
    pub body: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// When it was written, by the network's clock.
    pub timestamp: Millis,
    /// How far it has come.
    pub ack: Ack,
    /// Whether a file belongs to it.
    pub has_media: bool,
    /// The file.
    #[serde(flatten, default)]
    pub media: Option<Media>,
    /// The place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The contact cards.
    #[serde(default, rename = "vCards", skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<ContactCard>,
    /// The poll, with what people chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// The template that it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// The message that this one answers, as it was then; without what that one answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted_message: Option<Box<Self>>,
    /// Whether it was forwarded.
    pub is_forwarded: bool,
    /// Whether somebody here starred it.
    pub is_starred: bool,
    /// Whether its text was changed after it was sent.
    pub is_edited: bool,
    /// The sender's display name; the number where none is known.
    pub notify_name: String,
    /// Who is mentioned. Dashboards go through the list without looking whether it is there.
    #[serde(default)]
    pub mentioned_ids: Vec<Jid>,
    /// How people reacted. As above.
    #[serde(default)]
    pub reactions: Vec<Reaction>,
}

/// One person's reaction to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reaction {
    /// What.
    pub emoji: String,
    /// Whose.
    pub from: Jid,
    /// Whether it is our account's.
    pub from_me: bool,
}

impl Message {
    /// Puts in what the message consists of; its type and `has_media` follow.
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

    /// What the message consists of besides its text.
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

    /// The message as another one quotes it: as it now is, without what it answers itself.
    #[must_use]
    pub fn as_quote(self) -> Self {
        Self { quoted_message: None, reactions: Vec::new(), ..self }
    }

    /// What is left of a message that was taken back for everyone.
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

/// How far one recipient is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Who.
    pub participant: Jid,
    /// How far.
    pub ack: Ack,
    /// Since when.
    pub timestamp: Millis,
}

/// Why a message failed: a stable code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendFailure {
    /// Stable, snake_case.
    pub code: String,
    /// For people.
    pub message: String,
}

/// A message with all that is known of its delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackedMessage {
    /// The message.
    pub message: Message,
    /// Its step, for messages sent through this daemon.
    pub status: Status,
    /// Why it failed.
    pub failure: Option<SendFailure>,
    /// Per-recipient receipts.
    pub receipts: Vec<Receipt>,
}
