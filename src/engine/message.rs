//! Messages and changes between an engine and its network, and the outcomes of sends.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::content::Content;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::message::{Message, MessageType};

/// A message to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The permanent id; [`MessageId::network`] is the network id, the same in each attempt.
    pub id: MessageId,
    /// The recipient's chat.
    pub chat: Jid,
    /// The text, or the caption of a file.
    pub body: String,
    /// The content besides the text.
    pub content: Content,
    /// The quoted message.
    pub quoted: Option<Quoted>,
    /// The people mentioned in the text.
    pub mentions: Vec<Jid>,
    /// Whether it is marked as forwarded.
    pub forwarded: bool,
    /// When it was accepted.
    pub timestamp: Millis,
    /// Whether an earlier attempt may have reached the network.
    pub again: bool,
}

/// A quoted message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quoted {
    /// The quoted message's id.
    pub id: MessageId,
    /// The author of the quoted message.
    pub author: Jid,
    /// The text of the quoted message.
    pub body: String,
}

impl From<Message> for Quoted {
    fn from(message: Message) -> Self {
        Self { author: message.author.unwrap_or(message.from), id: message.id, body: message.body }
    }
}

/// The parts of a message that an edit of its text keeps. WhatsApp replaces the whole content by the edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditContext {
    /// The type of the message.
    pub kind: MessageType,
    /// The quoted message.
    pub quoted: Option<Quoted>,
    /// The people mentioned in the text.
    pub mentions: Vec<Jid>,
}

impl EditContext {
    /// The context of a text without quoted message and mentions.
    #[must_use]
    pub fn of_text() -> Self {
        Self { kind: MessageType::Chat, quoted: None, mentions: Vec::new() }
    }

    /// The context of this message.
    #[must_use]
    pub fn of(message: Message) -> Self {
        let quoted = message.quoted_message.map(|quoted| Quoted::from(*quoted));
        Self { kind: message.kind, quoted, mentions: message.mentioned_ids }
    }
}

/// A change that we make to a message at the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageChange {
    /// Edits the text of our message.
    Edit {
        /// The message.
        id: MessageId,
        /// The new text.
        body: String,
        /// The time of the edit.
        at: Millis,
        /// The parts of the message that stay.
        context: Box<EditContext>,
    },
    /// Reacts; an empty `emoji` removes our reaction.
    React {
        /// The message.
        id: MessageId,
        /// The reaction.
        emoji: String,
        /// The time of the reaction.
        at: Millis,
    },
    /// Revokes our message for everyone, or any message as a group's admin.
    Revoke {
        /// The message.
        id: MessageId,
    },
    /// Deletes a message for this account only.
    DeleteForMe {
        /// The message.
        id: MessageId,
    },
    /// Stars or unstars a message.
    Star {
        /// The message.
        id: MessageId,
        /// Whether it is starred from now on.
        on: bool,
    },
    /// Votes in a poll; an empty list removes our vote.
    Vote {
        /// The poll's message.
        id: MessageId,
        /// The chosen options.
        options: Vec<String>,
        /// The time of the vote.
        at: Millis,
    },
}

/// A change to a chat, for the account's other devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatChange {
    /// Archived or unarchived.
    Archive(bool),
    /// Pinned or unpinned.
    Pin(bool),
    /// Muted until a time or forever (`Some(None)`), or unmuted (`None`).
    Mute(Option<Option<Millis>>),
    /// Cleared: its messages were removed.
    Clear,
    /// Deleted with its messages.
    Delete,
}

/// The outcome of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The network accepted the message.
    Sent {
        /// In a group: the recipients.
        participants: Vec<Jid>,
    },
    /// Not accepted now; may be retried with the same id.
    Transient(SendError),
    /// Rejected permanently.
    Permanent(SendError),
    /// The bytes were sent, and the result is missing.
    Unknown(SendError),
}

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SendError {
    /// A stable code in `snake_case`.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// A message from the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incoming {
    /// The network id.
    pub network_id: NetworkId,
    /// The chat of the message.
    pub chat: Jid,
    /// The author; in a group, the member.
    pub from: Jid,
    /// Whether our account is the author, on another device.
    pub from_me: bool,
    /// The text, or the caption of a file.
    pub body: String,
    /// The content besides the text. A file is stored already, by [`MediaStore::save`].
    pub content: Content,
    /// The quoted message.
    pub quoted: Option<Quoted>,
    /// The people mentioned in the text.
    pub mentions: Vec<Jid>,
    /// Whether it is marked as forwarded.
    pub forwarded: bool,
    /// The network's timestamp.
    pub timestamp: Millis,
    /// The author's profile name.
    pub notify_name: Option<String>,
}

impl Incoming {
    /// The permanent id of the message.
    #[must_use]
    pub fn id(&self) -> MessageId {
        let participant = (self.chat.is_group() && !self.from_me).then(|| self.from.clone());
        let (chat, network) = (self.chat.clone(), self.network_id.clone());
        MessageId { from_me: self.from_me, chat, network, participant }
    }

    /// A text to us.
    #[must_use]
    pub fn text(network_id: NetworkId, chat: Jid, from: Jid, body: String, timestamp: Millis) -> Self {
        Self {
            network_id,
            chat,
            from,
            from_me: false,
            body,
            content: Content::Text,
            quoted: None,
            mentions: Vec::new(),
            forwarded: false,
            timestamp,
            notify_name: None,
        }
    }
}

/// A change to a message, made by another person or on another device of this account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncomingChange {
    /// A person reacted; an empty `emoji` removes the reaction.
    Reaction {
        /// The message.
        id: MessageId,
        /// The reacting person.
        from: Jid,
        /// Whether that is our account, on another device.
        from_me: bool,
        /// The reaction.
        emoji: String,
        /// The time of the reaction.
        at: Millis,
    },
    /// A person voted in a poll; an empty list removes the vote.
    Vote {
        /// The poll's message.
        id: MessageId,
        /// The voting person.
        voter: Jid,
        /// The chosen options.
        options: Vec<String>,
        /// The time of the vote.
        at: Millis,
    },
    /// The author edited the text.
    Edited {
        /// The message.
        id: MessageId,
        /// The new text.
        body: String,
        /// The time of the edit.
        at: Millis,
    },
    /// The message was revoked for everyone.
    Revoked {
        /// The message.
        id: MessageId,
    },
    /// The message was starred or unstarred on another device of this account.
    Starred {
        /// The message.
        id: MessageId,
        /// Whether it is starred now.
        on: bool,
    },
    /// The message was deleted for this account only, on another device.
    DeletedForMe {
        /// The message.
        id: MessageId,
    },
}

/// A receipt for our message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingReceipt {
    /// The chat of the message.
    pub chat: Jid,
    /// The message's network id.
    pub network_id: NetworkId,
    /// The acknowledgement level.
    pub ack: Ack,
    /// The recipient who acknowledged, in a group.
    pub participant: Option<Jid>,
    /// The time of the receipt.
    pub timestamp: Millis,
    /// The error, with [`Ack::Error`].
    pub error: Option<SendError>,
}
