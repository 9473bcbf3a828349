//! Delivers the messages of simulated contacts to the daemon.
//!
//! A message is removed from the queue and the vault after the daemon has ingested it and the ledger has
//! recorded that.

use super::attachment;
use super::device::Delivery;
use super::faults::FaultKind;
use super::network_message::NetworkMessage;
use super::network_view::LedgerEntry;
use super::session::SimulatorSession;
use crate::domain::content::Content;
use crate::engine::{EngineEvent, Incoming, SessionEnd};

impl SimulatorSession {
    /// Delivers messages, in order, and acknowledges them.
    pub(super) async fn deliver_messages(&self, deliveries: Vec<Delivery>) -> Result<(), SessionEnd> {
        let mut messages = Vec::with_capacity(deliveries.len());
        let mut events = Vec::with_capacity(deliveries.len());
        for Delivery { number, message, is_restored } in deliveries {
            let message = self.with_file(message, is_restored).await?;
            if self.device.take_fault(FaultKind::DuplicateIncoming).is_some() {
                events.push(EngineEvent::Message(Box::new(message.clone())));
            }
            events.push(EngineEvent::Message(Box::new(message.clone())));
            messages.push((number, message));
        }
        self.deliver_all(events).await?;
        self.acknowledge(messages).await
    }

    /// Records the acknowledgements, then removes the messages. Only those that a request waits for, or that
    /// the vault has, wait for the disk.
    async fn acknowledge(&self, messages: Vec<(u64, Incoming)>) -> Result<(), SessionEnd> {
        let mut recorded = Vec::new();
        let mut stored = Vec::new();
        let mut acknowledged = Vec::with_capacity(messages.len());
        for (number, message) in &messages {
            let Some((is_stored, has_waiter)) = self.device.mark_ingested(*number) else { continue };
            let line = self.network.ledger.append(&self.device.id, &LedgerEntry::acknowledged(message)).await;
            let line = line.map_err(|error| self.storage_failed(&error))?;
            if is_stored || has_waiter {
                recorded.push(line);
            }
            if is_stored {
                stored.push(*number);
            }
            acknowledged.push(*number);
        }
        for line in recorded {
            line.synced().await.map_err(|error| self.storage_failed(&error))?;
        }
        let removed = self.device.storage.remove_messages(&stored).await;
        removed.map_err(|error| self.storage_failed(&error))?;
        acknowledged.into_iter().for_each(|number| self.device.complete(number));
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
