//! Emits to clients whose buffer may be full, and answers their requests.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use socketioxide::extract::AckSender;
use socketioxide::handler::{FromMessageParts, Value};
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};
use tokio::time::Instant;

use super::request_error::RequestError;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;

/// The first pause before another attempt on a full buffer; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The reason why a packet was not buffered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undelivered {
    /// The socket is closed.
    Closed,
    /// The client has read nothing for too long.
    Stalled,
}

/// Repeats `emit` while the buffer is full, for as long as `patience`.
pub(super) async fn emit_with_backpressure(
    patience: Duration,
    mut emit: impl FnMut() -> Result<(), SendError>,
) -> Result<(), Undelivered> {
    let mut pause = FIRST_PAUSE;
    let mut full_since = None;
    loop {
        match emit() {
            Ok(()) => return Ok(()),
            Err(SendError::Socket(SocketError::InternalChannelFull)) => {}
            Err(SendError::Socket(_)) => return Err(Undelivered::Closed),
            Err(SendError::Serialize(_)) => {
                // Not reached: all payloads are JSON already.
                tracing::error!("a socket payload cannot be encoded");
                return Ok(());
            }
        }
        let since = *full_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= patience {
            return Err(Undelivered::Stalled);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The target of an answer: the callback of the request. A failure without a callback becomes an
/// `error` event.
pub(super) struct Reply {
    pub(super) socket: Arc<Socket>,
    /// The callback's number.
    pub(super) ack: Option<i64>,
}

impl Reply {
    /// Answers, waiting for room in the buffer.
    pub(super) async fn send(
        &self,
        answer: Result<Json, RequestError>,
        to: &Request<'_>,
        patience: Duration,
    ) {
        let Some((event, body)) = self.body(answer, to) else { return };
        // The forwarder handles clients that do not read.
        let _ = emit_with_backpressure(patience, || self.emit(event, &body)).await;
    }

    /// Answers without waiting: the answer is lost if the buffer has no room.
    pub(super) fn send_now(&self, answer: Result<Json, RequestError>, to: &Request<'_>) {
        if let Some((event, body)) = self.body(answer, to) {
            let _ = self.emit(event, &body);
        }
    }

    fn body(
        &self,
        answer: Result<Json, RequestError>,
        to: &Request<'_>,
    ) -> Option<(Option<&'static str>, Json)> {
        match (answer, self.ack) {
            (Ok(body), Some(_)) => Some((None, body)),
            (Ok(_), None) => None,
            (Err(problem), Some(_)) => Some((None, problem.as_answer())),
            (Err(problem), None) => Some((Some("error"), problem.as_event(to))),
        }
    }

    fn emit(&self, event: Option<&str>, body: &Json) -> Result<(), SendError> {
        if let Some(event) = event {
            return self.socket.emit(event, body);
        }
        // An attempt consumes the sender, so that each makes a new one; the payload is unused.
        let mut unused = Value::Bytes(Default::default());
        let Ok(sender) = AckSender::from_message_parts(&self.socket, &mut unused, &self.ack);
        sender.send(body)
    }
}

/// The request in the event of a failure.
pub(super) struct Request<'a> {
    /// The device; `None` in the namespace of all devices.
    pub(super) device: Option<&'a DeviceId>,
    /// The event's name.
    pub(super) event: &'a str,
    /// The time of the answer.
    pub(super) at: Millis,
}

/// A success without further fields.
pub(super) fn done() -> Json {
    json!({ "success": true })
}
