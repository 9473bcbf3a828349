//! The rules of a device's outbox: limits, warm-up and quiet hours.
//!
//! The limits in effect depend on the day of the warm-up.

use super::{Pace, Phase, QuietHours, Warmup};
use crate::domain::clock::Millis;

/// Limits, warm-up and quiet hours of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// The limits after the warm-up.
    pub pace: Pace,
    /// The warm-up that lowers the limits at first.
    pub warmup: Option<Warmup>,
    /// The hours in which no message leaves.
    pub quiet_hours: Option<QuietHours>,
}

impl Rules {
    /// The limits in effect at `now`.
    #[must_use]
    pub fn pace_at(&self, now: Millis) -> Pace {
        self.warmup.map_or(self.pace, |warmup| warmup.lower(self.pace, now))
    }

    /// The device's current day of warm-up.
    #[must_use]
    pub fn phase(&self, now: Millis) -> Option<Phase> {
        self.warmup.as_ref()?.phase(now)
    }

    /// The first moment from `now` on that is not quiet.
    #[must_use]
    pub fn free_at(&self, now: Millis) -> Millis {
        self.quiet_hours.as_ref().map_or(now, |hours| hours.free_at(now))
    }

    /// The age in milliseconds up to which earlier sends count.
    #[must_use]
    pub fn horizon_ms(&self) -> i64 {
        let by_day =
            self.warmup.is_some() || self.pace.messages_per_day > 0 || self.pace.new_chats_per_day > 0;
        let by_pause = i64::from(self.pace.max_delay.max(self.pace.min_delay));
        if by_day { super::pacer::DAY_MS } else { super::pacer::MINUTE_MS }.max(by_pause)
    }
}
