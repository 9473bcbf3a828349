//! Events that the upstream's log does not hold (typing, presence, chat flags), and requests to send typing and to
//! subscribe to presence.
//!
//! The stream is optional: a failure never ends the session, and an upstream without it only lacks these events.

use std::convert::Infallible;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Ask, Trouble};
use super::convert::wire::WireChat;
use super::log::{EventStream, StreamItem};
use super::session::RemoteSession;
use super::settings::InboundBy;
use crate::domain::clock::Millis;
use crate::domain::event::TypingKind;
use crate::domain::jid::Jid;
use crate::engine::{Ended, EngineEvent, SessionError};

/// The events that are read; `types` keeps the log's entries off the stream.
const TYPES: &str = "typing:start,typing:stop,presence,chat:update";
/// A stream is replaced after this time, so that no connection lasts forever.
const MAX_AGE: Duration = Duration::from_secs(6 * 60 * 60);
/// The pause before a stream is opened again. It doubles while streams are short, as those of a back end are that answers
/// with a page.
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
    pub(super) async fn read_ephemeral(&self) -> Result<Infallible, Ended> {
        self.online.cancelled().await;
        self.caught_up.cancelled().await;
        let mut delay = FIRST_DELAY;
        let mut is_logged = false;
        loop {
            let opened = Instant::now();
            match EventStream::open_ephemeral(&self.client, TYPES, MAX_AGE).await {
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
                    tracing::warn!(device = %self.device, %error, "no stream of ephemeral events: typing and presence are missing; retrying");
                }
                Err(_) => {}
            }
            tokio::time::sleep(delay).await;
            let is_stable = opened.elapsed() > MAX_DELAY;
            delay = if is_stable { FIRST_DELAY } else { (delay * 2).min(MAX_DELAY) };
        }
    }

    async fn ephemeral_event(&self, name: &str, mut payload: Value) -> Result<(), Ended> {
        match name {
            "typing:start" | "typing:stop" => {
                let Some(Typing { chat_id, from, kind }) = self.read("typing", payload) else { return Ok(()) };
                let from = from.unwrap_or_else(|| chat_id.clone());
                let on = name == "typing:start";
                self.tell(EngineEvent::Typing { chat: chat_id, from, kind, on }).await
            }
            "presence" => {
                let Some(Presence { contact_id, online, last_seen }) = self.read("presence", payload) else {
                    return Ok(());
                };
                self.tell(EngineEvent::Presence { contact: contact_id, online, last_seen }).await
            }
            "chat:update" => {
                // Without a log this is the only sign of new messages.
                if self.inbound_by == InboundBy::Poll {
                    self.called.notify_one();
                }
                match self.read::<WireChat>("chat", payload["chat"].take()) {
                    Some(chat) => self.chat_is(&chat).await,
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// See [`crate::engine::Session::typing`].
    pub(super) async fn set_typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError> {
        let kind = match kind {
            TypingKind::Text => "text",
            TypingKind::Audio => "voice",
        };
        let body = json!({ "state": if on { "start" } else { "stop" }, "kind": kind });
        self.optional(Ask::post(&["chats", &chat.to_string(), "typing"], body)).await
    }

    /// See [`crate::engine::Session::subscribe_presence`].
    pub(super) async fn watch_presence(&self, contact: &Jid) -> Result<(), SessionError> {
        let path = ["contacts", &contact.to_string(), "presence", "subscribe"];
        self.optional(Ask::post(&path, json!({}))).await
    }

    /// Sends a request that older back ends do not serve.
    async fn optional(&self, ask: Ask<'_>) -> Result<(), SessionError> {
        match self.client.ask(ask).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_nothing_there() => Err(SessionError::NotSupported),
            Err(failure) => Err(Trouble::into_session_error(failure)),
        }
    }
}
