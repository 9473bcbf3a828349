//! Chats, as a list of conversations shows them.

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::group::Participant;
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
    /// Who is in the group, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participants: Option<Vec<Participant>>,
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
    /// Until when, while it is silenced; for ever when absent.
    pub muted_until: Option<Millis>,
    /// Where its picture is, where that is known.
    pub profile_pic_url: Option<String>,
    /// When something last happened in it.
    pub timestamp: Millis,
}

impl Chat {
    /// The chat as it is at this moment: what was silenced until an earlier one is not silenced any more.
    #[must_use]
    pub fn as_of(mut self, now: Millis) -> Self {
        if self.muted_until.is_some_and(|until| until <= now) {
            self.muted = false;
            self.muted_until = None;
        }
        self
    }
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
