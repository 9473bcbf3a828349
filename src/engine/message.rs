//! Messages between an engine and its network, in our words, and what became of them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::content::Content;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;

/// A message for the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Its permanent id; [`MessageId::network`] is the network's id, the same at every try.
    pub id: MessageId,
    /// Where it goes.
    pub chat: Jid,
    /// The text, or the caption of a file.
    pub body: String,
    /// What it consists of besides.
    pub content: Content,
    /// The message that it answers.
    pub quoted: Option<Quoted>,
    /// Who is mentioned in the text.
    pub mentions: Vec<Jid>,
    /// Whether it is marked as forwarded.
    pub forwarded: bool,
    /// When it was accepted here.
    pub timestamp: Millis,
    /// Whether a try went before, of which the network may have nothing, a part or all.
    pub again: bool,
}

/// The message that another one answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quoted {
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub author: Jid,
    /// Its text.
    pub body: String,
}

/// A change to a message that the network has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageChange {
    /// A new text; for messages of ours.
    Edit {
        /// Which.
        id: MessageId,
        /// The new text.
        body: String,
        /// When.
        at: Millis,
    },
    /// Our reaction; empty takes it back.
    React {
        /// To which.
        id: MessageId,
        /// With what.
        emoji: String,
        /// When.
        at: Millis,
    },
    /// Takes a message back for everyone; for messages of ours, and as a group's admin.
    Revoke {
        /// Which.
        id: MessageId,
    },
    /// Removes it from this account only.
    DeleteForMe {
        /// Which.
        id: MessageId,
    },
    /// Stars it, or not any more.
    Star {
        /// Which.
        id: MessageId,
        /// Whether.
        on: bool,
    },
    /// Our vote in a poll; empty takes it back.
    Vote {
        /// The poll's message.
        id: MessageId,
        /// The chosen answers.
        options: Vec<String>,
        /// When.
        at: Millis,
    },
}

/// What was done to a chat here, for the account's other devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatChange {
    /// Put away, or brought back.
    Archive(bool),
    /// Pinned to the top, or not any more.
    Pin(bool),
    /// Silenced until then (`Some(None)`: for ever), or not any more (`None`).
    Mute(Option<Option<Millis>>),
    /// Its messages were removed.
    Clear,
    /// It was removed with its messages.
    Delete,
}

/// What became of a message handed to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The network has it.
    Sent {
        /// In a group: who it goes to.
        participants: Vec<Jid>,
    },
    /// Not now; the same id may be tried again.
    Transient(SendError),
    /// Never.
    Permanent(SendError),
    /// The link broke, or we did, after the bytes left.
    Unknown(SendError),
}

/// Why a message was not sent: a stable code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SendError {
    /// Stable, snake_case.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// A message from the network, in our words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incoming {
    /// The network's id.
    pub network_id: NetworkId,
    /// The chat it stands in.
    pub chat: Jid,
    /// Who wrote it; in a group, the member.
    pub from: Jid,
    /// Whether our account wrote it, on another device.
    pub from_me: bool,
    /// The text, or the caption of a file.
    pub body: String,
    /// What it consists of besides. A file is in the store already, by [`MediaStore::save`].
    pub content: Content,
    /// The message that it answers.
    pub quoted: Option<Quoted>,
    /// Who is mentioned in the text.
    pub mentions: Vec<Jid>,
    /// Whether it is marked as forwarded.
    pub forwarded: bool,
    /// When, by the network's clock.
    pub timestamp: Millis,
    /// The sender's display name.
    pub notify_name: Option<String>,
}

impl Incoming {
    /// A text that somebody wrote to us.
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

/// A receipt for a message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingReceipt {
    /// The chat the message stands in.
    pub chat: Jid,
    /// The network's id of the message.
    pub network_id: NetworkId,
    /// How far it is.
    pub ack: Ack,
    /// Whose receipt, in a group.
    pub participant: Option<Jid>,
    /// When.
    pub timestamp: Millis,
    /// Why it failed, with [`Ack::Error`].
    pub error: Option<SendError>,
}
