//! Exponential backoff with jitter.

/// How fast retries slow down. Both in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest delay before the first retry.
    pub initial_ms: u64,
    /// No delay is ever longer.
    pub max_ms: u64,
}

impl Backoff {
    /// The delay before retry number `attempt` (the first is 1): between half and all of
    /// `initial · 2^(attempt-1)`, capped. `unit` is a random number in `0.0 ..= 1.0`; the jitter keeps
    /// a thousand devices that lost the same link from coming back in the same instant.
    #[must_use]
    pub fn delay_ms(self, attempt: u32, unit: f64) -> u64 {
        let doublings = attempt.saturating_sub(1).min(32);
        let full = self.initial_ms.saturating_mul(1_u64 << doublings).min(self.max_ms);
        let half = full / 2;
        let unit = unit.clamp(0.0, 1.0);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "delays are far below 2^52 ms, and unit is within 0..=1"
        )]
        let jitter = ((full - half) as f64 * unit) as u64;
        half + jitter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { initial_ms: 1_000, max_ms: 60_000 };

    #[test]
    fn backoff_doubles_up_to_cap() {
        let full: Vec<u64> = (1..=8).map(|n| BACKOFF.delay_ms(n, 1.0)).collect();
        assert_eq!(full, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(BACKOFF.delay_ms(u32::MAX, 1.0), 60_000);
    }

    #[test]
    fn backoff_jitter_is_at_most_half() {
        assert_eq!(BACKOFF.delay_ms(3, 0.0), 2_000);
        assert_eq!(BACKOFF.delay_ms(3, 0.5), 3_000);
    }
}
