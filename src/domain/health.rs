//! Computes a device's health score and its warnings.
//!
//! The score starts at 100 and loses points for each problem. `status` follows from the score, and a failed
//! device is always `blocked`.

use serde::Serialize;

use super::clock::Millis;
use super::outbox::Phase;
use super::state::State;

/// The measurements of the last hour from which the score is computed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HealthInput {
    /// Number of messages of both directions.
    pub messages_last_hour: i64,
    /// Number of messages that the network accepted.
    pub sent_last_hour: i64,
    /// Number of messages that failed.
    pub failed_last_hour: i64,
    /// Mean time from accepting a message here to its acceptance by the network, in milliseconds.
    pub avg_response_ms: i64,
    /// How often the device went offline.
    pub disconnections_last_hour: i64,
    /// When the newest message of either direction was sent or received.
    pub last_activity: Option<Millis>,
    /// The state of the network connection.
    pub network: Network,
    /// The warm-up phase, if the device has one.
    pub warmup: Option<Phase>,
}

/// Measurements of a device's network connection.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Network {
    /// Time since the network last responded, in milliseconds; set only when it exceeds the limit.
    pub silent_ms: Option<i64>,
    /// Sends without a response from the network for [`UNANSWERED_AFTER_MS`].
    pub unanswered: i64,
    /// Chats to which messages were sent at least [`UNDELIVERED_AFTER_MS`] ago, within one hour before that.
    pub chats_sent_to: i64,
    /// The chats among `chats_sent_to` without a delivery receipt from a device.
    pub chats_without_receipt: i64,
    /// Mean time until the network accepts a send, in milliseconds; `None` with too few sends.
    pub send_ms: Option<i64>,
    /// Whether no message arrived in an hour of the day in which messages arrived on previous days.
    pub receives_nothing: bool,
}

/// Time without a response after which a send counts as stalled, in milliseconds.
pub const UNANSWERED_AFTER_MS: i64 = 120_000;
/// Time without a device's receipt after which a message counts as undelivered, in milliseconds.
pub const UNDELIVERED_AFTER_MS: i64 = 600_000;
/// Minimum number of chats for the delivery check: one recipient may simply be offline.
const MIN_CHATS: i64 = 3;
/// Mean duration above which sends count as slow, in milliseconds.
const SLOW_SEND_MS: i64 = 10_000;

/// The metrics that REST returns with the score.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthMetrics {
    /// Messages in the last hour.
    pub messages_per_hour: i64,
    /// Percentage of outgoing messages that the network accepted, 0 to 100.
    pub success_rate: f64,
    /// Mean time until the network accepts a message, in milliseconds.
    pub avg_response_time: i64,
    /// How often the device went offline in the last hour.
    pub disconnection_count: i64,
    /// When the newest message of either direction was sent or received.
    pub last_activity: Option<Millis>,
    /// The warm-up phase, such as `day 3 of 14`; `None` without a warm-up or after its end.
    pub warmup_phase: Option<String>,
}

/// The health of a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `healthy`, `warning`, `critical` or `blocked`.
    pub status: &'static str,
    /// The score, 0 to 100.
    pub score: u8,
    /// The metrics behind the score.
    pub metrics: HealthMetrics,
    /// The problems found, each with a code and advice.
    pub warnings: Vec<Warning>,
}

/// A health problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A stable code in snake_case.
    pub code: String,
    /// The problem and the advice, as a sentence.
    pub message: String,
}

/// Computes the health of a device.
#[must_use]
pub fn compute_health(state: &State, input: &HealthInput) -> Health {
    let mut score: i64 = 100;
    let mut warnings = Vec::new();
    if !state.is_ready() {
        let (cost, code, text) = offline(state);
        score -= cost;
        warnings.push(Warning { code, message: text });
    }
    let outgoing = input.sent_last_hour + input.failed_last_hour;
    let success_rate = success_rate(input);
    if outgoing >= 5 && success_rate < 90.0 {
        score -= 25;
        warnings.push(warning("send_failures", "Many messages fail: check their codes before sending more."));
    }
    if input.disconnections_last_hour >= 3 {
        score -= (input.disconnections_last_hour * 7).min(40);
        warnings.push(warning("flapping_link", "The connection is lost often: check the network."));
    }
    for (cost, warning) in input.network.problems() {
        score -= cost;
        warnings.push(warning);
    }
    let status = match (state, score) {
        (State::Failed { .. }, _) => "blocked",
        (_, 80..) => "healthy",
        (_, 50..) => "warning",
        _ => "critical",
    };
    let metrics = HealthMetrics {
        messages_per_hour: input.messages_last_hour,
        success_rate,
        avg_response_time: input.avg_response_ms,
        disconnection_count: input.disconnections_last_hour,
        last_activity: input.last_activity,
        warmup_phase: input.warmup.map(|phase| phase.to_string()),
    };
    Health { status, score: u8::try_from(score.clamp(0, 100)).unwrap_or(0), metrics, warnings }
}

impl Network {
    /// The problems of the connection, each with the points that it costs.
    fn problems(&self) -> Vec<(i64, Warning)> {
        let mut problems = Vec::new();
        if let Some(ms) = self.silent_ms {
            let text = format!(
                "The device is connected, but its network has not responded for {} s: restart the device, \
                 and check its network if that does not help.",
                ms / 1_000
            );
            problems.push((55, warning("degraded", &text)));
        }
        if self.receives_nothing {
            let text = "No message has arrived for an hour in which messages arrived on other days: restart \
                        the device, and check on the phone that it is still linked.";
            problems.push((25, warning("receive_stall", text)));
        }
        if self.unanswered > 0 {
            let text = format!(
                "The network has not acknowledged {} messages sent to it: restart the device.",
                self.unanswered
            );
            problems.push((25, warning("ack_stall", &text)));
        } else if self.chats_sent_to >= MIN_CHATS && self.chats_without_receipt * 2 > self.chats_sent_to {
            let text = format!(
                "The network accepted messages to {} chats and delivered none to {} of them: stop sending, and \
                 check on the phone whether the account is restricted.",
                self.chats_sent_to, self.chats_without_receipt
            );
            problems.push((25, warning("ack_stall", &text)));
        }
        if let Some(ms) = self.send_ms.filter(|ms| *ms > SLOW_SEND_MS) {
            let text = format!(
                "The network takes {} s to accept a message: check the connection, and send less at a time.",
                ms / 1_000
            );
            problems.push((25, warning("slow_sends", &text)));
        }
        problems
    }
}

#[expect(clippy::cast_precision_loss, reason = "message counts of an hour are far below 2^52")]
fn success_rate(input: &HealthInput) -> f64 {
    let outgoing = input.sent_last_hour + input.failed_last_hour;
    if outgoing == 0 {
        return 100.0;
    }
    (input.sent_last_hour as f64 * 1_000.0 / outgoing as f64).round() / 10.0
}

fn warning(code: &str, message: &str) -> Warning {
    Warning { code: code.to_owned(), message: message.to_owned() }
}

fn offline(state: &State) -> (i64, String, String) {
    let cost = match state {
        State::Failed { .. } => 100,
        State::LoggedOut { .. } | State::Stopped { .. } => 60,
        State::Reconnecting { .. } => 40,
        _ => 30,
    };
    match state.reason() {
        Some(reason) => (cost, reason.code().to_owned(), format!("{} {}", reason.meaning(), reason.advice())),
        None if state.name() == "passkey" => (
            cost,
            "passkey_needed".to_owned(),
            "The network asks for a passkey: sign with it and confirm the code (…/passkey).".to_owned(),
        ),
        None => (cost, "not_ready".to_owned(), format!("The device is {}.", state.name().replace('_', " "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::Reason;

    const READY: State = State::Ready { since: Millis(0), attempt: 0 };

    #[test]
    fn idle_ready_device_is_healthy() {
        let health = compute_health(&READY, &HealthInput::default());
        assert_eq!((health.status, health.score), ("healthy", 100));
    }

    #[test]
    fn failures_lower_score_with_reason() {
        let input = HealthInput { sent_last_hour: 5, failed_last_hour: 5, ..HealthInput::default() };
        let health = compute_health(&READY, &input);
        assert_eq!((health.status, health.warnings[0].code.as_str()), ("warning", "send_failures"));
    }

    #[test]
    fn each_network_problem_has_finding() {
        for (code, network) in [
            ("degraded", Network { silent_ms: Some(200_000), ..Network::default() }),
            ("receive_stall", Network { receives_nothing: true, ..Network::default() }),
            ("ack_stall", Network { unanswered: 1, ..Network::default() }),
            ("ack_stall", Network { chats_sent_to: 3, chats_without_receipt: 2, ..Network::default() }),
            ("slow_sends", Network { send_ms: Some(11_000), ..Network::default() }),
        ] {
            let health = compute_health(&READY, &HealthInput { network, ..HealthInput::default() });
            let codes: Vec<&str> = health.warnings.iter().map(|warning| warning.code.as_str()).collect();
            assert_eq!(codes, [code]);
            assert_ne!(health.status, "healthy", "{code}");
        }
        let usual =
            Network { chats_sent_to: 4, chats_without_receipt: 2, send_ms: Some(900), ..Network::default() };
        assert_eq!(
            compute_health(&READY, &HealthInput { network: usual, ..HealthInput::default() }).warnings,
            []
        );
    }

    #[test]
    fn failed_device_is_blocked_with_reason() {
        let state = State::Failed { reason: Reason::Banned, since: Millis(0) };
        let health = compute_health(&state, &HealthInput::default());
        assert_eq!((health.status, health.score), ("blocked", 0));
        assert_eq!(health.warnings[0].code, "banned");
    }
}
