//! The meaning of Meta's error numbers for a message and for the device.
//!
//! Source: "Cloud API error codes" of Meta's documentation. The sentences are ours, because Meta's may
//! contain numbers of people.

use std::time::Duration;

use serde_json::Value;

use crate::domain::reason::Reason;
use crate::engine::relay::client::Rejection;
use crate::engine::relay::rate_limit::LONGEST_PAUSE;
use crate::engine::{SendError, SendOutcome};

/// The pause after "too many to one person" (131056): Meta accepts about one message in six seconds.
const RECIPIENT_PAUSE: Duration = Duration::from_secs(6);
/// The pause after "too many" where Meta names none.
const ACCOUNT_PAUSE: Duration = Duration::from_secs(2);

/// An error of the Graph API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GraphError {
    /// The HTTP status.
    pub(super) status: u16,
    /// Meta's number; 0 or less where Meta gave none.
    pub(super) code: i64,
    /// The pause that Meta requested.
    pub(super) retry_after: Option<Duration>,
}

/// Which sends have to pause, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestedPause {
    None,
    /// Sends to the recipient of the message.
    Recipient(Duration),
    /// All sends of the number.
    Account(Duration),
}

/// Whether a failure is final.
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
            passes("network_unavailable", "Meta cannot accept messages now")
        }
        4 | 17 | 32 | 613 | 80_007 | 130_429 => {
            passes("rate_limited", "too many messages are sent from this number or app")
        }
        131_048 => {
            passes("rate_limited", "Meta limits this number because its messages were reported or blocked")
        }
        131_056 => passes("rate_limited", "too many messages are sent to this person"),
        368 | 131_031 => passes("account_blocked", "Meta has blocked the account for violating its policies"),
        3 | 10 | 131_005 => stays("not_allowed", "Meta does not allow this app to do that"),
        200..=299 => stays("not_allowed", "the access token lacks the permission for this number"),
        130_497 | 131_030 | 131_050 => {
            stays("not_allowed", "Meta does not allow this number to write to this person")
        }
        131_047 => stays(
            "window_closed",
            "more than 24 hours have passed since this person last wrote; Meta accepts only templates then",
        ),
        131_026 | 130_472 => stays("undeliverable", "Meta cannot deliver to this person"),
        131_049 => stays(
            "reach_out_limited",
            "Meta did not deliver it, because this person receives too many messages of this kind",
        ),
        131_021 => stays("message_invalid", "a number cannot write to itself"),
        33 | 100 | 131_008 | 131_009 => {
            stays("message_invalid", "Meta does not accept one of the message's values")
        }
        132_000 | 132_012 => stays(
            "template_not_taken",
            "the placeholders of the template differ from the values of the message",
        ),
        132_001 => stays("template_not_taken", "there is no such template in this language"),
        132_005 => stays("template_not_taken", "the template is too long with its placeholders filled"),
        132_007 => stays("template_not_taken", "the template violates Meta's policies"),
        132_015 => stays("template_not_taken", "Meta has paused the template because of complaints"),
        132_016 => stays("template_not_taken", "Meta has disabled the template"),
        132_068 | 132_069 => stays("template_not_taken", "the template's flow is blocked or throttled"),
        131_051 => stays("not_supported_by_engine", "Meta does not accept messages of this type"),
        131_052 => stays("media_not_taken", "Meta could not read the file"),
        131_053 => stays("media_not_taken", "Meta does not accept this file"),
        131_042 => {
            stays("account_not_paid", "Meta does not deliver because of a problem with the account's payment")
        }
        131_045 | 133_010 => stays("not_registered", "the phone number is not registered for the Cloud API"),
        _ => return None,
    })
}

impl GraphError {
    /// The error in a rejection; `None` for a server error that is not the Graph API's, whose request may
    /// have arrived.
    pub(super) fn of(rejection: &Rejection) -> Option<Self> {
        let Rejection { status, retry_after, body } = rejection;
        let code = body.pointer("/error/code").and_then(Value::as_i64).or_else(|| code_of_status(*status))?;
        Some(Self { status: *status, code, retry_after: *retry_after })
    }

    /// An error that only has a status.
    pub(super) fn of_status(status: u16) -> Self {
        Self { status, code: -1, retry_after: None }
    }

    /// Whether the same request may succeed later.
    pub(super) fn is_temporary(&self) -> bool {
        matches!(self.status, 401 | 403 | 408 | 425 | 429)
            || self.status >= 500
            || matches!(self.outcome(), SendOutcome::Transient(_))
    }

    /// The outcome for a message.
    pub(super) fn outcome(&self) -> SendOutcome {
        let transient = match meaning(self.code) {
            Some(error) => error.class == Class::Transient,
            None => self.status == 429 || self.status >= 500,
        };
        let error = self.error();
        if transient { SendOutcome::Transient(error) } else { SendOutcome::Permanent(error) }
    }

    /// The code and the sentence for a message.
    pub(super) fn error(&self) -> SendError {
        let mut error = self.meant();
        match self.retry_after {
            Some(pause) if pause > LONGEST_PAUSE => {
                error
                    .message
                    .push_str("; Meta requests a pause of more than an hour, the next try is in an hour");
            }
            Some(pause) => {
                error.message.push_str(&format!("; Meta requests a pause of {} s", pause.as_secs()));
            }
            None => {}
        }
        error
    }

    fn meant(&self) -> SendError {
        match meaning(self.code) {
            None if self.status >= 500 => {
                error_of("network_unavailable", "Meta cannot accept messages now", self.code)
            }
            None if self.status == 429 => error_of("rate_limited", "too many messages are sent", self.code),
            found => found
                .map_or_else(|| unknown(self.code), |error| error_of(error.code, error.sentence, self.code)),
        }
    }

    /// The pause that follows.
    pub(super) fn pause(&self) -> RequestedPause {
        match (self.code, self.retry_after) {
            (131_056, pause) => RequestedPause::Recipient(pause.unwrap_or(RECIPIENT_PAUSE)),
            (_, Some(pause)) => RequestedPause::Account(pause),
            (4 | 17 | 32 | 613 | 80_007 | 130_429 | 131_048, None) => RequestedPause::Account(ACCOUNT_PAUSE),
            (_, None) if self.status == 429 => RequestedPause::Account(ACCOUNT_PAUSE),
            (_, None) => RequestedPause::None,
        }
    }

    /// Whether the file that a message refers to may be missing at Meta.
    pub(super) fn may_be_about_file(&self) -> bool {
        matches!(self.code, 33 | 100 | 131_009 | 131_052 | 131_053)
    }

    /// The reason why the device cannot continue, if so.
    pub(super) fn ends_device(&self) -> Option<Reason> {
        match self.code {
            0 | 190 => Some(Reason::UpstreamUnauthorized),
            368 => Some(Reason::TemporaryBan),
            131_031 => Some(Reason::Banned),
            _ if self.status == 401 => Some(Reason::UpstreamUnauthorized),
            _ => None,
        }
    }

    /// Whether Meta only requests a pause.
    pub(super) fn is_rate_limit(&self) -> bool {
        self.pause() != RequestedPause::None
    }
}

/// The error of a message whose status is `failed`.
pub(super) fn of_failed_status(code: Option<i64>) -> SendError {
    let Some(code) = code else {
        return SendError {
            code: "delivery_failed",
            message: "Meta accepted the message and could not deliver it".to_owned(),
        };
    };
    meaning(code).map_or_else(|| unknown(code), |error| error_of(error.code, error.sentence, code))
}

fn unknown(code: i64) -> SendError {
    error_of("refused_by_network", "Meta refused the message", code)
}

fn error_of(code: &'static str, sentence: &str, number: i64) -> SendError {
    let message = if number > 0 { format!("{sentence} (Meta's code {number})") } else { sentence.to_owned() };
    SendError { code, message }
}

/// The number for a status whose answer is not the Graph API's: from a proxy, or from no server of Meta.
fn code_of_status(status: u16) -> Option<i64> {
    match status {
        401 => Some(190),
        403 => Some(10),
        429 => Some(130_429),
        400..=499 => Some(-1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::domain::failure::FAILURE_CODES;

    fn of(status: u16, code: i64) -> GraphError {
        GraphError { status, code, retry_after: None }
    }

    #[test]
    fn every_code_is_documented() {
        let codes = (0..140_000).filter_map(meaning).map(|error| error.code);
        for code in codes.chain([unknown(1).code, of_failed_status(None).code]) {
            assert!(FAILURE_CODES.iter().any(|failure| failure.code == code), "{code}");
        }
    }

    #[test]
    fn numbers_map_to_codes_and_outcomes() {
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
    fn pause_is_for_the_recipient_or_the_account() {
        assert_eq!(of(400, 131_056).pause(), RequestedPause::Recipient(RECIPIENT_PAUSE));
        assert_eq!(of(429, 130_429).pause(), RequestedPause::Account(ACCOUNT_PAUSE));
        let requested = GraphError { retry_after: Some(Duration::from_secs(30)), ..of(429, 4) };
        assert_eq!(requested.pause(), RequestedPause::Account(Duration::from_secs(30)));
        assert_eq!(of(400, 131_047).pause(), RequestedPause::None);
    }

    #[test]
    fn fatal_errors_have_their_reason() {
        assert_eq!(of(401, 190).ends_device(), Some(Reason::UpstreamUnauthorized));
        assert_eq!(of(400, 368).ends_device(), Some(Reason::TemporaryBan));
        assert_eq!(of(400, 131_031).ends_device(), Some(Reason::Banned));
        assert_eq!(of(400, 131_026).ends_device(), None);
    }

    #[test]
    fn rejection_of_a_proxy_is_read_by_its_status() {
        let rejection = |status, retry_after: Option<u64>, body: Value| {
            GraphError::of(&Rejection { status, retry_after: retry_after.map(Duration::from_secs), body })
        };
        let body = json!({ "error": { "message": "x", "type": "OAuthException", "code": 190 } });
        assert_eq!(rejection(401, None, body), Some(of(401, 190)));
        assert_eq!(rejection(429, None, Value::Null), Some(of(429, 130_429)));
        assert_eq!(rejection(502, None, Value::Null), None);
        let sentence = |seconds| rejection(429, Some(seconds), Value::Null).unwrap().error().message;
        assert!(sentence(7).ends_with("a pause of 7 s"), "{}", sentence(7));
        assert!(sentence(u64::MAX).ends_with("the next try is in an hour"));
    }
}
