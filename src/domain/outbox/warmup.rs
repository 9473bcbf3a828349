//! Warm-up: the limits of a new device rise day by day.
//!
//! A lowered limit allows at least one message.

use std::fmt;

use serde::Serialize;

use super::Pace;
use crate::domain::clock::Millis;

const DAY_MS: i64 = 86_400_000;

/// A period in which limits rise daily from a share of the configured values to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warmup {
    /// When the first day began.
    pub started_at: Millis,
    /// The number of days with lowered limits.
    pub days: u32,
    /// The share of the limits on the first day, in percent.
    pub start_percent: u32,
}

/// The current day of a warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// The number of the day, from 1.
    pub day: u32,
    /// The number of days of the warm-up.
    pub days: u32,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "day {} of {}", self.day, self.days)
    }
}

impl Warmup {
    /// Replaces limits that are not set until the warm-up ends, because "no limit" has no share.
    pub const UNSET: Pace = Pace {
        min_delay: 0,
        max_delay: 0,
        messages_per_minute: 20,
        burst_limit: 0,
        messages_per_day: 1_000,
        new_chats_per_day: 100,
    };

    /// The current day; `None` after the warm-up. Before it begins, the first day.
    #[must_use]
    pub fn phase(&self, now: Millis) -> Option<Phase> {
        let gone = u32::try_from(now.since(self.started_at).div_euclid(DAY_MS).max(0)).unwrap_or(u32::MAX);
        (gone < self.days).then(|| Phase { day: gone + 1, days: self.days })
    }

    /// The pace at `now`. Each lowered limit allows at least one message.
    #[must_use]
    pub fn lower(&self, pace: Pace, now: Millis) -> Pace {
        let Some(phase) = self.phase(now) else { return pace };
        let first = u64::from(self.start_percent.min(100));
        let percent = first + (100 - first) * u64::from(phase.day - 1) / u64::from(phase.days);
        let share = |limit: u32, unset: u32| {
            let full = u64::from(if limit == 0 { unset } else { limit });
            u32::try_from((full * percent / 100).max(1)).unwrap_or(u32::MAX)
        };
        Pace {
            messages_per_minute: share(pace.messages_per_minute, Self::UNSET.messages_per_minute),
            messages_per_day: share(pace.messages_per_day, Self::UNSET.messages_per_day),
            new_chats_per_day: share(pace.new_chats_per_day, Self::UNSET.new_chats_per_day),
            ..pace
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARMUP: Warmup = Warmup { started_at: Millis(1_000), days: 10, start_percent: 10 };

    fn on_day(day: i64) -> Millis {
        Millis(1_000 + (day - 1) * DAY_MS)
    }

    #[test]
    fn warm_up_limits_rise_daily_to_setting() {
        let set = Pace { messages_per_day: 200, messages_per_minute: 5, ..Pace::default() };
        let per_day = |day| WARMUP.lower(set, on_day(day)).messages_per_day;
        assert_eq!([1, 2, 6, 10, 11].map(per_day), [20, 38, 110, 182, 200]);
        assert_eq!(WARMUP.lower(set, on_day(1)).messages_per_minute, 1, "at least one message");
    }

    #[test]
    fn warm_up_limits_unlimited_settings() {
        let open = Pace::default();
        assert_eq!(WARMUP.lower(open, on_day(1)).new_chats_per_day, 10);
        assert_eq!(WARMUP.lower(open, on_day(11)), open);
    }

    #[test]
    fn warm_up_phase_is_reported_until_end() {
        let phase_text = |day| WARMUP.phase(on_day(day)).map(|phase| phase.to_string());
        assert_eq!(phase_text(3).as_deref(), Some("day 3 of 10"));
        assert_eq!(phase_text(0).as_deref(), Some("day 1 of 10"));
        assert_eq!(phase_text(11), None);
    }
}
