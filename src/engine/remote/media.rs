//! Messages with media: downloads, retries in the background, and uploads.
//!
//! Files are streamed. A message that waits for its media holds the stored position back; later
//! messages are not blocked. After the last attempt it is delivered without media.

use std::convert::Infallible;
use std::time::Duration;

use super::convert::message_in::{self, media_kind};
use super::convert::wire::WireMessage;
use super::session::RemoteSession;
use super::state::ReadPosition;
use crate::domain::content::{Attachment, Content};
use crate::domain::ids::NetworkId;
use crate::engine::relay::media_retry::MediaFetchError;
use crate::engine::relay::outcome::{permanent, transient};
use crate::engine::{EngineEvent, Incoming, Quoted, SendOutcome, SessionEnd};
use crate::net::Method;

/// The limit for one file.
const TIMEOUT: Duration = Duration::from_secs(600);
/// The store's own limit is lower.
const MAX_BYTES: u64 = 4 << 30;

impl RemoteSession {
    /// A message of the upstream with this content, as an inbound message.
    pub(super) async fn incoming(
        &self,
        message: &WireMessage,
        content: Content,
    ) -> Result<Incoming, SessionEnd> {
        let me = self.base.me();
        let quoted = match &message.quoted_message {
            None => None,
            Some(quoted) => Some(Quoted {
                id: self.our_id(&quoted.id).await?,
                author: message_in::sender(quoted, me.as_ref()),
                body: quoted.body.clone().unwrap_or_default(),
            }),
        };
        let mut incoming = message_in::incoming(message, content, quoted, me.as_ref(), self.relay.now());
        incoming.network_id = self.our_id(&message.id).await?.network;
        Ok(incoming)
    }

    async fn deliver_message(&self, message: &WireMessage, content: Content) -> Result<(), SessionEnd> {
        let incoming = self.incoming(message, content).await?;
        self.relay.deliver(EngineEvent::Message(Box::new(incoming))).await
    }

    /// Delivers a message with its media, or queues it until the media is available. `before` is the position
    /// before it.
    pub(super) async fn ingest_message(
        &self,
        message: &WireMessage,
        before: ReadPosition,
    ) -> Result<(), SessionEnd> {
        let id = &message.id;
        if self.media_retries.contains(id) {
            return Ok(());
        }
        let delay = if message.has_media && !self.media_retries.is_idle() {
            // The files of the upstream are unavailable.
            Duration::ZERO
        } else {
            if message.has_media {
                self.media_retries.begin(id);
            }
            match self.content(message).await {
                Ok(content) => {
                    if message.has_media {
                        self.media_retries.finish(id);
                    }
                    return self.deliver_message(message, content).await;
                }
                Err(why) => {
                    tracing::info!(device = %self.relay.device, why, "media not available; the message waits for a retry");
                    self.media_retries.policy().delay(1)
                }
            }
        };
        self.position.hold(id.clone(), before);
        self.media_retries.push(id.clone(), message.clone(), delay).await;
        Ok(())
    }

    /// Retries queued media until the session ends.
    pub(super) async fn retry_media(&self) -> Result<Infallible, SessionEnd> {
        self.media_retries.run(|message| Box::pin(self.retry_message(message))).await
    }

    async fn retry_message(
        &self,
        message: WireMessage,
    ) -> Result<Option<(WireMessage, Duration)>, SessionEnd> {
        let attempt = self.media_retries.begin(&message.id);
        let content = match self.content(&message).await {
            Ok(content) => content,
            Err(_) if !attempt.is_last => {
                let delay = self.media_retries.policy().delay(attempt.number);
                return Ok(Some((message, delay)));
            }
            Err(why) => {
                // An unreachable upstream ends the session, and the next session retries.
                self.answered(self.show().await)?;
                tracing::warn!(device = %self.relay.device, why, "message delivered without its media");
                without_file(&message)
            }
        };
        self.deliver_message(&message, content).await?;
        // Acknowledgements that arrived meanwhile found no message.
        if message.id.from_me
            && let Some(current) = self.look_up(&message.id).await?
        {
            self.deliver_ack_of(current).await?;
        }
        self.media_retries.finish(&message.id);
        self.position.release(&message.id);
        self.store_position().await?;
        Ok(None)
    }

    /// The content of a message, with its media; without it where the upstream has none or the store
    /// refuses it.
    ///
    /// # Errors
    /// Why the media is not available now.
    async fn content(&self, message: &WireMessage) -> Result<Content, &'static str> {
        let Some(kind) = media_kind(message) else { return Ok(without_file(message)) };
        let without = |why: &'static str| {
            tracing::warn!(device = %self.relay.device, why, "message delivered without its media");
            Ok(without_file(message))
        };
        let id = message.id.to_string();
        let path = ["messages", &id, "media", "download"];
        let request = self.client.request(Method::GET, &path).timeout(TIMEOUT);
        let answer = match self.client.stream(request, MAX_BYTES).await {
            Ok(answer) => answer,
            Err(failure) if matches!(failure.own_status(), Some(400..=499)) => {
                return without("the upstream does not have it");
            }
            Err(_) => return Err("the upstream does not serve it"),
        };
        match self.relay.save_media(answer.body).await {
            Ok(file) => {
                let (kind, filename) = (kind.of_requested(&file.mimetype), message.filename.clone());
                Ok(Content::Media(Attachment { kind, file, filename }))
            }
            Err(MediaFetchError::Permanent(why)) => without(why),
            Err(MediaFetchError::Temporary(why)) => Err(why),
            Err(MediaFetchError::NotStored) => Err("it could not be stored"),
        }
    }

    /// Uploads the file of a message, once for all attempts to send it. Returns the upstream's id of
    /// the file.
    pub(super) async fn upload(
        &self,
        message: &NetworkId,
        attachment: &Attachment,
    ) -> Result<String, SendOutcome> {
        let not_stored = |_| transient("upload_failed", "the file's id at the upstream could not be stored");
        if let Some(stored) = self.state.upload(message).await.map_err(not_stored)? {
            return Ok(stored);
        }
        let bytes = self.relay.open_attachment(attachment).await?;
        let request = self.client.request(Method::POST, &["media"]).timeout(TIMEOUT);
        let request = request.stream(&attachment.file.mimetype, attachment.file.filesize, bytes);
        let answer = self.client.data(request).await.map_err(|failure| match failure.status() {
            Some(413) => permanent("media_too_large", "the upstream does not accept files of this size"),
            Some(429) => transient("rate_limited", "the upstream limits the rate"),
            _ if failure.is_unauthorized() => {
                transient("upstream_unauthorized", "the upstream refused the key")
            }
            Some(400..=499) if !failure.is_temporary() && !failure.is_device_missing() => {
                permanent("media_not_taken", "the upstream rejected the file")
            }
            _ => transient("upload_failed", "the file could not be uploaded to the upstream"),
        })?;
        let media = answer["mediaId"].as_str();
        let media =
            media.ok_or_else(|| transient("upload_failed", "the upstream returned no id of the file"))?;
        self.state.set_upload(message, media, self.relay.now()).await.map_err(not_stored)?;
        Ok(media.to_owned())
    }
}

/// The content of a message without its media.
pub(super) fn without_file(message: &WireMessage) -> Content {
    match media_kind(message) {
        Some(_) => Content::Other(message_in::kind(message)),
        None => message_in::content(message),
    }
}
