//! Chats, as a list of conversations shows them.

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::ids::MessageId;
use super::jid::Jid;
use super::message::MessageType;

/// The line under a chat's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastMessage {
    /// Its id.
    pub id: MessageId,
    /// Its text.
    pub body: String,
    /// When it was written.
    pub timestamp: Millis,
    /// Whether our account wrote it.
    pub from_me: bool,
    /// The sender, in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Jid>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: MessageType,
}

/// A chat. `id` and `chatId` are the same on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chat {
    /// Its id.
    pub id: Jid,
    /// The same, under its older name.
    pub chat_id: Jid,
    /// What people call it.
    pub name: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// The newest message.
    pub last_message: Option<LastMessage>,
    /// Incoming messages not yet read.
    pub unread_count: i64,
    /// Pinned to the top.
    pub pinned: bool,
    /// Put away.
    pub archived: bool,
    /// Silenced.
    pub muted: bool,
    /// When something last happened in it.
    pub timestamp: Millis,
}

/// Which chats a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatFilter {
    /// All of them.
    #[default]
    All,
    /// With unread messages.
    Unread,
    /// Groups.
    Groups,
    /// Not groups.
    Private,
    /// Put away.
    Archived,
}
