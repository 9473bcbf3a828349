//! How a connection ended, in our words.
//!
//! Source: `whatsapp-rust` 0.7.0, `client/node_io.rs` (`handle_stream_error`, `handle_connect_failure`) and
//! `wacore` 0.7.0, `types/events.rs` (the codes).

use whatsapp_rust::types::events::{ConnectFailureReason, Event};

use crate::domain::reason::Reason;
use crate::engine::Ended;

/// How a session ends by what its connection told; `None` for what ends nothing.
pub(super) fn by_event(event: &Event) -> Option<Ended> {
    match event {
        Event::LoggedOut(told) => Some(refused(&told.reason)),
        Event::StreamReplaced(_) => Some(Ended::Fatal(Reason::StreamReplaced)),
        Event::TemporaryBan(_) => Some(Ended::Fatal(Reason::TemporaryBan)),
        Event::ClientOutdated(_) => Some(Ended::Fatal(Reason::ClientOutdated)),
        Event::ConnectFailure(told) => Some(refused(&told.reason)),
        Event::PairingQrCodesExhausted(_) => Some(Ended::CodesExhausted),
        Event::PairError(_) => Some(Ended::LinkLost(Reason::EngineError)),
        Event::Disconnected(_) => Some(Ended::LinkLost(Reason::LinkDropped)),
        _ => None,
    }
}

/// How a session ends when the network does not let it in.
fn refused(reason: &ConnectFailureReason) -> Ended {
    match reason {
        ConnectFailureReason::LoggedOut | ConnectFailureReason::UnknownLogout => {
            Ended::LoggedOut(Reason::LoggedOutOnPhone)
        }
        ConnectFailureReason::AccountLocked => Ended::Fatal(Reason::Banned),
        ConnectFailureReason::TempBanned => Ended::Fatal(Reason::TemporaryBan),
        ConnectFailureReason::ClientOutdated
        | ConnectFailureReason::BadUserAgent
        | ConnectFailureReason::ClientUnknown => Ended::Fatal(Reason::ClientOutdated),
        ConnectFailureReason::Generic
        | ConnectFailureReason::CatExpired
        | ConnectFailureReason::CatInvalid
        | ConnectFailureReason::NotFound
        | ConnectFailureReason::InternalServerError
        | ConnectFailureReason::Experimental
        | ConnectFailureReason::ServiceUnavailable
        | ConnectFailureReason::Unknown(_) => Ended::LinkLost(Reason::NetworkUnreachable),
    }
}
