//! Where the upstream's device is, as what that means for ours.

use super::wire::WireDevice;
use super::words;
use crate::domain::device::Account;
use crate::domain::reason::Reason;
use crate::engine::SessionEnd;

/// Where the upstream's device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum There {
    /// On its way; it gets on by itself.
    Coming(Option<Reason>),
    /// Waiting to be scanned.
    Code,
    /// A phone accepted the link.
    Pairing,
    /// Connected.
    Ready,
    /// At rest until somebody starts it.
    Resting(Option<Reason>),
    /// Not linked any more.
    LoggedOut(Option<Reason>),
    /// Failed.
    Failed(Option<Reason>),
}

/// By the words of its `state`, or of its older `status`.
pub(in super::super) fn there(state: &str, reason: Option<&str>) -> There {
    let reason = words::reason(reason);
    match state {
        "ready" => There::Ready,
        "qr" => There::Code,
        "pairing" => There::Pairing,
        "created" | "stopped" | "disconnected" => There::Resting(reason),
        "logged_out" => There::LoggedOut(reason),
        "failed" | "error" => There::Failed(reason),
        // `connecting`, `reconnecting`, and whatever comes to be.
        _ => There::Coming(reason),
    }
}

/// Where a device object says that it is.
pub(in super::super) fn of_device(device: &WireDevice) -> There {
    let word = device.state.as_deref().or(device.status.as_deref()).unwrap_or_default();
    there(word, device.reason.as_deref())
}

/// Who it is there.
pub(in super::super) fn account(device: &WireDevice) -> Option<Account> {
    let phone_number = device.phone_number.clone()?;
    Some(Account { phone_number, client_name: device.client_name.clone().unwrap_or_default() })
}

/// How our session ends when the upstream's device, which was running, comes to be there; none when it goes on.
pub(in super::super) fn ends(there: There, was_ready: bool) -> Option<SessionEnd> {
    match there {
        There::Coming(reason) if was_ready => {
            Some(SessionEnd::LinkLost(reason.unwrap_or(Reason::UpstreamUnavailable)))
        }
        There::Code | There::Pairing if was_ready => Some(SessionEnd::LinkLost(Reason::UpstreamUnavailable)),
        There::Coming(_) | There::Code | There::Pairing | There::Ready => None,
        There::Resting(Some(Reason::QrCodesExhausted)) => Some(SessionEnd::CodesExhausted),
        There::Resting(reason) => Some(SessionEnd::Fatal(reason.unwrap_or(Reason::StoppedByOperator))),
        There::LoggedOut(reason) => Some(SessionEnd::LoggedOut(reason.unwrap_or(Reason::LoggedOutOnPhone))),
        There::Failed(reason) => Some(SessionEnd::Fatal(reason.unwrap_or(Reason::EngineError))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_there_is_lost_here_for_the_same_reason() {
        let ended = |state, reason, ready| ends(there(state, reason), ready);
        assert_eq!(
            ended("reconnecting", Some("link_dropped"), true),
            Some(SessionEnd::LinkLost(Reason::LinkDropped))
        );
        assert_eq!(ended("connecting", None, false), None);
        assert_eq!(ended("failed", Some("banned"), true), Some(SessionEnd::Fatal(Reason::Banned)));
        assert_eq!(ended("stopped", Some("qr_codes_exhausted"), false), Some(SessionEnd::CodesExhausted));
        assert_eq!(
            ended("stopped", Some("stopped_by_operator"), true),
            Some(SessionEnd::Fatal(Reason::StoppedByOperator))
        );
        assert_eq!(
            ended("logged_out", Some("logged_out_on_phone"), true),
            Some(SessionEnd::LoggedOut(Reason::LoggedOutOnPhone))
        );
        assert_eq!(ended("ready", None, true), None);
    }
}
