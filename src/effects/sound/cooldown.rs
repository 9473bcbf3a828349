//! When a sound may be heard: so many at once, and the same one not again at once. Pure.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Names that are remembered; beyond it, those whose pause is over are forgotten, or all.
const MAX_NAMES: usize = 64;

/// When each sound was heard last.
#[derive(Debug, Default)]
pub(super) struct Cooldown(HashMap<String, Instant>);

impl Cooldown {
    /// Whether a sound may be heard now; if so, it counts as heard.
    pub(super) fn admit(&mut self, name: &str, now: Instant, pause: Duration) -> bool {
        if self.0.get(name).is_some_and(|heard| now.saturating_duration_since(*heard) < pause) {
            return false;
        }
        if self.0.len() >= MAX_NAMES {
            self.0.retain(|_, heard| now.saturating_duration_since(*heard) < pause);
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
