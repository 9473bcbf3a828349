//! Builds the outcomes of a send. Codes are stable; sentences are for people.

use crate::engine::{SendError, SendOutcome};

/// The outcome while the device is not connected.
pub(super) fn offline() -> SendOutcome {
    transient("not_connected", "the device is not connected to its network")
}

pub(super) fn transient(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Transient(SendError { code, message: message.to_owned() })
}

pub(super) fn permanent(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Permanent(SendError { code, message: message.to_owned() })
}

pub(super) fn link_lost() -> SendOutcome {
    unknown("link_lost_while_sending", "the link broke before the network answered")
}

pub(super) fn unknown(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Unknown(SendError { code, message: message.to_owned() })
}
