//! Converts the state of the upstream's device, and decides whether it ends our session.

use super::static_codes;
use super::wire::WireDevice;
use crate::domain::device::Account;
use crate::domain::reason::Reason;
use crate::engine::SessionEnd;

/// The state of the upstream's device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum RemoteDeviceState {
    /// It connects, or reconnects, without help.
    Connecting(Option<Reason>),
    /// It shows a code.
    Code,
    Pairing,
    Ready,
    /// It does nothing until it is started.
    Stopped(Option<Reason>),
    LoggedOut(Option<Reason>),
    Failed(Option<Reason>),
}

impl RemoteDeviceState {
    /// Whether the device runs without being started.
    pub(in super::super) fn is_active(self) -> bool {
        matches!(self, Self::Connecting(_) | Self::Code | Self::Pairing | Self::Ready)
    }

    /// How our session ends when a running device of the upstream enters this state; `None` when the
    /// session continues.
    pub(in super::super) fn session_end(self, was_ready: bool) -> Option<SessionEnd> {
        match self {
            Self::Connecting(reason) if was_ready => {
                Some(SessionEnd::LinkLost(reason.unwrap_or(Reason::UpstreamUnavailable)))
            }
            Self::Code | Self::Pairing if was_ready => {
                Some(SessionEnd::LinkLost(Reason::UpstreamUnavailable))
            }
            Self::Connecting(_) | Self::Code | Self::Pairing | Self::Ready => None,
            Self::Stopped(Some(Reason::QrCodesExhausted)) => Some(SessionEnd::CodesExhausted),
            Self::Stopped(reason) => Some(SessionEnd::Fatal(reason.unwrap_or(Reason::StoppedByOperator))),
            Self::LoggedOut(reason) => {
                Some(SessionEnd::LoggedOut(reason.unwrap_or(Reason::LoggedOutOnPhone)))
            }
            Self::Failed(reason) => Some(SessionEnd::Fatal(reason.unwrap_or(Reason::EngineError))),
        }
    }
}

/// From a `state`, or from the `status` of older back ends.
pub(in super::super) fn from_words(state: &str, reason: Option<&str>) -> RemoteDeviceState {
    let reason = static_codes::reason(reason);
    match state {
        "ready" => RemoteDeviceState::Ready,
        "qr" => RemoteDeviceState::Code,
        "pairing" | "passkey" => RemoteDeviceState::Pairing,
        "created" | "stopped" | "disconnected" => RemoteDeviceState::Stopped(reason),
        "logged_out" => RemoteDeviceState::LoggedOut(reason),
        "failed" | "error" => RemoteDeviceState::Failed(reason),
        // `connecting`, `reconnecting` and future states.
        _ => RemoteDeviceState::Connecting(reason),
    }
}

/// From a device object.
pub(in super::super) fn from_device(device: &WireDevice) -> RemoteDeviceState {
    let word = device.state.as_deref().or(device.status.as_deref()).unwrap_or_default();
    from_words(word, device.reason.as_deref())
}

/// The account that the device is linked to.
pub(in super::super) fn account(device: &WireDevice) -> Option<Account> {
    let phone_number = device.phone_number.clone()?;
    Some(Account { phone_number, client_name: device.client_name.clone().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ends_for_the_reason_of_the_upstream() {
        let end = |state, reason, ready| from_words(state, reason).session_end(ready);
        assert_eq!(
            end("reconnecting", Some("link_dropped"), true),
            Some(SessionEnd::LinkLost(Reason::LinkDropped))
        );
        assert_eq!(end("connecting", None, false), None);
        assert_eq!(end("failed", Some("banned"), true), Some(SessionEnd::Fatal(Reason::Banned)));
        assert_eq!(end("stopped", Some("qr_codes_exhausted"), false), Some(SessionEnd::CodesExhausted));
        let stopped = end("stopped", Some("stopped_by_operator"), true);
        assert_eq!(stopped, Some(SessionEnd::Fatal(Reason::StoppedByOperator)));
        let logged_out = end("logged_out", Some("logged_out_on_phone"), true);
        assert_eq!(logged_out, Some(SessionEnd::LoggedOut(Reason::LoggedOutOnPhone)));
        assert_eq!(end("ready", None, true), None);
    }
}
