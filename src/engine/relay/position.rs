//! The log position of an upstream: the newest observed one, held back by messages that are not ingested yet.
//!
//! Nothing is committed before [`LogPosition::mark_complete`], so that a session with an unfinished backfill
//! does not change the stored position.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::Hash;

/// Messages that can hold the position back at once; further ones do not.
const MAX_HELD: usize = 5_000;

/// The position of one session. `K` identifies a message that holds it back; `P` is a sequence number
/// or a time.
pub(crate) struct LogPosition<K, P>(Mutex<PositionState<K, P>>);

struct PositionState<K, P> {
    newest: Option<P>,
    is_complete: bool,
    /// For each message that is not ingested: from where to read again.
    held: HashMap<K, P>,
}

impl<K, P> Default for LogPosition<K, P> {
    fn default() -> Self {
        Self(Mutex::new(PositionState { newest: None, is_complete: false, held: HashMap::new() }))
    }
}

impl<K: Eq + Hash, P: Copy + Ord> LogPosition<K, P> {
    /// Records that an entry at this position was ingested.
    pub(crate) fn observe(&self, position: P) {
        let mut state = self.state();
        state.newest = state.newest.max(Some(position));
    }

    /// Allows commits: every entry before the newest position is ingested, or holds the position back.
    pub(crate) fn mark_complete(&self) {
        self.state().is_complete = true;
    }

    /// Holds the position back at `resume_at` until `key` is released. A second call for the same key
    /// changes nothing.
    pub(crate) fn hold(&self, key: K, resume_at: P) {
        let mut state = self.state();
        if state.held.len() < MAX_HELD {
            state.held.entry(key).or_insert(resume_at);
        }
    }

    /// Whether `key` holds the position back.
    pub(crate) fn is_held(&self, key: &K) -> bool {
        self.state().held.contains_key(key)
    }

    /// Releases the position: the message is ingested, or needs no ingestion.
    pub(crate) fn release(&self, key: &K) {
        self.state().held.remove(key);
    }

    /// The position that may be stored; `None` while the session is not complete or has observed nothing.
    pub(crate) fn commit(&self) -> Option<P> {
        let state = self.state();
        let newest = state.newest.filter(|_| state.is_complete)?;
        Some(state.held.values().min().map_or(newest, |held| newest.min(*held)))
    }

    fn state(&self) -> MutexGuard<'_, PositionState<K, P>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_session_commits_nothing() {
        let position: LogPosition<&str, i64> = LogPosition::default();
        position.observe(5);
        assert_eq!(position.commit(), None);
        position.mark_complete();
        assert_eq!(position.commit(), Some(5));
        position.observe(3);
        assert_eq!(position.commit(), Some(5));
    }

    #[test]
    fn position_stays_before_the_first_held_message() {
        let position = LogPosition::default();
        position.mark_complete();
        position.observe(4);
        position.hold("A", 4);
        position.observe(5);
        position.hold("B", 5);
        position.hold("A", 9);
        position.observe(6);
        assert_eq!(position.commit(), Some(4));
        position.release(&"A");
        assert_eq!(position.commit(), Some(5));
        position.release(&"B");
        assert_eq!(position.commit(), Some(6));
    }

    #[test]
    fn held_messages_are_bounded() {
        let position = LogPosition::default();
        position.mark_complete();
        position.observe(10_000);
        (1..=MAX_HELD + 1).rev().for_each(|n| position.hold(n, n));
        assert_eq!(position.commit(), Some(2), "the last one did not fit");
    }
}
