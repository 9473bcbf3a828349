//! Says once that an effect can or cannot be had, and again when that changes.

use parking_lot::Mutex;

use super::Availability;

/// What was said last of one effect, such as "sounds".
#[derive(Debug)]
pub(super) struct AvailabilityLog {
    effect: &'static str,
    last: Mutex<Option<Availability>>,
}

impl AvailabilityLog {
    pub(super) fn new(effect: &'static str) -> Self {
        Self { effect, last: Mutex::new(None) }
    }

    /// Logs one line when this is news.
    pub(super) fn note(&self, now: &Availability) {
        let mut last = self.last.lock();
        // That it works is news only after it did not.
        let news = match (&*last, now) {
            (Some(before), now) => before != now,
            (None, now) => *now != Availability::On,
        };
        if news {
            match now {
                Availability::On => tracing::info!("{} are on again", self.effect),
                Availability::Off(why) => tracing::info!(why, "{} are off", self.effect),
            }
        }
        *last = Some(now.clone());
    }

    /// As [`Announced::note`], for a reason why not.
    pub(super) fn note_off(&self, why: &str) {
        self.note(&Availability::Off(why.to_owned()));
    }
}
