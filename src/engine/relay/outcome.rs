//! Constructors for the outcomes of a send that did not succeed.

use crate::engine::{SendError, SendOutcome};

/// The message may be sent again.
pub(crate) fn transient(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Transient(error(code, message))
}

/// The message can never be sent.
pub(crate) fn permanent(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Permanent(error(code, message))
}

/// The upstream may have the message.
pub(crate) fn unknown(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Unknown(error(code, message))
}

fn error(code: &'static str, message: &str) -> SendError {
    SendError { code, message: message.to_owned() }
}
