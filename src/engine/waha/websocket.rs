//! The server's WebSocket: each text frame has the envelope of a webhook, and is ingested before the next one
//! is read.
//!
//! It does not resume: when it breaks, the session ends, and the next session starts with a backfill.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::convert::event_in::EVENTS;
use super::session::WahaSession;
use crate::domain::reason::Reason;
use crate::engine::SessionEnd;
use crate::net::{Frame, NetError, WebSocket, WebSocketError};

/// The largest message; it has no files in it.
const MAX_MESSAGE_BYTES: usize = 8 << 20;
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);
const PING_EVERY: Duration = Duration::from_secs(30);
/// The link counts as lost after this time without a frame.
const MAX_SILENCE: Duration = Duration::from_secs(75);
/// The close code of a rejected key: policy violation.
const POLICY_VIOLATION: u16 = 1_008;

/// Opens the WebSocket.
pub(super) async fn open(session: &WahaSession) -> Result<WebSocket, SessionEnd> {
    let url = session.client.websocket_url(&EVENTS).ok_or(SessionEnd::Fatal(Reason::EngineError))?;
    let opened = session.client.upstream.http().websocket(&url, MAX_MESSAGE_BYTES, OPEN_TIMEOUT).await;
    opened.map_err(|error| session_end(session, &error))
}

/// Ingests frames until the WebSocket closes.
pub(super) async fn receive(session: &WahaSession, socket: &mut WebSocket) -> Result<Infallible, SessionEnd> {
    let mut last_frame = Instant::now();
    let mut ping = last_frame + PING_EVERY;
    loop {
        let frame = tokio::select! {
            frame = socket.next() => Some(frame.map_err(|error| session_end(session, &error))?),
            () = tokio::time::sleep_until(ping) => None,
        };
        match frame {
            None if last_frame.elapsed() > MAX_SILENCE => {
                return Err(SessionEnd::LinkLost(Reason::KeepaliveTimeout));
            }
            None => {
                ping = Instant::now() + PING_EVERY;
                socket.ping().await.map_err(|error| session_end(session, &error))?;
                continue;
            }
            Some(Frame::Text(text)) => ingest(session, &text).await?,
            Some(Frame::Alive) => {}
            Some(Frame::Closed(Some(POLICY_VIOLATION))) => {
                return Err(SessionEnd::Fatal(Reason::UpstreamUnauthorized));
            }
            Some(Frame::Closed(_)) => return Err(SessionEnd::LinkLost(Reason::LinkDropped)),
        }
        last_frame = Instant::now();
    }
}

async fn ingest(session: &WahaSession, text: &str) -> Result<(), SessionEnd> {
    let Ok(envelope) = serde_json::from_str::<Value>(text) else {
        session.base.log_read_error("a frame");
        return Ok(());
    };
    if envelope.get("session").and_then(Value::as_str) != Some(&session.settings.session) {
        return Ok(());
    }
    session.ingest(&envelope).await.map_err(|error| error.session_end(session))
}

fn session_end(session: &WahaSession, error: &WebSocketError) -> SessionEnd {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(device = %session.context.device, %error, source, "the WAHA server's WebSocket failed");
    match error {
        WebSocketError::Status(401 | 403) => SessionEnd::Fatal(Reason::UpstreamUnauthorized),
        WebSocketError::Net(NetError::Refused(_)) => SessionEnd::Fatal(Reason::EngineError),
        _ => SessionEnd::LinkLost(Reason::UpstreamUnavailable),
    }
}
