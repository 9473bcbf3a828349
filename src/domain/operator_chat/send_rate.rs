//! The rate of messages of one user: a short window and a day.

use std::collections::VecDeque;

use crate::domain::clock::Millis;

/// The short window, in milliseconds.
pub const BURST_WINDOW_MS: i64 = 10_000;
/// The long window, in milliseconds.
pub const DAY_MS: i64 = 86_400_000;

/// The most messages of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendLimits {
    /// In any ten seconds.
    pub per_burst: usize,
    /// In a day.
    pub per_day: usize,
}

/// A send beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendRateError {
    /// Too many in ten seconds.
    #[error("more than {limit} messages in 10 seconds; try again in {retry_after_seconds} s")]
    Burst {
        /// The limit.
        limit: usize,
        /// Seconds until the next message is accepted.
        retry_after_seconds: u64,
    },
    /// Too many in a day.
    #[error("more than {0} messages in a day; try again tomorrow")]
    Day(usize),
}

/// The recent messages of one user.
#[derive(Debug, Default)]
pub struct SendRate {
    recent: VecDeque<Millis>,
    day_began: Millis,
    in_day: usize,
}

impl SendRate {
    /// Counts a message if the limits allow it.
    ///
    /// # Errors
    /// The limit that does not.
    pub fn count(&mut self, limits: SendLimits, now: Millis) -> Result<(), SendRateError> {
        if !(0..DAY_MS).contains(&now.since(self.day_began)) {
            (self.day_began, self.in_day) = (now, 0);
        }
        self.recent.retain(|at| (0..BURST_WINDOW_MS).contains(&now.since(*at)));
        if self.in_day >= limits.per_day {
            return Err(SendRateError::Day(limits.per_day));
        }
        if self.recent.len() >= limits.per_burst {
            let oldest = self.recent.front().copied().unwrap_or(now);
            let left = u64::try_from(BURST_WINDOW_MS - now.since(oldest)).unwrap_or(0);
            let retry_after_seconds = left.div_ceil(1_000).max(1);
            return Err(SendRateError::Burst { limit: limits.per_burst, retry_after_seconds });
        }
        self.recent.push_back(now);
        self.in_day += 1;
        Ok(())
    }

    /// Whether no window has a message any more.
    #[must_use]
    pub fn is_over(&self, now: Millis) -> bool {
        !(0..DAY_MS).contains(&now.since(self.day_began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_and_day_are_limited() {
        let limits = SendLimits { per_burst: 2, per_day: 3 };
        let mut rate = SendRate::default();
        let start = Millis(1_000_000_000);
        assert!(rate.count(limits, start).is_ok());
        assert!(rate.count(limits, start.plus(4_000)).is_ok());
        let refused = rate.count(limits, start.plus(5_000));
        assert_eq!(refused, Err(SendRateError::Burst { limit: 2, retry_after_seconds: 5 }));
        assert!(rate.count(limits, start.plus(10_000)).is_ok());
        assert_eq!(rate.count(limits, start.plus(60_000)), Err(SendRateError::Day(3)));
        assert!(rate.count(limits, start.plus(DAY_MS)).is_ok());
    }

    #[test]
    fn clock_set_back_does_not_block_sends() {
        let limits = SendLimits { per_burst: 1, per_day: 1 };
        let mut rate = SendRate::default();
        assert!(rate.count(limits, Millis(1_000_000_000)).is_ok());
        assert!(rate.count(limits, Millis(5)).is_ok());
    }
}
