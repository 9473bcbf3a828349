//! What was done to a chat, as far as the chat itself tells.

use serde::{Deserialize, Serialize};

use super::wire::WireChat;
use crate::domain::clock::Millis;
use crate::engine::ChatChange;

/// What the upstream last told of a chat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Flags {
    pub archived: bool,
    pub pinned: bool,
    pub muted: bool,
    #[serde(default)]
    pub muted_until: Option<i64>,
}

impl From<&WireChat> for Flags {
    fn from(chat: &WireChat) -> Self {
        let muted_until = chat.muted_until.filter(|_| chat.muted);
        Self { archived: chat.archived, pinned: chat.pinned, muted: chat.muted, muted_until }
    }
}

/// What was done between the two.
pub(in super::super) fn changes(before: Flags, now: Flags) -> Vec<ChatChange> {
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
    fn only_what_is_different_was_done() {
        let before = Flags { archived: true, ..Flags::default() };
        let now = Flags { pinned: true, muted: true, muted_until: Some(9), ..Flags::default() };
        assert_eq!(
            changes(before, now),
            [ChatChange::Archive(false), ChatChange::Pin(true), ChatChange::Mute(Some(Some(Millis(9))))]
        );
        assert!(changes(now, now).is_empty());
        let forever = Flags { muted: true, ..Flags::default() };
        assert_eq!(changes(forever, Flags::default()), [ChatChange::Mute(None)]);
        assert_eq!(changes(Flags::default(), forever), [ChatChange::Mute(Some(None))]);
    }
}
