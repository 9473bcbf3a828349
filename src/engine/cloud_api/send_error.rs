//! The outcome of a send that Meta rejected or that did not reach Meta, and its effect on the session.

use super::errors::{GraphError, RequestedPause};
use super::session::CloudSession;
use crate::domain::jid::Jid;
use crate::domain::reason::Reason;
use crate::engine::SendOutcome;
use crate::engine::relay::outcome::transient;

/// Pauses or ends the session as the error requires.
pub(super) fn rejected(session: &CloudSession, error: &GraphError, chat: Option<&Jid>) -> SendOutcome {
    match (error.pause(), chat) {
        (RequestedPause::Account(pause), _) => session.number.rate_limits.pause_all(pause),
        (RequestedPause::Recipient(pause), Some(chat)) => session.number.rate_limits.pause(chat, pause),
        (RequestedPause::Recipient(_), None) | (RequestedPause::None, _) => {}
    }
    match error.ends_device() {
        // The next check decides whether the token is still valid.
        Some(Reason::UpstreamUnauthorized) => session.recheck.notify_one(),
        Some(reason) => session.fail_session(reason),
        None => {}
    }
    error.outcome()
}

/// Meta could not be reached; nothing was sent.
pub(super) fn not_sent(session: &CloudSession) -> SendOutcome {
    session.recheck.notify_one();
    transient("not_connected", "the device is not connected to its network")
}
