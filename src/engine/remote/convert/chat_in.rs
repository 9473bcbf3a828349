//! Converts a chat to its flags, and two states of the flags to the changes between them.

use serde::{Deserialize, Serialize};

use super::wire::WireChat;
use crate::domain::clock::Millis;
use crate::engine::ChatChange;

/// The flags of a chat. The form is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ChatFlags {
    pub archived: bool,
    pub pinned: bool,
    pub muted: bool,
    #[serde(default)]
    pub muted_until: Option<i64>,
}

impl From<&WireChat> for ChatFlags {
    fn from(chat: &WireChat) -> Self {
        let muted_until = chat.muted_until.filter(|_| chat.muted);
        Self { archived: chat.archived, pinned: chat.pinned, muted: chat.muted, muted_until }
    }
}

/// The changes between two states.
pub(in super::super) fn changes(before: ChatFlags, now: ChatFlags) -> Vec<ChatChange> {
    let mut changes = Vec::new();
    if before.archived != now.archived {
        changes.push(ChatChange::Archive(now.archived));
    }
    if before.pinned != now.pinned {
        changes.push(ChatChange::Pin(now.pinned));
    }
    if (before.muted, before.muted_until) != (now.muted, now.muted_until) {
        changes.push(ChatChange::Mute(now.muted.then(|| now.muted_until.map(Millis))));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_become_changes() {
        let before = ChatFlags { archived: true, ..ChatFlags::default() };
        let now = ChatFlags { pinned: true, muted: true, muted_until: Some(9), ..ChatFlags::default() };
        assert_eq!(
            changes(before, now),
            [ChatChange::Archive(false), ChatChange::Pin(true), ChatChange::Mute(Some(Some(Millis(9))))]
        );
        assert!(changes(now, now).is_empty());
        let forever = ChatFlags { muted: true, ..ChatFlags::default() };
        assert_eq!(changes(forever, ChatFlags::default()), [ChatChange::Mute(None)]);
        assert_eq!(changes(ChatFlags::default(), forever), [ChatChange::Mute(Some(None))]);
    }
}
