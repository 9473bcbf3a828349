//! Logs the availability of an effect when it changes. Repeated results are not logged.

use parking_lot::Mutex;

use super::Availability;

/// The last logged availability of one effect, such as "sounds".
#[derive(Debug)]
pub(super) struct AvailabilityLog {
    effect: &'static str,
    last: Mutex<Option<Availability>>,
}

impl AvailabilityLog {
    pub(super) fn new(effect: &'static str) -> Self {
        Self { effect, last: Mutex::new(None) }
    }

    /// Logs the availability if it changed.
    pub(super) fn note(&self, now: &Availability) {
        let mut last = self.last.lock();
        // The first result is logged only if the effect is unavailable.
        let is_change = match (&*last, now) {
            (Some(before), now) => before != now,
            (None, now) => *now != Availability::On,
        };
        if is_change {
            match now {
                Availability::On => tracing::info!("{} are on again", self.effect),
                Availability::Off(why) => tracing::info!(why, "{} are off", self.effect),
            }
        }
        *last = Some(now.clone());
    }

    /// Logs that the effect is unavailable, if that is a change.
    pub(super) fn record_unavailable(&self, why: &str) {
        self.note(&Availability::Off(why.to_owned()));
    }
}
