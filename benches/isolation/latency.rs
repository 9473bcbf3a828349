//! Latency samples and their percentiles.

use std::fmt;
use std::time::Duration;

/// Samples in any order.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Adds a sample.
    pub fn add(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// Adds all samples of another set.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest sample that is not below this per-mille rank (nearest rank).
    pub fn per_mille(&self, part: usize) -> Duration {
        assert!(!self.0.is_empty(), "no samples");
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * part).div_ceil(1_000).max(1);
        sorted[rank - 1]
    }

    /// The 99th percentile.
    pub fn p99(&self) -> Duration {
        self.per_mille(990)
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99, most) = (self.per_mille(500), self.p99(), self.per_mille(1_000));
        write!(f, "p50 {} · p99 {} · max {} ({} samples)", ms(p50), ms(p99), ms(most), self.len())
    }
}

/// Milliseconds with one decimal.
pub fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}
