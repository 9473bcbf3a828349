//! Maps the end of a connection to our reason codes.
//!
//! Source: `whatsapp-rust` 0.7.0, `client/node_io.rs` (`handle_stream_error`, `handle_connect_failure`) and
//! `wacore` 0.7.0, `types/events.rs` (the codes).

use whatsapp_rust::types::events::{ConnectFailureReason, Event, TempBanReason};

use crate::domain::reason::Reason;
use crate::engine::SessionEnd;

/// How the event ends the session; `None` if it does not.
pub(super) fn of_event(event: &Event) -> Option<SessionEnd> {
    match event {
        Event::LoggedOut(details) => Some(connect_failure(&details.reason)),
        Event::StreamReplaced(_) => Some(SessionEnd::Fatal(Reason::StreamReplaced)),
        Event::TemporaryBan(_) => Some(SessionEnd::Fatal(Reason::TemporaryBan)),
        Event::ClientOutdated(_) => Some(SessionEnd::Fatal(Reason::ClientOutdated)),
        Event::ConnectFailure(details) => Some(connect_failure(&details.reason)),
        // Without a disconnection the library keeps a typed code alive.
        Event::PairingQrCodesExhausted(details) if details.disconnected => Some(SessionEnd::CodesExhausted),
        Event::PairError(_) => Some(SessionEnd::LinkLost(Reason::EngineError)),
        Event::Disconnected(_) => Some(SessionEnd::LinkLost(Reason::LinkDropped)),
        _ => None,
    }
}

/// The network's reason for a suspension (codes: `wacore` 0.7.0, `types/events.rs`).
pub(super) fn ban_reason(code: &TempBanReason) -> &'static str {
    match code {
        TempBanReason::SentToTooManyPeople => {
            "too many messages to people who do not have it in their address books"
        }
        TempBanReason::BlockedByUsers => "too many people blocked it",
        TempBanReason::CreatedTooManyGroups => {
            "too many groups with people who do not have it in their address books"
        }
        TempBanReason::SentTooManySameMessage => "the same message to too many people",
        TempBanReason::BroadcastList => "too many messages to a broadcast list",
        TempBanReason::Unknown(_) => "it gives no reason",
    }
}

/// How a refused login ends the session.
fn connect_failure(reason: &ConnectFailureReason) -> SessionEnd {
    match reason {
        ConnectFailureReason::LoggedOut | ConnectFailureReason::UnknownLogout => {
            SessionEnd::LoggedOut(Reason::LoggedOutOnPhone)
        }
        ConnectFailureReason::AccountLocked => SessionEnd::Fatal(Reason::Banned),
        ConnectFailureReason::TempBanned => SessionEnd::Fatal(Reason::TemporaryBan),
        ConnectFailureReason::ClientOutdated
        | ConnectFailureReason::BadUserAgent
        | ConnectFailureReason::ClientUnknown => SessionEnd::Fatal(Reason::ClientOutdated),
        ConnectFailureReason::Generic
        | ConnectFailureReason::CatExpired
        | ConnectFailureReason::CatInvalid
        | ConnectFailureReason::NotFound
        | ConnectFailureReason::InternalServerError
        | ConnectFailureReason::Experimental
        | ConnectFailureReason::ServiceUnavailable
        | ConnectFailureReason::Unknown(_) => SessionEnd::LinkLost(Reason::NetworkUnreachable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whatsapp_rust::types::events::{
        ClientOutdated, ConnectFailure, Connected, Disconnected, LoggedOut, PairingQrCodesExhausted,
        StreamError, StreamReplaced, TemporaryBan,
    };
    use whatsapp_rust::wacore::chrono;
    use whatsapp_rust::wacore::net::DisconnectReason;

    fn failure(code: i32) -> Event {
        Event::ConnectFailure(ConnectFailure::builder().reason(ConnectFailureReason::from(code)).build())
    }

    fn logged_out(code: i32) -> Event {
        let reason = ConnectFailureReason::from(code);
        Event::LoggedOut(LoggedOut::builder().on_connect(true).reason(reason).build())
    }

    #[test]
    fn connect_failure_codes_map_to_reasons() {
        for (code, ended) in [
            (400, SessionEnd::LinkLost(Reason::NetworkUnreachable)),
            (401, SessionEnd::LoggedOut(Reason::LoggedOutOnPhone)),
            (402, SessionEnd::Fatal(Reason::TemporaryBan)),
            (403, SessionEnd::Fatal(Reason::Banned)),
            (405, SessionEnd::Fatal(Reason::ClientOutdated)),
            (406, SessionEnd::LoggedOut(Reason::LoggedOutOnPhone)),
            (409, SessionEnd::Fatal(Reason::ClientOutdated)),
            (413, SessionEnd::LinkLost(Reason::NetworkUnreachable)),
            (414, SessionEnd::LinkLost(Reason::NetworkUnreachable)),
            (415, SessionEnd::LinkLost(Reason::NetworkUnreachable)),
            (418, SessionEnd::Fatal(Reason::ClientOutdated)),
            (500, SessionEnd::LinkLost(Reason::NetworkUnreachable)),
            (501, SessionEnd::LinkLost(Reason::NetworkUnreachable)),
            (503, SessionEnd::LinkLost(Reason::NetworkUnreachable)),
            (599, SessionEnd::LinkLost(Reason::NetworkUnreachable)),
        ] {
            assert_eq!(of_event(&failure(code)), Some(ended), "{code}");
        }
    }

    #[test]
    fn account_lock_is_ban_and_unlink_is_logout() {
        assert_eq!(of_event(&logged_out(401)), Some(SessionEnd::LoggedOut(Reason::LoggedOutOnPhone)));
        assert_eq!(of_event(&logged_out(403)), Some(SessionEnd::Fatal(Reason::Banned)));
    }

    #[test]
    fn suspension_codes_map_to_temporary_ban() {
        for code in [101, 102, 103, 104, 106, 199] {
            let details = TemporaryBan::builder()
                .code(TempBanReason::from(code))
                .expire(chrono::Duration::seconds(60))
                .build();
            assert_eq!(
                of_event(&Event::TemporaryBan(details)),
                Some(SessionEnd::Fatal(Reason::TemporaryBan)),
                "{code}"
            );
        }
    }

    #[test]
    fn other_end_events_map_to_reasons() {
        let dropped = Disconnected::builder().reason(DisconnectReason::StreamEnded).build();
        for (event, ended) in [
            (
                Event::StreamReplaced(StreamReplaced::builder().build()),
                SessionEnd::Fatal(Reason::StreamReplaced),
            ),
            (
                Event::ClientOutdated(ClientOutdated::builder().build()),
                SessionEnd::Fatal(Reason::ClientOutdated),
            ),
            (
                Event::PairingQrCodesExhausted(PairingQrCodesExhausted::builder().disconnected(true).build()),
                SessionEnd::CodesExhausted,
            ),
            (Event::Disconnected(dropped), SessionEnd::LinkLost(Reason::LinkDropped)),
        ] {
            assert_eq!(of_event(&event), Some(ended));
        }
    }

    #[test]
    fn other_events_end_nothing() {
        let error = StreamError::builder().code("ack".into()).build();
        let codes = PairingQrCodesExhausted::builder().disconnected(false).build();
        for event in [
            Event::Connected(Connected::builder().build()),
            Event::StreamError(error),
            Event::PairingQrCodesExhausted(codes),
        ] {
            assert_eq!(of_event(&event), None);
        }
    }
}
