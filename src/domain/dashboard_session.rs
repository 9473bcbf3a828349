//! The lifetime of dashboard sessions: limited when idle and in all, and never longer than the key's.

use std::fmt;

use super::clock::Millis;

/// A session without requests for this time ends.
pub const IDLE_MS: i64 = 12 * 3_600_000;
/// A session ends after this time.
pub const LIFETIME_MS: i64 = 7 * 24 * 3_600_000;
/// Sessions of one key; a further one replaces the one that was not used for the longest time.
pub const MAX_PER_KEY: usize = 20;

/// The SHA-256 of a session's cookie. It identifies the session and is not a credential.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionHash(pub [u8; 32]);

impl fmt::Debug for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionHash")
    }
}

/// A session of the dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardSession {
    /// The key of its sign-in.
    pub key_id: String,
    /// When it was created.
    pub created_at: Millis,
    /// When a request last used it.
    pub last_used_at: Millis,
    /// Its latest end.
    pub ends_at: Millis,
}

impl DashboardSession {
    /// A session of this key, which may expire.
    #[must_use]
    pub fn new(key_id: String, key_expires_at: Option<Millis>, now: Millis) -> Self {
        let longest = now.plus(LIFETIME_MS);
        let ends_at = key_expires_at.map_or(longest, |end| end.min(longest));
        Self { key_id, created_at: now, last_used_at: now, ends_at }
    }

    /// When it ends without a further request.
    #[must_use]
    pub fn expires_at(&self) -> Millis {
        self.ends_at.min(self.last_used_at.plus(IDLE_MS))
    }

    /// Whether it has ended at `now`.
    #[must_use]
    pub fn is_over(&self, now: Millis) -> bool {
        self.expires_at() <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Millis = Millis(1_000_000);

    #[test]
    fn idle_session_ends_after_twelve_hours() {
        let mut session = DashboardSession::new("k".into(), None, START);
        assert!(!session.is_over(START.plus(IDLE_MS - 1)));
        assert!(session.is_over(START.plus(IDLE_MS)));
        session.last_used_at = START.plus(IDLE_MS - 1);
        assert!(!session.is_over(START.plus(IDLE_MS)));
    }

    #[test]
    fn used_session_ends_after_seven_days() {
        let mut session = DashboardSession::new("k".into(), None, START);
        session.last_used_at = START.plus(LIFETIME_MS - 1);
        assert_eq!(session.expires_at(), START.plus(LIFETIME_MS));
    }

    #[test]
    fn session_ends_with_its_key() {
        let session = DashboardSession::new("k".into(), Some(START.plus(5)), START);
        assert!(!session.is_over(START.plus(4)));
        assert!(session.is_over(START.plus(5)));
    }
}
