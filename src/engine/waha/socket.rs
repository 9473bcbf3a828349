//! The server's WebSocket: the envelopes of its webhooks as text frames, one after the other, each taken in before the
//! next is read. It resumes nothing: when it breaks the session ends, and the next one asks for what was missed.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::convert::event_in::EVENTS;
use super::session::WahaSession;
use crate::domain::reason::Reason;
use crate::engine::SessionEnd;
use crate::net::{Frame, NetError, WebSocket, WebSocketError};

/// Bytes of the largest message; files are not in them.
const LARGEST: usize = 8 << 20;
/// How long opening may take.
const OPENS_WITHIN: Duration = Duration::from_secs(20);
/// How often the server is asked for a sign of life, and how long it may be silent.
const PING: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(75);
/// A close code: policy violation, which is how the server refuses a key.
const REFUSED: u16 = 1_008;

/// Opens it.
pub(super) async fn open(session: &WahaSession) -> Result<WebSocket, SessionEnd> {
    let url = session.client.socket_url(&EVENTS).ok_or(SessionEnd::Fatal(Reason::EngineError))?;
    session.client.http.websocket(&url, LARGEST, OPENS_WITHIN).await.map_err(|error| broken(session, &error))
}

/// Takes in what comes until it ends.
pub(super) async fn listen(session: &WahaSession, socket: &mut WebSocket) -> Result<Infallible, SessionEnd> {
    let mut heard = Instant::now();
    let mut ping = heard + PING;
    loop {
        let frame = tokio::select! {
            frame = socket.next() => Some(frame.map_err(|error| broken(session, &error))?),
            () = tokio::time::sleep_until(ping) => None,
        };
        match frame {
            None if heard.elapsed() > SILENCE => return Err(SessionEnd::LinkLost(Reason::KeepaliveTimeout)),
            None => {
                ping = Instant::now() + PING;
                socket.ping().await.map_err(|error| broken(session, &error))?;
                continue;
            }
            Some(Frame::Text(text)) => take(session, &text).await?,
            Some(Frame::Alive) => {}
            Some(Frame::Closed(Some(REFUSED))) => {
                return Err(SessionEnd::Fatal(Reason::UpstreamUnauthorized));
            }
            Some(Frame::Closed(_)) => return Err(SessionEnd::LinkLost(Reason::LinkDropped)),
        }
        heard = Instant::now();
    }
}

async fn take(session: &WahaSession, text: &str) -> Result<(), SessionEnd> {
    let Ok(envelope) = serde_json::from_str::<Value>(text) else {
        session.not_read("a frame");
        return Ok(());
    };
    if envelope.get("session").and_then(Value::as_str) != Some(&session.settings.session) {
        return Ok(());
    }
    session.take(&envelope).await.map_err(|error| error.ends(session))
}

fn broken(session: &WahaSession, error: &WebSocketError) -> SessionEnd {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(device = %session.device, %error, cause, "the WAHA server's WebSocket is not open");
    match error {
        WebSocketError::Status(401 | 403) => SessionEnd::Fatal(Reason::UpstreamUnauthorized),
        WebSocketError::Net(NetError::Refused(_)) => SessionEnd::Fatal(Reason::EngineError),
        _ => SessionEnd::LinkLost(Reason::UpstreamUnavailable),
    }
}
