//! Ingests events of the server: under our message ids, with media, and durable when a call returns.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;

use super::convert::event_in::{self, WahaEvent};
use super::convert::message_in::Message;
use super::session::{PendingMedia, WahaSession, key_of};
use super::settings::InboundTransport;
use super::{media, people};
use crate::domain::content::Content;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::reason::Reason;
use crate::engine::relay::media_retry::MediaFetchError;
use crate::engine::{EngineEvent, InboundError, Incoming, IncomingChange, SessionEnd, VaultError};

/// How long an event of an own message waits for the answers to sends without an id.
const ANSWER_WAIT: Duration = Duration::from_secs(8);

/// Why an event was not ingested.
#[derive(Debug)]
pub(super) enum IngestError {
    /// The device is not running.
    Gone,
    /// The daemon's store failed.
    Store(Box<dyn std::error::Error + Send + Sync>),
    /// The media could not be downloaded, and another attempt may succeed.
    Media,
}

impl IngestError {
    /// How the session ends because of it.
    pub(super) fn session_end(self, session: &WahaSession) -> SessionEnd {
        match self {
            Self::Gone => SessionEnd::Closed,
            Self::Store(error) => {
                tracing::warn!(device = %session.context.device, %error, "an event of the WAHA server could not be stored");
                SessionEnd::LinkLost(Reason::EngineError)
            }
            Self::Media => SessionEnd::LinkLost(Reason::EngineError),
        }
    }
}

impl From<VaultError> for IngestError {
    fn from(error: VaultError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<InboundError> for IngestError {
    fn from(error: InboundError) -> Self {
        match error {
            InboundError::Gone => Self::Gone,
            InboundError::Store(source) => Self::Store(source),
        }
    }
}

/// Whether the media of a message is downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MediaMode {
    /// Within this time.
    Fetch(Duration),
    Skip,
}

impl WahaSession {
    /// Ingests an event.
    pub(super) async fn ingest(&self, envelope: &Value) -> Result<(), IngestError> {
        if self.base.me().is_none()
            && let Some(account) = event_in::account(envelope)
        {
            self.base.set_account(&account);
        }
        for event in event_in::events(envelope, self.base.me().as_ref(), self.context.now()) {
            match event {
                WahaEvent::Status => self.status_changed.notify_one(),
                WahaEvent::Message(message) => self.ingest_live(*message).await?,
                WahaEvent::Event(event) => self.ingest_event(event).await?,
                WahaEvent::Unreadable(name) => self.base.log_read_error(name),
            }
        }
        Ok(())
    }

    /// The server repeats a webhook that failed, but no frame of its WebSocket.
    async fn ingest_live(&self, message: Message) -> Result<(), IngestError> {
        match self.settings.inbound {
            InboundTransport::Webhook => {
                match self.ingest_message(message, MediaMode::Fetch(media::FOREGROUND_TIMEOUT)).await? {
                    None => Ok(()),
                    Some(_) => Err(IngestError::Media),
                }
            }
            InboundTransport::WebSocket => {
                self.ingest_or_queue(PendingMedia { message, changes: Vec::new() }, false).await
            }
        }
    }

    /// Ingests a message, or queues it for its media. While media fails, no message blocks the ones after it.
    /// A full queue has a missed message wait for room, and delivers a live one without its media.
    pub(super) async fn ingest_or_queue(
        &self,
        pending: PendingMedia,
        waits_for_room: bool,
    ) -> Result<(), IngestError> {
        if pending.message.file.is_some() && !self.media_retries.is_idle() {
            self.hold_position(&pending.message.incoming);
            return self.queue(pending, Duration::ZERO, waits_for_room).await;
        }
        match self.try_ingest(pending, media::FOREGROUND_TIMEOUT).await? {
            None => Ok(()),
            Some((pending, delay)) => self.queue(pending, delay, waits_for_room).await,
        }
    }

    /// Retries the media of queued messages until the session ends.
    pub(super) async fn retry_media(&self) -> Result<Infallible, SessionEnd> {
        let retry = |pending| -> futures_util::future::BoxFuture<'_, _> {
            Box::pin(async move {
                let retried = self.try_ingest(pending, media::BACKGROUND_TIMEOUT).await;
                retried.map_err(|error| error.session_end(self))
            })
        };
        self.media_retries.run(retry).await
    }

    async fn queue(
        &self,
        pending: PendingMedia,
        delay: Duration,
        waits_for_room: bool,
    ) -> Result<(), IngestError> {
        let key = key_of(&pending.message.incoming);
        if waits_for_room {
            self.media_retries.push(key, pending, delay).await;
            return Ok(());
        }
        let Err(pending) = self.media_retries.try_push(key, pending, delay) else { return Ok(()) };
        tracing::warn!(device = %self.context.device, "message delivered without its media: the retry queue is full");
        self.ingest_message(pending.message, MediaMode::Skip).await?;
        self.ingest_changes(pending.changes).await
    }

    /// Returns the message with the pause before its next attempt, where its media is to be retried.
    async fn try_ingest(
        &self,
        pending: PendingMedia,
        timeout: Duration,
    ) -> Result<Option<(PendingMedia, Duration)>, IngestError> {
        let PendingMedia { message, changes } = pending;
        let Some((message, attempt)) = self.ingest_message(message, MediaMode::Fetch(timeout)).await? else {
            self.ingest_changes(changes).await?;
            return Ok(None);
        };
        Ok(Some((PendingMedia { message, changes }, self.media_retries.policy().delay(attempt))))
    }

    async fn ingest_changes(&self, changes: Vec<EngineEvent>) -> Result<(), IngestError> {
        for change in changes {
            self.ingest_event(change).await?;
        }
        Ok(())
    }

    /// Ingests a message. Returns it with the number of this attempt, where its media is to be retried.
    async fn ingest_message(
        &self,
        message: Message,
        mode: MediaMode,
    ) -> Result<Option<(Message, u32)>, IngestError> {
        let incoming = &message.incoming;
        if incoming.from_me && self.from_upstream(&incoming.network_id).await?.is_some() {
            // The message was stored when it was sent.
            self.position.release(&key_of(incoming));
            return Ok(None);
        }
        if message.file.is_some() && self.media_retries.is_finished(&key_of(incoming)) {
            // A copy: its media needs no second download.
            self.position.release(&key_of(incoming));
            return Ok(None);
        }
        self.hold_position(incoming);
        let mut event = self.with_our_ids(incoming.clone()).await?;
        if let (Some(file), MediaMode::Fetch(timeout)) = (&message.file, mode) {
            let attempt = self.media_retries.begin(&key_of(incoming));
            let fetched = if attempt.is_exhausted {
                Err(MediaFetchError::Permanent("all attempts were used"))
            } else {
                media::fetch(self, incoming, file, timeout).await
            };
            match fetched {
                Ok(attachment) => event.content = Content::Media(attachment),
                Err(MediaFetchError::Temporary(_) | MediaFetchError::NotStored) if !attempt.is_last => {
                    return Ok(Some((message, attempt.number)));
                }
                Err(error) => {
                    tracing::warn!(device = %self.context.device, ?error, "message delivered without its media");
                }
            }
        }
        let resolved = people::resolve_lids(self, [&event.chat, &event.from]).await;
        if !resolved.is_empty() {
            self.deliver(EngineEvent::Contacts(resolved)).await?;
        }
        self.deliver(EngineEvent::Message(Box::new(event))).await?;
        self.advance_position(&message.incoming);
        if message.file.is_some() {
            self.media_retries.finish(&key_of(&message.incoming));
        }
        Ok(None)
    }

    /// Replaces the server's ids of own messages by ours.
    pub(super) async fn with_our_ids(&self, mut incoming: Incoming) -> Result<Incoming, IngestError> {
        if incoming.from_me {
            incoming.network_id = self.our_id(&incoming.network_id).await?;
        }
        if let Some(quoted) = &mut incoming.quoted {
            self.replace_id(&mut quoted.id).await?;
        }
        Ok(incoming)
    }

    /// Ingests an event other than a message.
    pub(super) async fn ingest_event(&self, mut event: EngineEvent) -> Result<(), IngestError> {
        match &mut event {
            EngineEvent::Receipt(receipt) => receipt.network_id = self.our_id(&receipt.network_id).await?,
            EngineEvent::MessageChange(
                IncomingChange::Reaction { id, .. }
                | IncomingChange::Vote { id, .. }
                | IncomingChange::Edited { id, .. }
                | IncomingChange::Revoked { id },
            ) => self.replace_id(id).await?,
            _ => {}
        }
        self.deliver(event).await
    }

    async fn replace_id(&self, id: &mut MessageId) -> Result<(), IngestError> {
        if id.from_me {
            id.network = self.our_id(&id.network).await?;
        }
        Ok(())
    }

    /// Our id of an own message; the server's where another client sent the message.
    async fn our_id(&self, upstream: &NetworkId) -> Result<NetworkId, VaultError> {
        Ok(self.from_upstream(upstream).await?.unwrap_or_else(|| upstream.clone()))
    }

    /// Our id of a message that this daemon sent. An event of it may arrive before the answer that names
    /// its id, and waits for that.
    #[expect(clippy::wrong_self_convention, reason = "the counterpart of to_upstream")]
    async fn from_upstream(&self, upstream: &NetworkId) -> Result<Option<NetworkId>, VaultError> {
        let ours = self.ids.from_upstream(upstream).await?;
        if ours.is_some() || self.sends_without_id.try_write().is_ok() {
            return Ok(ours);
        }
        let _ = tokio::time::timeout(ANSWER_WAIT, self.sends_without_id.write()).await;
        self.ids.from_upstream(upstream).await
    }

    async fn deliver(&self, event: EngineEvent) -> Result<(), IngestError> {
        if !self.base.is_open() {
            return Err(IngestError::Gone);
        }
        Ok(self.context.inbound.deliver(event).await?)
    }
}
