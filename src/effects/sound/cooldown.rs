//! Enforces a minimum interval between two plays of the same sound. Pure.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Limit of tracked names. Above it, expired names are removed, or all if none expired.
const MAX_NAMES: usize = 64;

/// Time of the last play by name.
#[derive(Debug, Default)]
pub(super) struct Cooldown(HashMap<String, Instant>);

impl Cooldown {
    /// Admits a sound if its interval has passed, and records the play.
    pub(super) fn admit(&mut self, name: &str, now: Instant, pause: Duration) -> bool {
        if self.0.get(name).is_some_and(|played_at| now.saturating_duration_since(*played_at) < pause) {
            return false;
        }
        if self.0.len() >= MAX_NAMES {
            self.0.retain(|_, played_at| now.saturating_duration_since(*played_at) < pause);
        }
        if self.0.len() >= MAX_NAMES {
            self.0.clear();
        }
        self.0.insert(name.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::cooldown::*;

    #[test]
    fn cooldown_applies_per_sound() {
        let (mut calm, start, pause) = (Cooldown::default(), Instant::now(), Duration::from_millis(800));
        assert!(calm.admit("message", start, pause));
        assert!(!calm.admit("message", start + Duration::from_millis(799), pause));
        assert!(calm.admit("call", start, pause));
        assert!(calm.admit("message", start + pause, pause));
    }

    #[test]
    fn entries_are_bounded() {
        let (mut calm, now) = (Cooldown::default(), Instant::now());
        for n in 0..1000 {
            assert!(calm.admit(&n.to_string(), now, Duration::from_secs(60)));
        }
        assert!(calm.0.len() <= MAX_NAMES);
    }
}
