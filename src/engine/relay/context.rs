//! The dependencies of one relay session. The helpers of this folder take this value, never a session type.
//!
//! Cloning is cheap: every field is shared.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::client::{UpstreamClient, UpstreamFailure};
use super::media_retry::MediaFetchError;
use super::outcome::{permanent, transient};
use crate::domain::clock::{Clock, Millis, Random};
use crate::domain::content::Attachment;
use crate::domain::ids::DeviceId;
use crate::domain::media::StoredMedia;
use crate::domain::reason::Reason;
use crate::engine::{
    ByteStream, EngineEvent, Inbound, InboundError, MediaStore, MediaStoreError, SendOutcome, SessionContext,
    SessionEnd, Vault, VaultError,
};
use crate::net::NetError;

/// The dependencies of one relay session.
#[derive(Clone)]
pub(crate) struct RelayContext {
    pub(crate) device: DeviceId,
    pub(crate) client: Arc<UpstreamClient>,
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) media: Arc<dyn MediaStore>,
    pub(crate) inbound: Arc<dyn Inbound>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    /// Cancelled when the session must end.
    pub(crate) shutdown: CancellationToken,
}

impl RelayContext {
    /// Copies all fields of the session's context except the settings and the account.
    pub(crate) fn new(client: UpstreamClient, session: SessionContext) -> Self {
        Self {
            device: session.device,
            client: Arc::new(client),
            vault: session.vault,
            media: session.media,
            inbound: session.inbound,
            clock: session.clock,
            random: session.random,
            shutdown: session.cancel,
        }
    }

    /// The time of our own clock.
    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Delivers an event; it is durable when this returns.
    ///
    /// # Errors
    /// The end of the session, when the event was not stored.
    pub(crate) async fn deliver(&self, event: EngineEvent) -> Result<(), SessionEnd> {
        self.inbound.deliver(event).await.map_err(|error| log_ingest_error(&self.device, error))
    }

    /// The value that the vault returned.
    ///
    /// # Errors
    /// The end of the session, when the vault failed.
    pub(crate) fn stored<T>(&self, result: Result<T, VaultError>) -> Result<T, SessionEnd> {
        result.map_err(|error| {
            tracing::warn!(device = %self.device, %error, "the engine's state could not be read or stored");
            SessionEnd::LinkLost(Reason::EngineError)
        })
    }

    /// The answer of the upstream.
    ///
    /// # Errors
    /// The end of the session, when there is no usable answer.
    pub(crate) fn answered<T>(&self, answer: Result<T, UpstreamFailure>) -> Result<T, SessionEnd> {
        answer.map_err(|failure| {
            let source = std::error::Error::source(&failure).map(ToString::to_string);
            tracing::warn!(device = %self.device, error = %failure, source, "the upstream did not serve a request");
            failure.session_end()
        })
    }

    /// Opens the file of an outbound message.
    ///
    /// # Errors
    /// The outcome of the send, when the file cannot be read.
    pub(crate) async fn open_attachment(&self, attachment: &Attachment) -> Result<ByteStream, SendOutcome> {
        self.media.open(&attachment.file.hash).await.map_err(|error| match error {
            MediaStoreError::Gone => permanent("media_gone", "the file is no longer in the store"),
            error => transient("media_unreadable", &error.to_string()),
        })
    }

    /// Saves a file that is being downloaded.
    ///
    /// # Errors
    /// Whether another attempt may succeed.
    pub(crate) async fn save_media(&self, bytes: ByteStream) -> Result<StoredMedia, MediaFetchError> {
        self.media.save(bytes).await.map_err(|error| match error {
            MediaStoreError::TooLarge(_) => MediaFetchError::Permanent("the file is too large for the store"),
            MediaStoreError::Incomplete(cause) if is_too_large(&cause) => {
                MediaFetchError::Permanent("the file is too large")
            }
            MediaStoreError::Incomplete(_) | MediaStoreError::Gone => {
                MediaFetchError::Temporary("the download ended early")
            }
            MediaStoreError::Store(source) => {
                tracing::warn!(device = %self.device, error = %source, "a file could not be stored");
                MediaFetchError::NotStored
            }
        })
    }
}

fn is_too_large(cause: &std::io::Error) -> bool {
    let cause = cause.get_ref().and_then(|cause| cause.downcast_ref::<NetError>());
    matches!(cause, Some(NetError::TooLarge(_)))
}

/// Logs that an event was not ingested; returns how the session ends.
pub(crate) fn log_ingest_error(device: &DeviceId, error: InboundError) -> SessionEnd {
    match error {
        InboundError::Gone => SessionEnd::Closed,
        InboundError::Store(source) => {
            tracing::warn!(%device, error = %source, "an event could not be stored");
            SessionEnd::LinkLost(Reason::EngineError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::relay::testing::{TestRelay, relay};

    #[tokio::test]
    async fn event_is_delivered_to_the_inbound_port() {
        let TestRelay { context, delivered, .. } = relay();
        context.deliver(EngineEvent::Latency { ms: 5 }).await.unwrap();
        assert_eq!(*delivered.0.lock().unwrap(), [EngineEvent::Latency { ms: 5 }]);
    }

    #[test]
    fn failed_ingest_ends_the_session() {
        let device = "shop".parse().unwrap();
        assert_eq!(log_ingest_error(&device, InboundError::Gone), SessionEnd::Closed);
        let error = InboundError::Store(Box::new(std::io::Error::other("full")));
        assert_eq!(log_ingest_error(&device, error), SessionEnd::LinkLost(Reason::EngineError));
    }
}
