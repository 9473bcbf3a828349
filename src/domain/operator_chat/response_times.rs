//! Summarises how long contacts waited for an answer.

/// Waiting times of a period, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResponseSummary {
    /// The answers.
    pub count: usize,
    /// The mean; none without an answer.
    pub average_ms: Option<i64>,
    /// Half of the contacts waited at most this long.
    pub median_ms: Option<i64>,
    /// Nine of ten contacts waited at most this long.
    pub p90_ms: Option<i64>,
}

impl ResponseSummary {
    /// The summary of waiting times in milliseconds, in any order.
    #[must_use]
    pub fn of(waits: impl IntoIterator<Item = i64>) -> Self {
        let mut sorted: Vec<i64> = waits.into_iter().collect();
        sorted.sort_unstable();
        let sum: i128 = sorted.iter().map(|wait| i128::from(*wait)).sum();
        let count = i128::try_from(sorted.len()).unwrap_or(i128::MAX);
        Self {
            count: sorted.len(),
            average_ms: (count > 0).then(|| i64::try_from(sum / count).unwrap_or(i64::MAX)),
            median_ms: at_most(&sorted, 50),
            p90_ms: at_most(&sorted, 90),
        }
    }
}

/// The smallest value that at least `percent` of the sorted values do not exceed.
fn at_most(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_has_average_and_percentiles() {
        let summary = ResponseSummary::of((1..=10).rev().map(|n| n * 100));
        let expected =
            ResponseSummary { count: 10, average_ms: Some(550), median_ms: Some(500), p90_ms: Some(900) };
        assert_eq!(summary, expected);
        assert_eq!(ResponseSummary::of([7]).p90_ms, Some(7));
        assert_eq!(ResponseSummary::of([]), ResponseSummary::default());
    }
}
