//! Sends events: webhooks with the configured signature and retries, and WebSocket frames.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::Uri;
use futures_util::{SinkExt as _, StreamExt as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha512;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{KEY, Server, Session};

/// How long the daemon may take to ingest a frame.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// The length of a configured second in tests.
const SECOND: Duration = Duration::from_millis(10);
/// The maximum of retries: further ones take too long for a test.
const TRIES: u64 = 4;

/// The open WebSockets.
#[derive(Default)]
pub struct Sockets(Mutex<Vec<Listener>>);

struct Listener {
    session: String,
    events: Vec<String>,
    frames: mpsc::Sender<(String, oneshot::Sender<()>)>,
}

/// The signature of a webhook's body.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The envelope of an event.
pub fn envelope(session: &Session, event: &str, payload: &Value) -> Value {
    json!({
        "id": format!("evt_{:026}", session.next_event()), "timestamp": now_ms(), "event": event, "session": session.name,
        "metadata": {}, "me": session.me(), "payload": payload, "engine": "WEBJS",
        "environment": { "version": "2026.1.1", "engine": "WEBJS", "tier": "PLUS", "browser": null },
    })
}

#[expect(clippy::disallowed_methods, reason = "the server's own clock")]
pub fn now_ms() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}

/// Sends an event to all subscribers once; returns whether all of them accepted it.
pub async fn send(server: &Server, session: &Session, event: &str, payload: &Value) -> bool {
    let envelope = envelope(session, event, payload);
    let mut all = server.sockets.send(&session.name, event, &envelope).await;
    for webhook in session.webhooks() {
        let events = webhook["events"].as_array().cloned().unwrap_or_default();
        if events.iter().any(|name| name == event || name == "*") {
            all &= post(&webhook, &envelope).await;
        }
    }
    all
}

async fn post(webhook: &Value, envelope: &Value) -> bool {
    let body = envelope.to_string().into_bytes();
    let retries = &webhook["retries"];
    let (tries, delay) =
        (retries["attempts"].as_u64().unwrap_or(0), retries["delaySeconds"].as_u64().unwrap_or(2));
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    for attempt in 0..=tries.min(TRIES) {
        if attempt > 0 {
            let delay = u32::try_from(delay).unwrap()
                * if retries["policy"] == "exponential" { 1 << (attempt - 1) } else { 1 };
            tokio::time::sleep(SECOND * delay).await;
        }
        let mut request = client
            .post(webhook["url"].as_str().unwrap())
            .timeout(Duration::from_secs(30))
            .header("content-type", "application/json")
            .header("x-webhook-request-id", envelope["id"].as_str().unwrap())
            .header("x-webhook-timestamp", envelope["timestamp"].to_string());
        if let Some(key) = webhook["hmac"]["key"].as_str() {
            request = request
                .header("x-webhook-hmac", signature(key, &body))
                .header("x-webhook-hmac-algorithm", "sha512");
        }
        if let Ok(answer) = request.body(body.clone()).send().await
            && answer.status().is_success()
        {
            return true;
        }
    }
    false
}

impl Sockets {
    /// Sends a frame to its subscribers, and waits until each has processed it.
    async fn send(&self, session: &str, event: &str, envelope: &Value) -> bool {
        let serves = |listener: &&Listener| {
            (listener.session == "*" || listener.session == session)
                && listener.events.iter().any(|name| name == event || name == "*")
        };
        let to: Vec<_> =
            self.0.lock().unwrap().iter().filter(serves).map(|listener| listener.frames.clone()).collect();
        let mut all = true;
        for frames in to {
            let (taken, answer) = oneshot::channel();
            let sent = frames.send((envelope.to_string(), taken)).await.is_ok();
            all &= sent && matches!(tokio::time::timeout(TAKEN_WITHIN, answer).await, Ok(Ok(())));
        }
        all
    }

    /// The number of open WebSockets.
    pub fn count(&self) -> usize {
        let mut open = self.0.lock().unwrap();
        open.retain(|listener| !listener.frames.is_closed());
        open.len()
    }
}

/// Serves a WebSocket: `/ws?session=…&events=…&x-api-key=…`.
pub async fn serve_socket(server: &Server, stream: TcpStream) {
    let mut uri = Uri::default();
    #[allow(clippy::result_large_err, reason = "the shape that tungstenite asks for")]
    let read = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        uri = request.uri().clone();
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, read).await else { return };
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let all =
        |name: &str| query.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect::<Vec<_>>();
    if all("x-api-key") != [KEY] {
        let frame = CloseFrame { code: CloseCode::Policy, reason: "Unauthorized".into() };
        let _ = socket.close(Some(frame)).await;
        while let Some(Ok(_)) = socket.next().await {}
        return;
    }
    let (frames, mut waiting) = mpsc::channel::<(String, oneshot::Sender<()>)>(64);
    let events = all("events").iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
    let session = all("session").first().cloned().unwrap_or_else(|| "*".to_owned());
    server.sockets.0.lock().unwrap().push(Listener { session, events, frames });
    let mut unanswered: std::collections::VecDeque<oneshot::Sender<()>> = std::collections::VecDeque::new();
    loop {
        tokio::select! {
            frame = waiting.recv() => {
                let Some((text, taken)) = frame else { return };
                // A client that reads in order answers the ping after it has processed the text.
                let sent = socket.feed(Message::text(text)).await.is_ok()
                    && socket.send(Message::Ping(bytes::Bytes::new())).await.is_ok();
                if !sent {
                    return;
                }
                unanswered.push_back(taken);
            }
            came = socket.next() => match came {
                Some(Ok(Message::Pong(_))) => {
                    if let Some(taken) = unanswered.pop_front() {
                        let _ = taken.send(());
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            }
        }
    }
}

/// Sends an event in the background.
#[expect(clippy::disallowed_methods, reason = "it ends with its try")]
pub fn send_in_background(server: &Arc<Server>, session: &Arc<Session>, event: &'static str, payload: Value) {
    let (server, session) = (Arc::clone(server), Arc::clone(session));
    tokio::spawn(async move { send(&server, &session, event, &payload).await });
}
