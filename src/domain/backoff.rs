//! Exponential backoff with jitter. The caller passes the random number, so that delays are reproducible.

/// The limits of the delays between retries, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The maximum delay before the first retry.
    pub initial_ms: u64,
    /// The maximum delay before any retry.
    pub max_ms: u64,
}

impl Backoff {
    /// The delay before retry number `attempt` (the first is 1), in milliseconds.
    ///
    /// The delay is between 50 % and 100 % of `initial · 2^(attempt-1)`, capped at `max_ms`. `unit` is a
    /// random number in `0.0 ..= 1.0`. The jitter staggers reconnects after many devices lose one network.
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
