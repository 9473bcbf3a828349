//! Classifies the result of a delivery attempt. Pure.

use crate::net::{Answer, NetError};

/// Outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    /// A stable code for metrics, logs and clients.
    pub(super) word: &'static str,
    /// HTTP status of the answer, if any.
    pub(super) status: Option<u16>,
    /// Delay that the receiver requested with `Retry-After`, in milliseconds.
    pub(super) asked_ms: Option<u64>,
}

impl Outcome {
    /// Outcome of an attempt without a request.
    pub(super) fn not_made(word: &'static str) -> Self {
        Self { word, status: None, asked_ms: None }
    }

    /// Classifies an answer or network error. `now_ms` is the time of day, for a `Retry-After` with a date.
    pub(super) fn of(answer: &Result<Answer, NetError>, now_ms: i64) -> Self {
        match answer {
            Ok(answer) => Self {
                word: word_of(answer.status),
                status: Some(answer.status),
                asked_ms: answer.retry_after.as_deref().and_then(|text| retry_after_ms(text, now_ms)),
            },
            Err(error) => Self::not_made(match error {
                NetError::Timeout | NetError::NotReached => "timeout",
                NetError::Refused(_) | NetError::Url => "address_refused",
                NetError::NoAddress => "no_address",
                NetError::SetUp | NetError::Certificate | NetError::Header => "not_set_up",
                NetError::Http(_)
                | NetError::Status(_)
                | NetError::TooManyRedirects(_)
                | NetError::TooLarge(_) => "unreachable",
            }),
        }
    }

    /// Only a 2xx is a success.
    pub(super) fn is_delivered(&self) -> bool {
        self.word == "delivered"
    }

    /// Whether the receiver unsubscribed.
    pub(super) fn is_gone(&self) -> bool {
        self.status == Some(410)
    }
}

fn word_of(status: u16) -> &'static str {
    match status {
        200..=299 => "delivered",
        300..=399 => "redirected",
        410 => "gone",
        429 => "throttled",
        400..=499 => "rejected",
        500..=599 => "server_error",
        _ => "bad_answer",
    }
}

/// Parses `Retry-After`: seconds or an HTTP date.
fn retry_after_ms(text: &str, now_ms: i64) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    u64::try_from(at.saturating_sub(now_ms)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, retry_after: Option<&str>) -> Outcome {
        let answer = Answer { status, retry_after: retry_after.map(str::to_owned) };
        Outcome::of(&Ok(answer), 1_767_225_600_000)
    }

    #[test]
    fn only_2xx_is_success() {
        for status in [200, 201, 204, 299] {
            assert!(of(status, None).is_delivered(), "{status}");
        }
        for status in [100, 199, 301, 307, 400, 404, 410, 429, 500, 503, 999] {
            assert!(!of(status, None).is_delivered(), "{status}");
        }
        assert!(of(410, None).is_gone());
        assert!(!of(404, None).is_gone());
        assert!(!Outcome::of(&Err(NetError::Timeout), 0).is_delivered());
    }

    #[test]
    fn retry_after_is_seconds_or_date() {
        assert_eq!(of(429, Some("7")).asked_ms, Some(7_000));
        assert_eq!(of(503, Some("Thu, 01 Jan 2026 00:01:00 GMT")).asked_ms, Some(60_000));
        assert_eq!(of(503, Some("Thu, 01 Jan 2015 00:01:00 GMT")).asked_ms, None);
        for nonsense in ["soon", "-5", ""] {
            assert_eq!(of(429, Some(nonsense)).asked_ms, None, "{nonsense}");
        }
        assert_eq!(of(429, Some("99999999999999999999")).asked_ms, None);
    }
}
