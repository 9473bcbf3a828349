//! What would be said again and again is said seldom, with how often it was not.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;

use super::clock::Millis;

/// Between two times that the same is said.
const PAUSE_MS: i64 = 60_000;
/// Different things that are remembered; beyond, nothing new is said until one of them may be said again.
const MOST: usize = 1_000;

/// Remembers when what was said last.
#[derive(Debug)]
pub struct LogThrottle<K>(Mutex<HashMap<K, ThrottleState>>);

#[derive(Debug)]
struct ThrottleState {
    at: Millis,
    left_out: u64,
}

impl<K> Default for LogThrottle<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> LogThrottle<K> {
    /// Whether this is to be said now: then how often it was left out since it was said last.
    pub fn now(&self, what: K, now: Millis) -> Option<u64> {
        let mut all = self.0.lock();
        if let Some(said) = all.get_mut(&what) {
            if is_recent(said.at, now) {
                said.left_out = said.left_out.saturating_add(1);
                return None;
            }
            said.at = now;
            return Some(std::mem::take(&mut said.left_out));
        }
        if all.len() >= MOST {
            all.retain(|_, said| is_recent(said.at, now));
        }
        if all.len() >= MOST {
            return None;
        }
        all.insert(what, ThrottleState { at: now, left_out: 0 });
        Some(0)
    }
}

/// A time that lies ahead is of a clock that was set back since.
fn is_recent(said: Millis, now: Millis) -> bool {
    (0..PAUSE_MS).contains(&now.since(said))
}

#[cfg(test)]
mod tests {
    use super::super::log_throttle::*;

    #[test]
    fn repeated_message_is_limited_and_counted() {
        let seldom = LogThrottle::default();
        assert_eq!((seldom.now("a", Millis(0)), seldom.now("b", Millis(0))), (Some(0), Some(0)));
        assert_eq!((seldom.now("a", Millis(1)), seldom.now("a", Millis(2))), (None, None));
        assert_eq!(seldom.now("a", Millis(PAUSE_MS)), Some(2));
        assert_eq!(seldom.now("a", Millis(2 * PAUSE_MS)), Some(0));
        assert_eq!(seldom.now("a", Millis(5)), Some(0), "the clock was set back");
    }

    #[test]
    fn entries_are_bounded() {
        let seldom = LogThrottle::default();
        assert!((0..MOST).all(|n| seldom.now(n, Millis(0)).is_some()));
        assert_eq!(seldom.now(MOST, Millis(1)), None);
        assert_eq!(seldom.now(MOST, Millis(PAUSE_MS)), Some(0));
    }
}
