//! How a message is handed over: its file first goes to the daemon's media store.

use super::faults::FaultKind;
use super::letter::{NetworkAttachment, NetworkMessage};
use super::session::SimulatorSession;
use crate::domain::content::{Attachment, Content};
use crate::domain::media::MediaKind;
use crate::domain::reason::Reason;
use crate::engine::{Ended, EngineEvent, Incoming, MediaStoreError};

impl SimulatorSession {
    /// Hands a message over, and acknowledges it once the daemon has it.
    pub(super) async fn deliver_message(&self, no: u64, letter: NetworkMessage) -> Result<(), Ended> {
        let message = self.with_attachment(letter).await?;
        if self.device.take_fault(FaultKind::DuplicateIncoming).is_some() {
            self.deliver(EngineEvent::Message(Box::new(message.clone()))).await?;
        }
        self.deliver(EngineEvent::Message(Box::new(message))).await?;
        let acknowledged = self.network.acknowledge(&self.device, no).await;
        acknowledged.map_err(|error| self.journal_failed(&error))
    }

    /// The message with its file in the daemon's store.
    ///
    /// A file that the daemon never takes leaves a message of its type without one: it must not keep what
    /// comes after it from being heard.
    async fn with_attachment(&self, letter: NetworkMessage) -> Result<Incoming, Ended> {
        let NetworkMessage { mut message, file } = letter;
        let Some(file) = file else { return Ok(message) };
        message.content = match self.save(&file).await {
            Ok(attachment) => Content::Media(attachment),
            Err(error @ MediaStoreError::Store(_)) => {
                tracing::warn!(device = %self.device.id, %error, "the daemon did not take a file");
                return Err(Ended::LinkLost(Reason::EngineError));
            }
            Err(error) => {
                tracing::warn!(device = %self.device.id, %error, "a message comes without its file");
                Content::Other(file.kind.unwrap_or(MediaKind::Document).message_type())
            }
        };
        Ok(message)
    }

    async fn save(&self, file: &NetworkAttachment) -> Result<Attachment, MediaStoreError> {
        let bytes = self.network.files.read(&file.bytes).await.map_err(MediaStoreError::Incomplete)?;
        let stored = self.media.save(bytes).await?;
        let kind = file.kind.unwrap_or_else(|| MediaKind::of_mimetype(&stored.mimetype));
        Ok(Attachment { kind, file: stored, filename: file.filename.clone() })
    }
}
