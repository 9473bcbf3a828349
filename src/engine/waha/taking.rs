//! Takes in what the server tells: under our ids, with its files, durable when it returns.

use serde_json::Value;

use super::convert::event_in::{self, Heard};
use super::convert::message_in::Message;
use super::session::WahaSession;
use super::{media, people};
use crate::domain::ids::{MessageId, NetworkId};
use crate::engine::{EngineEvent, InboundError, VaultError};

/// Why something was not taken in.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// The device is not running.
    Gone,
    /// It could not be stored.
    Store(Box<dyn std::error::Error + Send + Sync>),
}

impl From<VaultError> for NotTaken {
    fn from(error: VaultError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<InboundError> for NotTaken {
    fn from(error: InboundError) -> Self {
        match error {
            InboundError::Gone => Self::Gone,
            InboundError::Store(source) => Self::Store(source),
        }
    }
}

impl WahaSession {
    /// Takes in an event.
    pub(super) async fn take(&self, envelope: &Value) -> Result<(), NotTaken> {
        if self.me().is_none()
            && let Some(account) = event_in::account(envelope)
        {
            self.remember(&account);
        }
        for heard in event_in::event(envelope, self.me().as_ref()) {
            match heard {
                Heard::Status(_) => self.changed.notify_one(),
                Heard::Message(message) => self.take_message(*message).await?,
                Heard::Event(event) => self.take_event(event).await?,
            }
        }
        Ok(())
    }

    /// Takes in a message that just happened.
    pub(super) async fn take_message(&self, message: Message) -> Result<(), NotTaken> {
        let at = message.incoming.timestamp;
        // It is there since it was sent, and so is its file.
        if message.incoming.from_me && self.names.is_sent_here(&message.incoming.network_id).await? {
            return Ok(());
        }
        let incoming = self.whole(message).await?;
        people::learn(self, [&incoming.chat, &incoming.from]).await?;
        self.deliver(EngineEvent::Message(Box::new(incoming))).await?;
        self.saw(at);
        Ok(())
    }

    /// A message with its file, under our ids.
    async fn whole(&self, message: Message) -> Result<crate::engine::Incoming, NotTaken> {
        let Message { incoming, file, .. } = message;
        let mut incoming = self.with_our_ids(incoming).await?;
        if let Some(file) = file {
            media::fetch(self, &mut incoming, file).await;
        }
        Ok(incoming)
    }

    /// A message without its file, under our ids.
    pub(super) async fn with_our_ids(
        &self,
        mut incoming: crate::engine::Incoming,
    ) -> Result<crate::engine::Incoming, NotTaken> {
        if incoming.from_me {
            incoming.network_id = self.names.ours(&incoming.network_id).await?;
        }
        if let Some(quoted) = &mut incoming.quoted {
            self.renamed(&mut quoted.id).await?;
        }
        Ok(incoming)
    }

    /// Takes in anything but a message.
    pub(super) async fn take_event(&self, mut event: EngineEvent) -> Result<(), NotTaken> {
        match &mut event {
            EngineEvent::Receipt(receipt) => {
                let theirs: NetworkId = receipt.network_id.clone();
                receipt.network_id = self.names.ours(&theirs).await?;
            }
            EngineEvent::Reaction { id, .. }
            | EngineEvent::Vote { id, .. }
            | EngineEvent::Edited { id, .. }
            | EngineEvent::Revoked { id } => self.renamed(id).await?,
            _ => {}
        }
        self.deliver(event).await
    }

    async fn renamed(&self, id: &mut MessageId) -> Result<(), NotTaken> {
        if id.from_me {
            id.network = self.names.ours(&id.network).await?;
        }
        Ok(())
    }

    async fn deliver(&self, event: EngineEvent) -> Result<(), NotTaken> {
        if !self.hears() {
            return Err(NotTaken::Gone);
        }
        Ok(self.inbound.deliver(event).await?)
    }
}
