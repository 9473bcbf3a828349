//! Rate-limits repeated log messages and counts how many were suppressed. The number of tracked messages is
//! bounded.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;

use super::clock::Millis;

/// Minimum time between two equal log messages, in milliseconds.
const MIN_PAUSE_MS: i64 = 60_000;
/// Maximum number of tracked messages. At the limit, new messages are suppressed until an entry expires.
const MAX_MESSAGES: usize = 1_000;

/// Tracks when each message was last logged.
#[derive(Debug)]
pub struct LogThrottle<K>(Mutex<HashMap<K, ThrottleState>>);

#[derive(Debug)]
struct ThrottleState {
    at: Millis,
    suppressed: u64,
}

impl<K> Default for LogThrottle<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> LogThrottle<K> {
    /// Whether to log the message now. `Some` has the number of messages suppressed since the last one.
    pub fn now(&self, message: K, now: Millis) -> Option<u64> {
        let mut all = self.0.lock();
        if let Some(entry) = all.get_mut(&message) {
            if is_recent(entry.at, now) {
                entry.suppressed = entry.suppressed.saturating_add(1);
                return None;
            }
            entry.at = now;
            return Some(std::mem::take(&mut entry.suppressed));
        }
        if all.len() >= MAX_MESSAGES {
            all.retain(|_, entry| is_recent(entry.at, now));
        }
        if all.len() >= MAX_MESSAGES {
            return None;
        }
        all.insert(message, ThrottleState { at: now, suppressed: 0 });
        Some(0)
    }
}

/// Whether the pause since the last message has not ended. A time in the future means that the clock was set
/// back, so it does not count as recent.
fn is_recent(logged_at: Millis, now: Millis) -> bool {
    (0..MIN_PAUSE_MS).contains(&now.since(logged_at))
}

#[cfg(test)]
mod tests {
    use super::super::log_throttle::*;

    #[test]
    fn repeated_message_is_limited_and_counted() {
        let throttle = LogThrottle::default();
        assert_eq!((throttle.now("a", Millis(0)), throttle.now("b", Millis(0))), (Some(0), Some(0)));
        assert_eq!((throttle.now("a", Millis(1)), throttle.now("a", Millis(2))), (None, None));
        assert_eq!(throttle.now("a", Millis(MIN_PAUSE_MS)), Some(2));
        assert_eq!(throttle.now("a", Millis(2 * MIN_PAUSE_MS)), Some(0));
        assert_eq!(throttle.now("a", Millis(5)), Some(0), "the clock was set back");
    }

    #[test]
    fn entries_are_bounded() {
        let throttle = LogThrottle::default();
        assert!((0..MAX_MESSAGES).all(|n| throttle.now(n, Millis(0)).is_some()));
        assert_eq!(throttle.now(MAX_MESSAGES, Millis(1)), None);
        assert_eq!(throttle.now(MAX_MESSAGES, Millis(MIN_PAUSE_MS)), Some(0));
    }
}
