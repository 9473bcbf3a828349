//! All that a device's outbox keeps to.

use super::{Pace, Phase, QuietHours, Warmup};
use crate::domain::clock::Millis;

/// Limits, warm-up and quiet hours together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// The limits, once warm.
    pub pace: Pace,
    /// How they rise at first.
    pub warmup: Option<Warmup>,
    /// When nothing leaves.
    pub quiet_hours: Option<QuietHours>,
}

impl Rules {
    /// The limits as they are at `now`.
    #[must_use]
    pub fn pace_at(&self, now: Millis) -> Pace {
        self.warmup.map_or(self.pace, |warmup| warmup.lower(self.pace, now))
    }

    /// Where in its warm-up the device is.
    #[must_use]
    pub fn phase(&self, now: Millis) -> Option<Phase> {
        self.warmup.as_ref()?.phase(now)
    }

    /// The first moment from `now` on that is not quiet.
    #[must_use]
    pub fn free_at(&self, now: Millis) -> Millis {
        self.quiet_hours.as_ref().map_or(now, |hours| hours.free_at(now))
    }

    /// How far back the past matters, in milliseconds.
    #[must_use]
    pub fn horizon_ms(&self) -> i64 {
        let by_day =
            self.warmup.is_some() || self.pace.messages_per_day > 0 || self.pace.new_chats_per_day > 0;
        let by_pause = i64::from(self.pace.max_delay.max(self.pace.min_delay));
        if by_day { super::pacer::DAY_MS } else { super::pacer::MINUTE_MS }.max(by_pause)
    }
}
