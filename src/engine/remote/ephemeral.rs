//! Events that are not in the upstream's log (typing, presence, chat flags), and requests to send typing
//! and to subscribe to presence.
//!
//! The stream is optional: a failure never ends the session, and an upstream without it only lacks
//! these events.

use std::convert::Infallible;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::RemoteFailure;
use super::convert::wire::WireChat;
use super::log_stream::{EventStream, StreamItem};
use super::session::RemoteSession;
use super::settings::InboundTransport;
use crate::domain::clock::Millis;
use crate::domain::event::TypingKind;
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, SessionEnd, SessionError};

/// The events that are read; `types` keeps the log's entries off the stream.
const TYPES: &str = "typing:start,typing:stop,presence,chat:update";
/// The pause before a stream is opened again. It doubles while streams are short, as those of a back end are
/// that answers with a page.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typing {
    chat_id: Jid,
    #[serde(default)]
    from: Option<Jid>,
    #[serde(default)]
    kind: TypingKind,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Presence {
    contact_id: Jid,
    online: bool,
    #[serde(default)]
    last_seen: Option<Millis>,
}

impl RemoteSession {
    /// Reads ephemeral events while the session is online.
    pub(super) async fn read_ephemeral(&self) -> Result<Infallible, SessionEnd> {
        self.online.cancelled().await;
        self.caught_up.cancelled().await;
        let mut delay = FIRST_DELAY;
        let mut is_logged = false;
        loop {
            let opened = Instant::now();
            match EventStream::open_ephemeral(&self.client, TYPES).await {
                Ok(mut stream) => {
                    is_logged = false;
                    // Changes of chats from before the stream.
                    self.read_chats().await?;
                    while let Some(item) = stream.next().await {
                        if let StreamItem::Ephemeral { name, payload } = item {
                            self.ephemeral_event(&name, payload).await?;
                        }
                    }
                }
                Err(error) if !is_logged => {
                    is_logged = true;
                    tracing::warn!(device = %self.relay.device, %error, "no stream of ephemeral events: typing and presence are missing; retrying");
                }
                Err(_) => {}
            }
            tokio::time::sleep(delay).await;
            let is_stable = opened.elapsed() > MAX_DELAY;
            delay = if is_stable { FIRST_DELAY } else { (delay * 2).min(MAX_DELAY) };
        }
    }

    async fn ephemeral_event(&self, name: &str, mut payload: Value) -> Result<(), SessionEnd> {
        match name {
            "typing:start" | "typing:stop" => {
                let Some(Typing { chat_id, from, kind }) = self.read("typing", payload) else {
                    return Ok(());
                };
                let from = from.unwrap_or_else(|| chat_id.clone());
                let on = name == "typing:start";
                self.relay.deliver(EngineEvent::Typing { chat: chat_id, from, kind, on }).await
            }
            "presence" => {
                let Some(Presence { contact_id, online, last_seen }) = self.read("presence", payload) else {
                    return Ok(());
                };
                self.relay.deliver(EngineEvent::Presence { contact: contact_id, online, last_seen }).await
            }
            "chat:update" => {
                // Without a log this is the only sign of new messages.
                if self.inbound == InboundTransport::Poll {
                    self.wake_up.notify_one();
                }
                match self.read::<WireChat>("chat", payload["chat"].take()) {
                    Some(chat) => self.ingest_chat(&chat).await,
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// See [`crate::engine::Session::typing`].
    pub(super) async fn send_typing(
        &self,
        chat: &Jid,
        kind: TypingKind,
        on: bool,
    ) -> Result<(), SessionError> {
        let kind = match kind {
            TypingKind::Text => "text",
            TypingKind::Audio => "voice",
        };
        let body = json!({ "state": if on { "start" } else { "stop" }, "kind": kind });
        optional(self.client.post(&["chats", &chat.to_string(), "typing"], &body).await)
    }

    /// See [`crate::engine::Session::subscribe_presence`].
    pub(super) async fn request_presence(&self, contact: &Jid) -> Result<(), SessionError> {
        let path = ["contacts", &contact.to_string(), "presence", "subscribe"];
        optional(self.client.post(&path, &json!({})).await)
    }
}

/// The result of a request that older back ends do not serve.
fn optional(answer: Result<Value, RemoteFailure>) -> Result<(), SessionError> {
    match answer {
        Ok(_) => Ok(()),
        Err(failure) if failure.is_unserved() => Err(SessionError::NotSupported),
        Err(failure) => Err(failure.session_error()),
    }
}
