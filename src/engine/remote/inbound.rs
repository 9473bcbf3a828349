//! Ingests an entry of the upstream's event log.
//!
//! Every event is durable when its call returns; only a message whose media cannot be downloaded
//! waits in memory.

use super::convert::event_in::{self, RemoteEvent, RemoteUpdate, SendStep};
use super::convert::ids::from_temp_id;
use super::convert::wire::{WireEntry, WireMessage, WireReceipt};
use super::pending_sends::OwnChange;
use super::session::RemoteSession;
use super::state::ReadPosition;
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::reason::Reason;
use crate::engine::{ChatChange, EngineEvent, IncomingChange, IncomingReceipt, SendError, SessionEnd};

impl RemoteSession {
    /// Ingests an entry. `is_live`: it is newer than the session, so it counts for the link. `before` is the
    /// position before it. Returns whether it had an event for us.
    pub(super) async fn ingest(
        &self,
        entry: &WireEntry,
        is_live: bool,
        before: ReadPosition,
    ) -> Result<bool, SessionEnd> {
        let Some(event) = event_in::from_entry(entry) else {
            self.base.log_read_error("log entry");
            return Ok(false);
        };
        let at = super::convert::message_in::in_ms(entry.timestamp);
        match event {
            RemoteEvent::Ignored => return Ok(false),
            RemoteEvent::State(state) if is_live => self.entered(state, None).await?,
            RemoteEvent::Code { code, valid_ms } if is_live => self.code(code, valid_ms).await?,
            RemoteEvent::Scanned(account) if is_live => self.scanned(account).await?,
            RemoteEvent::DeviceDeleted if is_live => {
                return Err(self.unlinked(Reason::LoggedOutOnPhone).await?);
            }
            RemoteEvent::State(_)
            | RemoteEvent::Code { .. }
            | RemoteEvent::Scanned(_)
            | RemoteEvent::DeviceDeleted => return Ok(false),
            RemoteEvent::Message(message) => self.ingest_message(&message, before).await?,
            RemoteEvent::Created { message, temp_id } => {
                match temp_id.and_then(|temp_id| from_temp_id(&self.tag, &temp_id)) {
                    Some(ours) => {
                        self.relay.stored(self.ids.record_alias(&ours, &message.id.network).await)?;
                    }
                    // Another client of the upstream sends it.
                    None => self.ingest_message(&message, before).await?,
                }
            }
            RemoteEvent::Status { id, step } => self.ingest_status(&id, step, at).await?,
            RemoteEvent::Ack { id, ack } => self.ingest_ack(&id, ack, at).await?,
            RemoteEvent::Read { chat, ids, by } => self.ingest_read(chat, ids, by, at).await?,
            RemoteEvent::Updated { id, update } => self.ingest_update(&id, update, at).await?,
            RemoteEvent::Chat { chat, change } => self.ingest_chat_change(chat, change).await?,
            RemoteEvent::JoinedGroup(group) => self.deliver_group(&group).await?,
            RemoteEvent::HistoryComplete(progress) => {
                self.read_history(Some(entry.seq), false).await?;
                let (done, total, phase) = (progress.done, progress.total, progress.phase);
                self.relay.deliver(EngineEvent::HistoryProgress { done, total, phase }).await?;
            }
            RemoteEvent::Same(event) => self.relay.deliver(event).await?,
        }
        Ok(true)
    }

    async fn ingest_status(&self, id: &MessageId, step: SendStep, at: Millis) -> Result<(), SessionEnd> {
        let id = self.our_id(id).await?;
        let (ack, error) = match &step {
            SendStep::Undecided => return Ok(()),
            SendStep::Failed(error) => (Ack::Error, Some(error.clone())),
            SendStep::Sent => (Ack::Server, None),
        };
        if self.pending_sends.resolve(&id.network, step) {
            return Ok(());
        }
        self.deliver_receipt(&id, ack, None, at, error).await
    }

    async fn ingest_ack(&self, upstream: &MessageId, ack: Ack, at: Millis) -> Result<(), SessionEnd> {
        // A failure comes with its reason as a status.
        if matches!(ack, Ack::Error | Ack::Pending) {
            return Ok(());
        }
        let id = self.our_id(upstream).await?;
        // A pending send gets the first level as a status.
        if ack == Ack::Server && self.pending_sends.contains(&id.network) {
            return Ok(());
        }
        if !id.chat.is_group() || ack == Ack::Server {
            return self.deliver_receipt(&id, ack, None, at, None).await;
        }
        match self.look_up(upstream).await? {
            Some(message) if !message.receipts.is_empty() => {
                self.deliver_member_receipts(&id, message.receipts, at).await
            }
            _ => self.deliver_receipt(&id, ack, None, at, None).await,
        }
    }

    /// Delivers the level of a message of ours, from the message itself.
    pub(super) async fn deliver_ack_of(&self, message: WireMessage) -> Result<(), SessionEnd> {
        let ack = message.ack.and_then(|ack| Ack::try_from(ack).ok());
        let Some(ack) = ack.filter(|ack| message.id.from_me && *ack != Ack::Pending) else { return Ok(()) };
        let (id, at) = (self.our_id(&message.id).await?, self.relay.now());
        if id.chat.is_group() && !message.receipts.is_empty() {
            return self.deliver_member_receipts(&id, message.receipts, at).await;
        }
        self.deliver_receipt(&id, ack, None, at, None).await
    }

    async fn deliver_member_receipts(
        &self,
        id: &MessageId,
        receipts: Vec<WireReceipt>,
        at: Millis,
    ) -> Result<(), SessionEnd> {
        for receipt in receipts {
            let Ok(ack) = Ack::try_from(receipt.ack) else { continue };
            if ack > Ack::Server || ack == Ack::Error {
                self.deliver_receipt(id, ack, Some(receipt.participant), at, None).await?;
            }
        }
        Ok(())
    }

    async fn deliver_receipt(
        &self,
        id: &MessageId,
        ack: Ack,
        participant: Option<Jid>,
        timestamp: Millis,
        error: Option<SendError>,
    ) -> Result<(), SessionEnd> {
        let (chat, network_id) = (id.chat.clone(), id.network.clone());
        let receipt = IncomingReceipt { chat, network_id, ack, participant, timestamp, error };
        self.relay.deliver(EngineEvent::Receipt(receipt)).await
    }

    /// A message in its present form, with receipts; `None` if the upstream does not have it.
    pub(super) async fn look_up(&self, upstream: &MessageId) -> Result<Option<WireMessage>, SessionEnd> {
        match self.client.get(&["messages", &upstream.to_string()]).await {
            Err(failure) if failure.is_absent() => Ok(None),
            found => Ok(self.read("message", self.answered(found)?)),
        }
    }

    async fn ingest_read(
        &self,
        chat: Jid,
        ids: Vec<MessageId>,
        by: Option<Jid>,
        at: Millis,
    ) -> Result<(), SessionEnd> {
        match by {
            // An empty list would mean all messages.
            None if ids.is_empty() => Ok(()),
            None => {
                let messages = ids.into_iter().map(|id| id.network).collect();
                self.relay.deliver(EngineEvent::ReadElsewhere { chat, messages }).await
            }
            Some(reader) if chat.is_group() => {
                for id in ids {
                    let id = self.our_id(&id).await?;
                    self.deliver_receipt(&id, Ack::Read, Some(reader.clone()), at, None).await?;
                }
                Ok(())
            }
            // The acknowledgement has the same information.
            Some(_) => Ok(()),
        }
    }

    async fn ingest_update(
        &self,
        upstream: &MessageId,
        update: RemoteUpdate,
        at: Millis,
    ) -> Result<(), SessionEnd> {
        let own = OwnChange::Message(upstream.network.clone(), update.clone());
        if self.own_changes.take(&own, self.relay.now()) {
            return Ok(());
        }
        let id = self.our_id(upstream).await?;
        self.relay
            .deliver(EngineEvent::MessageChange(match update {
                RemoteUpdate::Reaction { from, emoji } => {
                    let from_me = self.base.me().as_ref() == Some(&from);
                    IncomingChange::Reaction { id, from, from_me, emoji, at }
                }
                RemoteUpdate::Vote { voter, options } => IncomingChange::Vote { id, voter, options, at },
                RemoteUpdate::Edited { body } => IncomingChange::Edited { id, body, at },
                RemoteUpdate::Revoked => IncomingChange::Revoked { id },
                RemoteUpdate::Deleted => IncomingChange::DeletedForMe { id },
                RemoteUpdate::Starred(on) => IncomingChange::Starred { id, on },
            }))
            .await
    }

    async fn ingest_chat_change(&self, chat: Jid, change: ChatChange) -> Result<(), SessionEnd> {
        if self.own_changes.take(&OwnChange::Chat(chat.clone(), change.clone()), self.relay.now()) {
            return Ok(());
        }
        self.relay.deliver(EngineEvent::Chat { chat, change }).await
    }
}
