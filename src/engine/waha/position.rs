//! How far messages were taken in: the position that the vault keeps, behind which nothing is missing.
//!
//! Two things are kept apart: the newest message that was seen, and whether everything before it was taken in. The
//! position is there only once this session asked for what was missed and read all of it; and it never passes a message
//! that is not taken in yet. Times are the server's, and never later than our own clock: a message of next year is none
//! to begin from.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::clock::Millis;
use crate::domain::ids::NetworkId;
use crate::domain::jid::Jid;
use crate::engine::Incoming;

/// Messages that can be on their way at once; what comes beyond is not counted, and not waited for.
const MOST: usize = 5_000;
/// A message on its way holds the position back no further than this.
const HOLDS_MS: i64 = 30 * 86_400_000;
/// How often a message's file is asked for, and how long after the first try at the latest.
const TRIES: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(120);

/// A message's chat and its id there.
type Key = (Jid, NetworkId);

/// The position of one session.
#[derive(Default)]
pub(super) struct Position {
    newest: AtomicI64,
    whole: AtomicBool,
    missing: Mutex<HashMap<Key, Missing>>,
}

struct Missing {
    at: i64,
    tries: u32,
    since: Instant,
}

/// Which try it is to take a message in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Try {
    /// The first is 1.
    pub(super) nth: u32,
    /// Whether there is none after it.
    pub(super) is_last: bool,
    /// Whether there should have been none: whoever asked before did not live to see the answer.
    pub(super) is_beyond: bool,
}

fn key(message: &Incoming) -> Key {
    (message.chat.clone(), message.network_id.clone())
}

impl Position {
    /// A message of this time was seen.
    pub(super) fn saw(&self, at: Millis, now: Millis) {
        self.newest.fetch_max(at.min(now).0, Ordering::Relaxed);
    }

    /// Everything that was missed before this session is there, or on its way.
    pub(super) fn is_whole(&self) {
        self.whole.store(true, Ordering::Relaxed);
    }

    /// A message is on its way: until it is taken in, nothing after it is.
    pub(super) fn misses(&self, message: &Incoming, now: Millis) {
        self.with(message, now, |_| ());
    }

    /// Begins a try to take a message in. It counts whatever becomes of it.
    pub(super) fn begins(&self, message: &Incoming, now: Millis) -> Try {
        let begun = self.with(message, now, |missing| {
            missing.tries = missing.tries.saturating_add(1);
            let is_late = missing.since.elapsed() >= PATIENCE;
            Try {
                nth: missing.tries,
                is_last: is_late || missing.tries >= TRIES,
                is_beyond: missing.tries > TRIES,
            }
        });
        begun.unwrap_or(Try { nth: 1, is_last: true, is_beyond: false })
    }

    /// A message is taken in.
    pub(super) fn took(&self, message: &Incoming, now: Millis) {
        self.saw(message.timestamp, now);
        self.missing().remove(&key(message));
    }

    /// A message needs no taking in.
    pub(super) fn passes(&self, message: &Incoming) {
        self.missing().remove(&key(message));
    }

    /// Up to when nothing is missing, in milliseconds of the server's clock; `None` while that is not known.
    pub(super) fn reached(&self) -> Option<i64> {
        if !self.whole.load(Ordering::Relaxed) {
            return None;
        }
        let newest = self.newest.load(Ordering::Relaxed);
        let held = self.missing().values().map(|missing| missing.at.saturating_sub(1)).min();
        Some(held.map_or(newest, |held| held.min(newest)))
    }

    /// Does something with a message that is on its way; `None` where there are too many.
    fn with<T>(&self, message: &Incoming, now: Millis, then: impl FnOnce(&mut Missing) -> T) -> Option<T> {
        let mut all = self.missing();
        let key = key(message);
        if all.len() >= MOST && !all.contains_key(&key) {
            return None;
        }
        let at = message.timestamp.clamp(now.plus(-HOLDS_MS), now).0;
        Some(then(all.entry(key).or_insert_with(|| Missing { at, tries: 0, since: Instant::now() })))
    }

    fn missing(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Missing>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::waha::convert::message_in;
    use serde_json::json;

    const NOW: Millis = Millis(1_767_225_600_000);

    fn message(id: &str, seconds_ago: i64) -> Incoming {
        let told = json!({
            "id": format!("false_15550100001@c.us_{id}"), "timestamp": NOW.0 / 1_000 - seconds_ago, "body": "Hello",
        });
        message_in::message(&told, None, NOW).unwrap().incoming
    }

    #[test]
    fn there_is_no_position_before_what_was_missed_was_read() {
        let position = Position::default();
        let live = message("A", 0);
        position.begins(&live, NOW);
        position.took(&live, NOW);
        assert_eq!(position.reached(), None);
        position.is_whole();
        assert_eq!(position.reached(), Some(NOW.0));
    }

    #[test]
    fn it_passes_nothing_that_is_on_its_way_and_no_time_that_is_to_come() {
        let position = Position::default();
        position.is_whole();
        let (early, live) = (message("A", 60), message("B", 0));
        position.begins(&early, NOW);
        position.took(&live, NOW);
        assert_eq!(position.reached(), Some(NOW.0 - 60_001));
        position.took(&early, NOW);
        assert_eq!(position.reached(), Some(NOW.0));
        position.saw(NOW.plus(365 * 86_400_000), NOW);
        assert_eq!(position.reached(), Some(NOW.0));
        position.misses(&message("C", 90 * 86_400), NOW);
        assert_eq!(position.reached(), Some(NOW.0 - HOLDS_MS - 1));
    }

    #[tokio::test(start_paused = true)]
    async fn tries_are_counted_for_each_message_and_end() {
        let position = Position::default();
        let (one, other) = (message("A", 0), message("B", 0));
        let all: Vec<Try> = (0..=TRIES).map(|_| position.begins(&one, NOW)).collect();
        assert_eq!(all.iter().position(|one| one.is_last), Some(TRIES as usize - 1));
        assert_eq!(all.iter().position(|one| one.is_beyond), Some(TRIES as usize));
        assert!(!position.begins(&other, NOW).is_last);
        tokio::time::advance(PATIENCE).await;
        assert!(position.begins(&other, NOW).is_last, "it waited long enough");
    }
}
