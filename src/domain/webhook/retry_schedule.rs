//! Delays before the retries of a failed delivery.
//!
//! The defaults follow Standard Webhooks 1.0 and Svix: about eight attempts over more than a day.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Maximum `Retry-After` in milliseconds; longer requests of a receiver are cut to it.
const MAX_RETRY_AFTER_MS: u64 = 24 * 3_600_000;
/// Maximum retry delay, in milliseconds.
const MAX_DELAY_MS: u64 = 30 * 24 * 3_600_000;

/// A duration with a unit, such as `500ms`, `5s`, `30m`, `2h` or `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RetryDelay(u64);

/// The text is not a valid delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a duration such as 500ms, 5s, 30m, 2h or 1d, at most 30d")]
pub struct InvalidSpan;

impl RetryDelay {
    /// In milliseconds.
    #[must_use]
    pub fn ms(self) -> u64 {
        self.0
    }
}

impl FromStr for RetryDelay {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        let (number, unit) =
            units.iter().find_map(|(word, ms)| Some((text.strip_suffix(word)?, *ms))).ok_or(InvalidSpan)?;
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidSpan);
        }
        let ms = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
        ms.filter(|ms| *ms <= MAX_DELAY_MS).map(Self).ok_or(InvalidSpan)
    }
}

impl TryFrom<String> for RetryDelay {
    type Error = InvalidSpan;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RetryDelay> for String {
    fn from(span: RetryDelay) -> Self {
        span.to_string()
    }
}

impl fmt::Display for RetryDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
        let found = units.iter().find(|(_, ms)| self.0 > 0 && self.0.is_multiple_of(*ms));
        match found {
            Some((word, ms)) => write!(f, "{}{word}", self.0 / ms),
            None => write!(f, "{}ms", self.0),
        }
    }
}

/// The delays between the attempts of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(pub Vec<RetryDelay>);

impl RetrySchedule {
    /// The delay after this number of failures, from 1, in milliseconds; `None` after the last retry.
    ///
    /// `unit` is a random number in `0.0 ..= 1.0`. It varies the delay by up to a fifth in both directions,
    /// so that deliveries that failed together are not retried together. A receiver can request a longer
    /// delay, but not a shorter one.
    #[must_use]
    pub fn wait_ms(&self, failures: u32, unit: f64, requested_ms: Option<u64>) -> Option<u64> {
        let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.0.get(index)?.ms();
        let fifth = wait / 5;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "delays are far below 2^52 ms, and unit is within 0..=1"
        )]
        let jitter = (2.0 * fifth as f64 * unit.clamp(0.0, 1.0)) as u64;
        let requested = requested_ms.unwrap_or(0).min(MAX_RETRY_AFTER_MS);
        Some((wait - fifth + jitter).max(requested))
    }

    /// The longest delay without a request of the receiver, in milliseconds.
    #[must_use]
    pub fn longest_ms(&self) -> u64 {
        self.0.iter().map(|span| span.ms() + span.ms() / 5).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::retry_schedule::*;
    use proptest::prelude::*;

    fn schedule() -> RetrySchedule {
        RetrySchedule(
            ["5s", "5m", "30m", "2h", "5h", "10h", "10h"].map(|text| text.parse().unwrap()).to_vec(),
        )
    }

    #[test]
    fn retry_delays_round_trip_as_text() {
        for text in ["500ms", "5s", "90s", "30m", "2h", "1d", "0ms"] {
            assert_eq!(text.parse::<RetryDelay>().unwrap().to_string(), text);
        }
        assert_eq!("60s".parse::<RetryDelay>().unwrap().to_string(), "1m");
        for wrong in ["", "5", "s", "-5s", "5 s", "1.5h", "31d", "99999999999999999999s", "+5s"] {
            assert_eq!(wrong.parse::<RetryDelay>(), Err(InvalidSpan), "{wrong}");
        }
    }

    #[test]
    fn default_schedule_spans_more_than_a_day() {
        let waits: Vec<u64> = (1..=7).map(|n| schedule().wait_ms(n, 0.5, None).unwrap()).collect();
        assert_eq!(waits[..3], [5_000, 300_000, 1_800_000]);
        assert!(waits.iter().sum::<u64>() > 24 * 3_600_000);
        assert_eq!(schedule().wait_ms(8, 0.5, None), None);
    }

    #[test]
    fn retry_after_extends_delay_up_to_a_day() {
        assert_eq!(schedule().wait_ms(1, 0.5, Some(60_000)), Some(60_000));
        assert_eq!(schedule().wait_ms(2, 0.5, Some(1_000)), Some(300_000));
        assert_eq!(schedule().wait_ms(1, 0.5, Some(u64::MAX)), Some(86_400_000));
        assert_eq!(schedule().wait_ms(8, 0.5, Some(1_000)), None);
    }

    proptest! {
        #[test]
        fn retry_jitter_is_at_most_a_fifth(failures in 1_u32..=7, unit in 0.0_f64..=1.0) {
            let middle = schedule().0[failures as usize - 1].ms();
            let wait = schedule().wait_ms(failures, unit, None).unwrap();
            prop_assert!(wait >= middle * 4 / 5 && wait <= middle * 6 / 5 + 1);
        }
    }
}
