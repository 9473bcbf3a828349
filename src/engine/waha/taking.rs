//! Takes in what the server tells: under our ids, with its files, durable when it returns.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use super::convert::event_in::{self, Heard};
use super::convert::message_in::Message;
use super::later::{self, Told};
use super::media::{self, Fetched};
use super::session::WahaSession;
use super::settings::Way;
use super::{people, unnamed};
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::reason::Reason;
use crate::engine::{EngineEvent, InboundError, SessionEnd, VaultError};

/// Why something was not taken in.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// The device is not running.
    Gone,
    /// It could not be stored.
    Store(Box<dyn std::error::Error + Send + Sync>),
    /// Its file could not be had, and is to be asked for again.
    File,
}

impl NotTaken {
    /// How the session ends because of it.
    pub(super) fn ends(self, session: &WahaSession) -> SessionEnd {
        match self {
            Self::Gone => SessionEnd::Closed,
            Self::Store(error) => {
                tracing::warn!(device = %session.device, %error, "what the WAHA server told could not be taken in");
                SessionEnd::LinkLost(Reason::EngineError)
            }
            Self::File => SessionEnd::LinkLost(Reason::EngineError),
        }
    }
}

/// Whether a message's file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// It is, and may take so long.
    Asked(Duration),
    /// It is not: the message comes without.
    Left,
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
        for heard in event_in::event(envelope, self.me().as_ref(), self.now()) {
            match heard {
                Heard::Status(_) => self.changed.notify_one(),
                Heard::Message(message) => self.take_told(*message).await?,
                Heard::Event(event) => self.take_event(event).await?,
                Heard::Unreadable(what) => self.not_read(what),
            }
        }
        Ok(())
    }

    /// A webhook is sent again by the server, a frame of the WebSocket by nobody.
    async fn take_told(&self, message: Message) -> Result<(), NotTaken> {
        match self.settings.inbound {
            Way::Webhook => match self.take_message(message, Files::Asked(media::SOON)).await? {
                None => Ok(()),
                Some(_) => Err(NotTaken::File),
            },
            Way::WebSocket => later::take(self, Told { message, since: Vec::new() }, false).await,
        }
    }

    /// Takes in a message that just happened. Gives it back, with the number of this try, where its file could not be
    /// had and is worth another one.
    pub(super) async fn take_message(
        &self,
        message: Message,
        files: Files,
    ) -> Result<Option<(Message, u32)>, NotTaken> {
        let told = &message.incoming;
        // It is there since it was sent, and so is its file.
        if told.from_me && unnamed::is_known_here(self, &message).await? {
            self.position.passes(told);
            return Ok(None);
        }
        // It counts from here on: whoever asks may not wait for the end of it.
        let this = self.position.begins(told, self.now());
        let mut incoming = self.with_our_ids(told.clone()).await?;
        if let (Some(file), Files::Asked(within), false) = (&message.file, files, this.is_beyond)
            && media::fetch(self, &mut incoming, file, within, this.is_last).await == Fetched::NotNow
        {
            return Ok(Some((message, this.nth)));
        }
        people::learn(self, [&incoming.chat, &incoming.from]).await?;
        self.deliver(EngineEvent::Message(Box::new(incoming))).await?;
        let told = &message.incoming;
        if told.from_me && self.allots_none.load(Ordering::Relaxed) {
            self.names.note_elsewhere(&told.network_id).await?;
        }
        self.position.took(told, self.now());
        Ok(None)
    }

    /// A message without its file, under our ids.
    pub(super) async fn with_our_ids(
        &self,
        mut incoming: crate::engine::Incoming,
    ) -> Result<crate::engine::Incoming, NotTaken> {
        if incoming.from_me {
            incoming.network_id = self.ours(&incoming.chat, &incoming.network_id).await?;
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
                receipt.network_id = self.ours(&receipt.chat, &receipt.network_id).await?;
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
            id.network = self.ours(&id.chat, &id.network).await?;
        }
        Ok(())
    }

    /// Our id for a message of the account: as it is, where it was not sent from here.
    async fn ours(&self, chat: &Jid, theirs: &NetworkId) -> Result<NetworkId, VaultError> {
        let mut ours = self.names.sent_here(theirs).await?;
        if ours.is_none() && self.under_way.over(chat).await {
            ours = self.names.sent_here(theirs).await?;
        }
        Ok(ours.unwrap_or_else(|| theirs.clone()))
    }

    async fn deliver(&self, event: EngineEvent) -> Result<(), NotTaken> {
        if !self.hears() {
            return Err(NotTaken::Gone);
        }
        Ok(self.inbound.deliver(event).await?)
    }
}
