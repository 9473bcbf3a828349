//! A session of operator chat, which a client can recover after it lost its connection.

use super::dialect::Dialect;
use super::ids::{ConversationId, UserPk};
use crate::domain::clock::Millis;

/// A stored session. Its user and dialect never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChatSession {
    /// The session's number, which is never shown and never used again.
    pub pk: i64,
    /// The user.
    pub user: UserPk,
    /// The wire format.
    pub dialect: Dialect,
    /// The position of the chat log at its begin.
    pub started_after: i64,
    /// When its socket was closed; none while it is connected, and after a crash of the daemon.
    pub closed_at: Option<Millis>,
}

/// A conversation that a session joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRoom {
    /// The conversation.
    pub conversation: ConversationId,
    /// The position of the chat log at the join; the session gets later entries.
    pub joined_after: i64,
    /// Whether it was joined by the id of the other user.
    pub by_peer: bool,
}

impl StoredChatSession {
    /// Whether a client of this user and dialect can recover the session. `closed_at` is its end, or now for a
    /// session whose socket is still connected.
    #[must_use]
    pub fn is_recoverable(
        &self,
        user: UserPk,
        dialect: Dialect,
        closed_at: Millis,
        now: Millis,
        resume_ms: i64,
    ) -> bool {
        // A clock that was set back does not end a session.
        self.user == user && self.dialect == dialect && now.since(closed_at) <= resume_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_is_recovered_by_its_user_in_its_dialect_in_time() {
        let session = StoredChatSession {
            pk: 1,
            user: UserPk(7),
            dialect: Dialect::Root,
            started_after: 0,
            closed_at: Some(Millis(1_000)),
        };
        let recoverable = |user, dialect, now| {
            session.is_recoverable(UserPk(user), dialect, Millis(1_000), Millis(now), 100)
        };
        assert!(recoverable(7, Dialect::Root, 1_100) && recoverable(7, Dialect::Root, 500));
        assert!(!recoverable(7, Dialect::Root, 1_101));
        assert!(!recoverable(8, Dialect::Root, 1_000));
        assert!(!recoverable(7, Dialect::Namespace, 1_000));
    }
}
