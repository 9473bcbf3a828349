//! What Meta's error numbers mean for a message and for the device.
//!
//! Source: "Cloud API error codes" of Meta's documentation. Sentences are ours: Meta's may hold numbers of people.

use std::time::Duration;

use serde_json::Value;

use crate::engine::relay::rate_limit::LONGEST_PAUSE;
use crate::domain::reason::Reason;
use crate::engine::{SendError, SendOutcome};

/// The pause after "too many to one person" (131056): about one message in six seconds goes through.
const PAIR_PAUSE: Duration = Duration::from_secs(6);
/// The pause after "too many" where Meta names none.
const PAUSE: Duration = Duration::from_secs(2);

/// An error of the Graph API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GraphError {
    /// Of the HTTP answer.
    pub(super) status: u16,
    /// Meta's number; 0 where it gave none.
    pub(super) code: i64,
    /// How long Meta wants to be left alone, where it says so.
    pub(super) retry_after: Option<Duration>,
}

/// Who is to be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// Nobody.
    None,
    /// Whom the message was for, for so long.
    Person(Duration),
    /// Everybody, for so long.
    Number(Duration),
}

/// How a failure ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Transient,
    Permanent,
}

struct Meaning {
    class: Class,
    code: &'static str,
    sentence: &'static str,
}

const fn passes(code: &'static str, sentence: &'static str) -> Meaning {
    Meaning { class: Class::Transient, code, sentence }
}

const fn stays(code: &'static str, sentence: &'static str) -> Meaning {
    Meaning { class: Class::Permanent, code, sentence }
}

fn meaning(code: i64) -> Option<Meaning> {
    Some(match code {
        0 | 190 => passes("upstream_unauthorized", "Meta does not accept the access token"),
        1 | 2 | 131_000 | 131_016 | 131_057 | 133_004 => {
            passes("network_unavailable", "Meta cannot take messages now")
        }
        4 | 17 | 32 | 613 | 80_007 | 130_429 => {
            passes("rate_limited", "Meta says that too much is sent from this number or app")
        }
        131_048 => {
            passes("rate_limited", "Meta limits this number because its messages were reported or blocked")
        }
        131_056 => passes("rate_limited", "Meta says that too much is sent to this person"),
        368 | 131_031 => passes("account_blocked", "Meta has blocked the account for violating its policies"),
        3 | 10 | 131_005 => stays("not_allowed", "Meta does not allow this app to do that"),
        200..=299 => stays("not_allowed", "the access token lacks the permission for this number"),
        130_497 | 131_030 | 131_050 => {
            stays("not_allowed", "Meta does not allow this number to write to this person")
        }
        131_047 => stays(
            "window_closed",
            "more than 24 hours have passed since this person last wrote; Meta only takes templates then",
        ),
        131_026 | 130_472 => stays("undeliverable", "Meta cannot deliver to this person"),
        131_049 => {
            stays("reach_out_limited", "Meta did not deliver it, as this person gets too much of its kind")
        }
        131_021 => stays("message_invalid", "a number cannot write to itself"),
        33 | 100 | 131_008 | 131_009 => {
            stays("message_invalid", "Meta does not take a message with such a value")
        }
        132_000 | 132_012 => {
            stays("template_not_taken", "the template has other gaps than those that were filled")
        }
        132_001 => stays("template_not_taken", "Meta knows no such template in this language"),
        132_005 => stays("template_not_taken", "with its gaps filled the template is too long"),
        132_007 => stays("template_not_taken", "the template violates Meta's policies"),
        132_015 => stays("template_not_taken", "Meta has paused the template because people complained"),
        132_016 => stays("template_not_taken", "Meta has disabled the template"),
        132_068 | 132_069 => stays("template_not_taken", "the template's flow is blocked or throttled"),
        131_051 => stays("not_supported_by_engine", "Meta does not take messages of this type"),
        131_052 => stays("media_not_taken", "Meta could not get the file"),
        131_053 => stays("media_not_taken", "Meta does not take this file"),
        131_042 => stays(
            "account_not_paid",
            "Meta does not deliver, as something is wrong with how the account pays",
        ),
        131_045 | 133_010 => stays("not_registered", "the phone number is not registered for the Cloud API"),
        _ => return None,
    })
}

impl GraphError {
    /// From an answer that is no success; `None` where the body is not the Graph API's.
    pub(super) fn read(status: u16, retry_after: Option<&str>, body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let code = body.get("error")?.get("code").and_then(Value::as_i64)?;
        Some(Self { status, code, retry_after: seconds(retry_after) })
    }

    /// From an answer whose body is not the Graph API's: a server in between, or none of Meta's.
    pub(super) fn bare(status: u16, retry_after: Option<&str>) -> Option<Self> {
        let code = match status {
            401 => 190,
            403 => 10,
            429 => 130_429,
            400..=499 => -1,
            _ => return None,
        };
        Some(Self { status, code, retry_after: seconds(retry_after) })
    }

    /// Whether the same question may be answered some other time.
    pub(super) fn passes(&self) -> bool {
        matches!(self.status, 401 | 403 | 408 | 425 | 429)
            || self.status >= 500
            || matches!(self.outcome(), SendOutcome::Transient(_))
    }

    /// What it means for a message.
    pub(super) fn outcome(&self) -> SendOutcome {
        let transient = match meaning(self.code) {
            Some(known) => known.class == Class::Transient,
            None => self.status == 429 || self.status >= 500,
        };
        let error = self.error();
        if transient { SendOutcome::Transient(error) } else { SendOutcome::Permanent(error) }
    }

    /// Its code and sentence.
    pub(super) fn error(&self) -> SendError {
        let mut error = self.meant();
        match self.retry_after {
            Some(pause) if pause > LONGEST_PAUSE => {
                error.message.push_str(
                    "; it wants to be left alone for longer than an hour, and is asked again in one",
                );
            }
            Some(pause) => {
                error.message.push_str(&format!("; it wants to be left alone for {} s", pause.as_secs()));
            }
            None => {}
        }
        error
    }

    fn meant(&self) -> SendError {
        match meaning(self.code) {
            None if self.status >= 500 => {
                error_of("network_unavailable", "Meta cannot take messages now", self.code)
            }
            None if self.status == 429 => {
                error_of("rate_limited", "Meta says that too much is sent", self.code)
            }
            known => known
                .map_or_else(|| unknown(self.code), |known| error_of(known.code, known.sentence, self.code)),
        }
    }

    /// Who is to be left alone after it.
    pub(super) fn pause(&self) -> Pause {
        match (self.code, self.retry_after) {
            (131_056, pause) => Pause::Person(pause.unwrap_or(PAIR_PAUSE)),
            (_, Some(pause)) => Pause::Number(pause),
            (4 | 17 | 32 | 613 | 80_007 | 130_429 | 131_048, None) => Pause::Number(PAUSE),
            (_, None) if self.status == 429 => Pause::Number(PAUSE),
            (_, None) => Pause::None,
        }
    }

    /// Whether it may say that a file is not there to which a message gives the id.
    pub(super) fn may_be_about_file(&self) -> bool {
        matches!(self.code, 33 | 100 | 131_009 | 131_052 | 131_053)
    }

    /// Why the device cannot go on, where it cannot.
    pub(super) fn ends_device(&self) -> Option<Reason> {
        match self.code {
            0 | 190 => Some(Reason::UpstreamUnauthorized),
            368 => Some(Reason::TemporaryBan),
            131_031 => Some(Reason::Banned),
            _ if self.status == 401 => Some(Reason::UpstreamUnauthorized),
            _ => None,
        }
    }

    /// Whether Meta is there, and only wants to be left alone.
    pub(super) fn is_rate_limit(&self) -> bool {
        !matches!(self.pause(), Pause::None)
    }
}

/// Why a message failed of which Meta's status tells so.
pub(super) fn of_status(code: Option<i64>) -> SendError {
    let Some(code) = code else {
        return SendError {
            code: "delivery_failed",
            message: "Meta took the message and could not deliver it".to_owned(),
        };
    };
    meaning(code).map_or_else(|| unknown(code), |known| error_of(known.code, known.sentence, code))
}

fn unknown(code: i64) -> SendError {
    error_of("refused_by_network", "Meta refused the message", code)
}

fn error_of(code: &'static str, sentence: &str, number: i64) -> SendError {
    let message = if number > 0 { format!("{sentence} (Meta's code {number})") } else { sentence.to_owned() };
    SendError { code, message }
}

/// `Retry-After` in seconds, however many; its form as a date is not used by Meta.
fn seconds(header: Option<&str>) -> Option<Duration> {
    let digits = header?.trim();
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    number.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::failure::FAILURE_CODES;

    fn of(status: u16, code: i64) -> GraphError {
        GraphError { status, code, retry_after: None }
    }

    #[test]
    fn every_code_is_documented() {
        let codes = (0..140_000).filter_map(meaning).map(|known| known.code);
        for code in codes.chain([unknown(1).code, of_status(None).code]) {
            assert!(FAILURE_CODES.iter().any(|known| known.code == code), "{code}");
        }
    }

    #[test]
    fn numbers_become_codes_and_outcomes() {
        let is = |number, status| match of(status, number).outcome() {
            SendOutcome::Transient(error) => ("transient", error.code),
            SendOutcome::Permanent(error) => ("permanent", error.code),
            other => panic!("{other:?}"),
        };
        assert_eq!(is(131_047, 400), ("permanent", "window_closed"));
        assert_eq!(is(131_026, 400), ("permanent", "undeliverable"));
        assert_eq!(is(131_056, 400), ("transient", "rate_limited"));
        assert_eq!(is(130_429, 429), ("transient", "rate_limited"));
        assert_eq!(is(190, 401), ("transient", "upstream_unauthorized"));
        assert_eq!(is(131_000, 500), ("transient", "network_unavailable"));
        assert_eq!(is(999_999, 400), ("permanent", "refused_by_network"));
        assert_eq!(is(999_999, 500), ("transient", "network_unavailable"));
    }

    #[test]
    fn only_whom_it_is_about_is_left_alone() {
        assert_eq!(of(400, 131_056).pause(), Pause::Person(PAIR_PAUSE));
        assert_eq!(of(429, 130_429).pause(), Pause::Number(PAUSE));
        let told = GraphError { retry_after: Some(Duration::from_secs(30)), ..of(429, 4) };
        assert_eq!(told.pause(), Pause::Number(Duration::from_secs(30)));
        assert_eq!(of(400, 131_047).pause(), Pause::None);
    }

    #[test]
    fn what_ends_the_device_has_its_reason() {
        assert_eq!(of(401, 190).ends_device(), Some(Reason::UpstreamUnauthorized));
        assert_eq!(of(400, 368).ends_device(), Some(Reason::TemporaryBan));
        assert_eq!(of(400, 131_031).ends_device(), Some(Reason::Banned));
        assert_eq!(of(400, 131_026).ends_device(), None);
    }

    #[test]
    fn an_answer_of_the_graph_api_is_told_from_others() {
        let body = br#"{"error":{"message":"x","type":"OAuthException","code":190,"fbtrace_id":"A"}}"#;
        assert_eq!(GraphError::read(401, None, body), Some(of(401, 190)));
        assert_eq!(GraphError::read(502, None, b"<html>"), None);
        assert_eq!(GraphError::bare(502, None), None);
        let wait = |header| GraphError::bare(429, Some(header)).unwrap().retry_after;
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!((wait("soon"), wait("")), (None, None));
        let sentence = |header| GraphError::bare(429, Some(header)).unwrap().error().message;
        assert!(sentence("7").ends_with("for 7 s"), "{}", sentence("7"));
        assert!(sentence("99999999999999999999999").ends_with("asked again in one"));
    }
}
