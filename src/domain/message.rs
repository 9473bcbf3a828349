//! Messages, as they stand in the store and on the wire.

use serde::{Deserialize, Serialize};

use super::ack::{Ack, Status};
use super::clock::Millis;
use super::ids::MessageId;
use super::jid::Jid;

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

/// A message. Fields of media, quotes and reactions come with what carries them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// How far one recipient is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
