//! Maps the end of a connection to our reason codes.
//!
//! Source: `whatsapp-rust` 0.7.0, `client/node_io.rs` (`handle_stream_error`, `handle_connect_failure`) and `wacore`
//! 0.7.0, `types/events.rs` (the codes).

use whatsapp_rust::types::events::{ConnectFailureReason, Event, TempBanReason};

use crate::domain::reason::Reason;
use crate::engine::Ended;

/// How the event ends the session; `None` if it does not.
pub(super) fn of_event(event: &Event) -> Option<Ended> {
    match event {
        Event::LoggedOut(details) => Some(connect_failure(&details.reason)),
        Event::StreamReplaced(_) => Some(Ended::Fatal(Reason::StreamReplaced)),
        Event::TemporaryBan(_) => Some(Ended::Fatal(Reason::TemporaryBan)),
        Event::ClientOutdated(_) => Some(Ended::Fatal(Reason::ClientOutdated)),
        Event::ConnectFailure(details) => Some(connect_failure(&details.reason)),
        Event::PairingQrCodesExhausted(_) => Some(Ended::CodesExhausted),
        Event::PairError(_) => Some(Ended::LinkLost(Reason::EngineError)),
        Event::Disconnected(_) => Some(Ended::LinkLost(Reason::LinkDropped)),
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
        TempBanReason::Unknown(_) => "it does not say why",
    }
}

/// How a refused login ends the session.
fn connect_failure(reason: &ConnectFailureReason) -> Ended {
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
            (400, Ended::LinkLost(Reason::NetworkUnreachable)),
            (401, Ended::LoggedOut(Reason::LoggedOutOnPhone)),
            (402, Ended::Fatal(Reason::TemporaryBan)),
            (403, Ended::Fatal(Reason::Banned)),
            (405, Ended::Fatal(Reason::ClientOutdated)),
            (406, Ended::LoggedOut(Reason::LoggedOutOnPhone)),
            (409, Ended::Fatal(Reason::ClientOutdated)),
            (413, Ended::LinkLost(Reason::NetworkUnreachable)),
            (414, Ended::LinkLost(Reason::NetworkUnreachable)),
            (415, Ended::LinkLost(Reason::NetworkUnreachable)),
            (418, Ended::Fatal(Reason::ClientOutdated)),
            (500, Ended::LinkLost(Reason::NetworkUnreachable)),
            (501, Ended::LinkLost(Reason::NetworkUnreachable)),
            (503, Ended::LinkLost(Reason::NetworkUnreachable)),
            (599, Ended::LinkLost(Reason::NetworkUnreachable)),
        ] {
            assert_eq!(of_event(&failure(code)), Some(ended), "{code}");
        }
    }

    #[test]
    fn account_lock_is_ban_and_unlink_is_logout() {
        assert_eq!(of_event(&logged_out(401)), Some(Ended::LoggedOut(Reason::LoggedOutOnPhone)));
        assert_eq!(of_event(&logged_out(403)), Some(Ended::Fatal(Reason::Banned)));
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
                Some(Ended::Fatal(Reason::TemporaryBan)),
                "{code}"
            );
        }
    }

    #[test]
    fn other_end_events_map_to_reasons() {
        let dropped = Disconnected::builder().reason(DisconnectReason::StreamEnded).build();
        for (event, ended) in [
            (Event::StreamReplaced(StreamReplaced::builder().build()), Ended::Fatal(Reason::StreamReplaced)),
            (Event::ClientOutdated(ClientOutdated::builder().build()), Ended::Fatal(Reason::ClientOutdated)),
            (
                Event::PairingQrCodesExhausted(PairingQrCodesExhausted::builder().disconnected(true).build()),
                Ended::CodesExhausted,
            ),
            (Event::Disconnected(dropped), Ended::LinkLost(Reason::LinkDropped)),
        ] {
            assert_eq!(of_event(&event), Some(ended));
        }
    }

    #[test]
    fn other_events_end_nothing() {
        let error = StreamError::builder().code("ack".into()).build();
        for event in [Event::Connected(Connected::builder().build()), Event::StreamError(error)] {
            assert_eq!(of_event(&event), None);
        }
    }
}
