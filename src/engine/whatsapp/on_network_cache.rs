//! Caches whether people are on the network. Answers expire; a full cache is cleared.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::domain::jid::Jid;

/// Cached people; when it is full, the cache is cleared.
const MOST: usize = 10_000;
/// How long a positive answer is valid.
const THERE: Duration = Duration::from_secs(24 * 3_600);
/// How long a negative answer is valid; people may join at any time.
const MISSING: Duration = Duration::from_secs(300);

/// Cached answers with their expiry.
#[derive(Default)]
pub(super) struct OnNetworkCache(Mutex<HashMap<Jid, (bool, Instant)>>);

impl OnNetworkCache {
    /// The answer for a person, unless it has expired.
    pub(super) fn lookup(&self, person: &Jid, now: Instant) -> Option<bool> {
        self.lock().get(person).filter(|(_, until)| *until > now).map(|(exists, _)| *exists)
    }

    /// Adds an answer.
    pub(super) fn record(&self, person: &Jid, exists: bool, now: Instant) {
        let mut people = self.lock();
        if people.len() >= MOST {
            people.clear();
        }
        people.insert(person.clone(), (exists, now + if exists { THERE } else { MISSING }));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Jid, (bool, Instant)>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positive_answers_are_cached_longer() {
        let (people, now) = (OnNetworkCache::default(), Instant::now());
        let (anna, ben) = (Jid::person("15550100001").unwrap(), Jid::person("15550100002").unwrap());
        people.record(&anna, true, now);
        people.record(&ben, false, now);
        assert_eq!((people.lookup(&anna, now), people.lookup(&ben, now)), (Some(true), Some(false)));
        let later = now + MISSING;
        assert_eq!((people.lookup(&anna, later), people.lookup(&ben, later)), (Some(true), None));
        assert_eq!(people.lookup(&anna, now + THERE), None);
    }

    #[test]
    fn full_cache_is_cleared() {
        let (people, now) = (OnNetworkCache::default(), Instant::now());
        for n in 0..=MOST {
            people.record(&Jid::person(&format!("1555{n:07}")).unwrap(), true, now);
        }
        assert_eq!(people.lock().len(), 1);
    }
}
