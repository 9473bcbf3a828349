//! Delivers the messages of simulated contacts to the daemon.
//!
//! A message is removed from the queue and the vault after the daemon has ingested it and the ledger has
//! recorded that.

use super::attachment;
use super::faults::FaultKind;
use super::network_message::NetworkMessage;
use super::network_view::LedgerEntry;
use super::session::SimulatorSession;
use crate::domain::content::Content;
use crate::engine::{EngineEvent, Incoming, SessionEnd};

impl SimulatorSession {
    /// Delivers a message and acknowledges it.
    pub(super) async fn deliver_message(
        &self,
        number: u64,
        message: NetworkMessage,
        is_restored: bool,
    ) -> Result<(), SessionEnd> {
        let message = self.with_file(message, is_restored).await?;
        if self.device.take_fault(FaultKind::DuplicateIncoming).is_some() {
            self.deliver(EngineEvent::Message(Box::new(message.clone()))).await?;
        }
        self.deliver(EngineEvent::Message(Box::new(message.clone()))).await?;
        self.acknowledge(number, &message).await
    }

    /// Records the acknowledgement, then removes the message. Only a message that a request waits for, or
    /// that the vault has, waits for the disk.
    async fn acknowledge(&self, number: u64, message: &Incoming) -> Result<(), SessionEnd> {
        let Some((is_stored, has_waiter)) = self.device.mark_ingested(number) else { return Ok(()) };
        let recorded = self.network.ledger.append(&self.device.id, &LedgerEntry::acknowledged(message)).await;
        let recorded = recorded.map_err(|error| self.storage_failed(&error))?;
        if is_stored || has_waiter {
            recorded.synced().await.map_err(|error| self.storage_failed(&error))?;
        }
        if is_stored {
            let removed = self.device.storage.remove_message(number).await;
            removed.map_err(|error| self.storage_failed(&error))?;
        }
        self.device.complete(number);
        Ok(())
    }

    /// The message with its file in the media store.
    async fn with_file(&self, message: NetworkMessage, is_restored: bool) -> Result<Incoming, SessionEnd> {
        let NetworkMessage { mut message, file } = message;
        let media = self.media.as_ref();
        let content = match (file, message.content) {
            (Some(file), _) => attachment::save_fake(media, file).await,
            (None, Content::Media(file)) if is_restored => attachment::save_again(media, file).await,
            (None, content) => Ok(content),
        };
        message.content = content.map_err(|error| self.storage_failed(&error))?;
        Ok(message)
    }
}
