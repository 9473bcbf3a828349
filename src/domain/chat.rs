//! Chats as entries of a conversation list. The store computes unread counts and the last message.

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::group::Participant;
use super::ids::MessageId;
use super::jid::Jid;
use super::message::MessageType;

/// The preview of the newest message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastMessage {
    /// The message id.
    pub id: MessageId,
    /// The text of the message.
    pub body: String,
    /// When it was written.
    pub timestamp: Millis,
    /// Whether our account wrote it.
    pub from_me: bool,
    /// The sender, in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Jid>,
    /// The message type.
    #[serde(rename = "type")]
    pub kind: MessageType,
}

/// A chat. `id` and `chatId` are the same on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chat {
    /// The chat id.
    pub id: Jid,
    /// The same id under its older field name.
    pub chat_id: Jid,
    /// The display name.
    pub name: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// The participants of a group; present only when the request includes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participants: Option<Vec<Participant>>,
    /// The newest message.
    pub last_message: Option<LastMessage>,
    /// Incoming messages not yet read.
    pub unread_count: i64,
    /// Whether the chat is pinned to the top of the list.
    pub pinned: bool,
    /// Whether the chat is archived.
    pub archived: bool,
    /// Whether the chat is muted.
    pub muted: bool,
    /// When the mute ends; a muted chat without this time stays muted.
    pub muted_until: Option<Millis>,
    /// The URL of the chat's picture, if the device has one.
    pub profile_pic_url: Option<String>,
    /// When the chat was last active.
    pub timestamp: Millis,
}

impl Chat {
    /// The chat at `now`: clears an expired mute.
    #[must_use]
    pub fn as_of(mut self, now: Millis) -> Self {
        if self.muted_until.is_some_and(|until| until <= now) {
            self.muted = false;
            self.muted_until = None;
        }
        self
    }
}

/// Restricts a list of chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatFilter {
    /// All chats.
    #[default]
    All,
    /// Chats with unread messages.
    Unread,
    /// Only groups.
    Groups,
    /// Only chats that are not groups.
    Private,
    /// Only archived chats.
    Archived,
}
