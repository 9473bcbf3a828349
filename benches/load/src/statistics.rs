//! Medians, spread and percentiles of repeated measurements.

use std::time::Duration;

/// The values of repetitions.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a value; one that is no number is left out.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.0.push(value);
        }
    }

    /// The middle value; `None` without values.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            length if length % 2 == 1 => Some(sorted[middle]),
            _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        }
    }

    /// Largest less smallest value, as a share of the median.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let sorted = self.sorted();
        match (sorted.first(), sorted.last(), self.median()) {
            (Some(first), Some(last), Some(median)) if median > 0.0 => (last - first) / median,
            _ => 0.0,
        }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// Latencies of one measurement.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// Adds all of another measurement.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The smallest latency that this share of all, from 0 to 1, does not exceed; zero without any.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
        sorted.get(at).copied().unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        let mut samples = Samples::default();
        values.iter().for_each(|value| samples.add(*value));
        samples
    }

    #[test]
    fn median_is_the_middle_value() {
        assert_eq!(samples(&[]).median(), None);
        assert_eq!(samples(&[3.0, 1.0, 20.0]).median(), Some(3.0));
        assert_eq!(samples(&[4.0, 1.0, 2.0, 100.0]).median(), Some(3.0));
    }

    #[test]
    fn spread_is_relative_to_the_median() {
        assert!((samples(&[9.0, 10.0, 12.0]).spread() - 0.3).abs() < 1e-9);
        assert!(samples(&[5.0]).spread().abs() < 1e-9);
    }

    #[test]
    fn percentile_is_a_value_that_occurred() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(0.99), Duration::ZERO);
        (1..=200).rev().for_each(|ms| latencies.add(Duration::from_millis(ms)));
        assert_eq!(latencies.percentile(0.99), Duration::from_millis(198));
        assert_eq!(latencies.percentile(0.5), Duration::from_millis(100));
        assert_eq!(latencies.percentile(1.0), Duration::from_millis(200));
    }
}
