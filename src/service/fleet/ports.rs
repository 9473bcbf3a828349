//! The engine ports over the store and the use cases. An event is acknowledged only after its commit.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Millis;
use crate::domain::device::{Account, Device};
use crate::domain::event::{CallEvent, EphemeralEvent, HistoryProgressEvent};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::state::Input;
use crate::engine::{
    EngineEvent, Inbound, InboundError, Incoming, IncomingChange, IncomingReceipt, Vault, VaultError,
    VaultUpdate, VaultView,
};
use crate::service::Fleet;
use crate::service::messaging::IngestMode;
use crate::service::messaging::changes::MessageUpdate;
use crate::service::messaging::group_changes::GroupChangeOrigin;
use crate::service::registry::{DeviceCommand, LiveDevice};
use crate::store::vault::VaultRows;
use crate::store::{Store, StoreError};

/// One device's part of the vault.
pub(crate) struct VaultPort {
    store: Store,
    device: DeviceId,
}

impl VaultPort {
    pub(crate) fn new(store: Store, device: DeviceId) -> Self {
        Self { store, device }
    }
}

#[async_trait]
impl Vault for VaultPort {
    async fn get_many(&self, space: &str, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, VaultError> {
        Ok(self.store.vault_get_many(&self.device, space, keys).await?)
    }

    async fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
        Ok(self.store.vault_list(&self.device, space, prefix).await?)
    }

    async fn last_key(&self, space: &str, prefix: &str) -> Result<Option<String>, VaultError> {
        Ok(self.store.vault_last_key(&self.device, space, prefix).await?)
    }

    async fn update(&self, change: VaultUpdate) -> Result<(), VaultError> {
        self.store.vault_update(&self.device, move |rows| change(&Seen(rows))).await
    }

    async fn prune(&self, space: &str, before: Millis) -> Result<u64, VaultError> {
        Ok(self.store.vault_prune(&self.device, space, before).await?)
    }
}

/// A device's vault within a transaction.
struct Seen<'a>(&'a VaultRows<'a>);

impl VaultView for Seen<'_> {
    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(self.0.get(space, key)?)
    }

    fn list(&self, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
        Ok(self.0.list(space, prefix)?)
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        Self(Box::new(error))
    }
}

/// The inbound port of one session.
pub(in crate::service) struct InboundPort {
    fleet: Fleet,
    device: DeviceId,
    account: parking_lot::Mutex<Option<Account>>,
    actor: mpsc::WeakSender<DeviceCommand>,
    generation: u64,
    cancel: CancellationToken,
}

impl InboundPort {
    pub(in crate::service) fn new(
        fleet: &Fleet,
        device: &Device,
        actor: mpsc::WeakSender<DeviceCommand>,
        generation: u64,
        cancel: CancellationToken,
    ) -> Self {
        let account = parking_lot::Mutex::new(device.account.clone());
        Self { fleet: fleet.clone(), device: device.id.clone(), account, actor, generation, cancel }
    }

    fn account(&self) -> Option<Account> {
        self.account.lock().clone()
    }

    fn remember(&self, account: &Account) {
        *self.account.lock() = Some(account.clone());
    }

    /// Passes an event about the link to the device's actor, which decides and stores. A session that is being closed
    /// gets no answer.
    async fn about_the_link(&self, input: Input) -> Result<(), InboundError> {
        let (reply, answer) = oneshot::channel();
        let command = DeviceCommand::FromSession { generation: self.generation, input, reply };
        let actor = self.actor.upgrade().ok_or(InboundError::Gone)?;
        let stored = async {
            actor.send(command).await.map_err(|_| InboundError::Gone)?;
            answer.await.map_err(|_| InboundError::Gone)?.map_err(storage)
        };
        tokio::select! {
            stored = stored => stored,
            () = self.cancel.cancelled() => Err(InboundError::Gone),
        }
    }

    async fn ingest_messages(&self, messages: Vec<Incoming>) -> Result<(), InboundError> {
        let ingested =
            self.fleet.messaging.ingest_messages(&self.device, self.account(), messages, IngestMode::Live);
        ingested.await.map_err(storage)
    }

    async fn deliver_messages(&self, messages: Vec<Incoming>) -> Result<(), InboundError> {
        let live = self.live_device()?;
        let _people = live.identities.read().await;
        let messages = self.fleet.messaging.canonicalize(&self.device, messages).await.map_err(storage)?;
        self.ingest_messages(messages).await
    }

    async fn deliver_receipts(&self, receipts: Vec<IncomingReceipt>) -> Result<(), InboundError> {
        let live = self.live_device()?;
        let _people = live.identities.read().await;
        let messaging = &self.fleet.messaging;
        let receipts = messaging.canonicalize(&self.device, receipts).await.map_err(storage)?;
        messaging.ingest_receipts(&self.device, receipts).await.map_err(storage)
    }

    /// The device of an event; records that its network is alive.
    fn live_device(&self) -> Result<Arc<LiveDevice>, InboundError> {
        self.fleet.registry.touch(&self.device);
        self.fleet.registry.live(&self.device).map_err(|_| InboundError::Gone)
    }

    async fn changed(&self, change: IncomingChange, telling: IngestMode) -> Result<(), InboundError> {
        let (id, change) = self.change_of(change);
        self.fleet.messaging.ingest_change(&self.device, id, change, telling).await.map_err(storage)
    }

    async fn past_changes(&self, changes: Vec<IncomingChange>) -> Result<(), InboundError> {
        for change in changes {
            self.changed(change, IngestMode::History).await?;
        }
        Ok(())
    }

    fn change_of(&self, change: IncomingChange) -> (MessageId, MessageUpdate) {
        match change {
            IncomingChange::Reaction { id, from, from_me, emoji, at } => {
                (id, MessageUpdate::React { from, from_me, emoji, at })
            }
            IncomingChange::Vote { id, voter, options, at } => {
                let from_me = self.account().and_then(|account| account.jid()).as_ref() == Some(&voter);
                (id, MessageUpdate::Vote { voter, from_me, options, at })
            }
            IncomingChange::Edited { id, body, at } => (id, MessageUpdate::Edit { body, at }),
            IncomingChange::Revoked { id } => (id, MessageUpdate::Revoke),
            IncomingChange::Starred { id, on } => (id, MessageUpdate::Star(on)),
            IncomingChange::DeletedForMe { id } => (id, MessageUpdate::Hide),
        }
    }
}

#[async_trait]
impl Inbound for InboundPort {
    async fn deliver(&self, event: EngineEvent) -> Result<(), InboundError> {
        let (fleet, device) = (&self.fleet, &self.device);
        let live = self.live_device()?;
        // A merge of identities excludes all other ingestion: nothing is stored under an id that it replaces.
        let _who = match &event {
            EngineEvent::Contacts(_) => People::Learnt(live.identities.write().await),
            EngineEvent::Code { .. }
            | EngineEvent::PasskeyRequested { .. }
            | EngineEvent::PasskeySigned { .. }
            | EngineEvent::Scanned(_)
            | EngineEvent::Opened(_) => People::NotNamed,
            _ => People::Named(live.identities.read().await),
        };
        match fleet.messaging.canonicalize(device, event).await.map_err(storage)? {
            EngineEvent::Code { code, valid_ms } => self.about_the_link(Input::Code { code, valid_ms }).await,
            EngineEvent::PasskeyRequested { options, valid_ms } => {
                self.about_the_link(Input::PasskeyRequested { options, valid_ms }).await
            }
            EngineEvent::PasskeySigned { code, valid_ms } => {
                self.about_the_link(Input::PasskeySigned { code, valid_ms }).await
            }
            EngineEvent::Scanned(account) => {
                self.remember(&account);
                self.about_the_link(Input::Scanned(account)).await
            }
            EngineEvent::Opened(account) => {
                self.remember(&account);
                self.about_the_link(Input::Opened(account)).await
            }
            EngineEvent::Message(message) => self.ingest_messages(vec![*message]).await,
            EngineEvent::History(messages) => fleet
                .messaging
                .ingest_messages(device, self.account(), messages, IngestMode::History)
                .await
                .map_err(storage),
            EngineEvent::MessageChange(change) => self.changed(change, IngestMode::Live).await,
            EngineEvent::PastChanges(changes) => self.past_changes(changes).await,
            EngineEvent::MediaFetched { id, attachment } => {
                let attachment = attachment.map(|attachment| *attachment);
                fleet.messaging.ingest_media(device, id, attachment).await.map_err(storage)
            }
            EngineEvent::Receipt(receipt) => {
                fleet.messaging.ingest_receipts(device, vec![receipt]).await.map_err(storage)
            }
            EngineEvent::ReadElsewhere { chat, messages } => {
                fleet.messaging.ingest_read_elsewhere(device, chat, messages).await.map_err(storage)
            }
            EngineEvent::Contacts(told) => {
                fleet.messaging.ingest_contacts(device, told).await.map_err(storage)
            }
            EngineEvent::ChatName { chat, name } => {
                fleet.messaging.ingest_chat_name(device, chat, name).await.map_err(storage)
            }
            EngineEvent::Typing { chat, from, kind, on } => {
                fleet.logs.emit(device, &EphemeralEvent::Typing { chat_id: chat, from, kind, on });
                Ok(())
            }
            EngineEvent::Presence { contact, online, last_seen } => {
                fleet.logs.emit(device, &EphemeralEvent::Presence { contact_id: contact, online, last_seen });
                Ok(())
            }
            EngineEvent::Chat { chat, change } => {
                let mode = IngestMode::Live;
                fleet.messaging.ingest_chat_change(device, chat, change, mode).await.map_err(storage)
            }
            EngineEvent::PastChatChange { chat, change } => {
                let mode = IngestMode::History;
                fleet.messaging.ingest_chat_change(device, chat, change, mode).await.map_err(storage)
            }
            EngineEvent::Groups { groups, complete } => {
                fleet.messaging.ingest_groups(device, groups, complete).await.map_err(storage)
            }
            EngineEvent::GroupChanged { group, change, participants, text, author } => {
                let told = GroupChangeOrigin { group, change, participants, text, author };
                fleet.messaging.ingest_group_change(device, told).await.map_err(storage)
            }
            EngineEvent::Call { call_id, from, video, status } => fleet
                .messaging
                .ingest_call(device, CallEvent { call_id, from, video, status })
                .await
                .map_err(storage),
            EngineEvent::HistoryProgress { done, total, phase } => {
                let progress = HistoryProgressEvent { done, total, phase };
                fleet.messaging.ingest_history_progress(device, progress).await.map_err(storage)
            }
            EngineEvent::Latency { ms } => {
                fleet.logs.emit(
                    device,
                    &EphemeralEvent::ConnectionStatus { status: "connected", latency_ms: Some(ms) },
                );
                Ok(())
            }
        }
    }

    async fn deliver_all(&self, events: Vec<EngineEvent>) -> Result<(), InboundError> {
        for batch in Batch::of(events) {
            match batch {
                Batch::One(event) => self.deliver(event).await?,
                Batch::Messages(messages) => self.deliver_messages(messages).await?,
                Batch::Receipts(receipts) => self.deliver_receipts(receipts).await?,
            }
        }
        Ok(())
    }
}

/// Events that are stored in one transaction.
#[derive(Debug, PartialEq)]
enum Batch {
    Messages(Vec<Incoming>),
    Receipts(Vec<IncomingReceipt>),
    One(EngineEvent),
}

impl Batch {
    /// Groups consecutive messages and receipts; the order does not change.
    fn of(events: Vec<EngineEvent>) -> Vec<Self> {
        let mut batches = Vec::new();
        for event in events {
            match (event, batches.last_mut()) {
                (EngineEvent::Message(message), Some(Self::Messages(before))) => before.push(*message),
                (EngineEvent::Receipt(receipt), Some(Self::Receipts(before))) => before.push(receipt),
                (EngineEvent::Message(message), _) => batches.push(Self::Messages(vec![*message])),
                (EngineEvent::Receipt(receipt), _) => batches.push(Self::Receipts(vec![receipt])),
                (other, _) => batches.push(Self::One(other)),
            }
        }
        batches
    }
}

/// Held during an ingestion.
#[expect(dead_code, reason = "held for its lock")]
enum People<'a> {
    /// The event pairs ids of one person.
    Learnt(tokio::sync::RwLockWriteGuard<'a, ()>),
    /// The event refers to people.
    Named(tokio::sync::RwLockReadGuard<'a, ()>),
    /// The event refers to no person, and its answer depends on other events.
    NotNamed,
}

fn storage(error: StoreError) -> InboundError {
    InboundError::Store(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ack::Ack;
    use crate::domain::ids::NetworkId;
    use crate::domain::jid::Jid;

    #[test]
    fn batch_joins_neighbours_and_keeps_order() {
        let chat: Jid = "15550100001@c.us".parse().unwrap();
        let network = |id: &str| -> NetworkId { id.parse().unwrap() };
        let message =
            |id: &str| Incoming::text(network(id), chat.clone(), chat.clone(), "hello".to_owned(), Millis(1));
        let receipt = |id: &str| IncomingReceipt {
            chat: chat.clone(),
            network_id: network(id),
            ack: Ack::Read,
            participant: None,
            timestamp: Millis(1),
            error: None,
        };
        let of_message = |id: &str| EngineEvent::Message(Box::new(message(id)));
        let of_receipt = |id: &str| EngineEvent::Receipt(receipt(id));
        let latency = || EngineEvent::Latency { ms: 1 };
        let events = vec![
            of_message("A"),
            of_message("B"),
            latency(),
            of_message("C"),
            of_receipt("D"),
            of_receipt("E"),
            of_message("F"),
        ];
        assert_eq!(
            Batch::of(events),
            [
                Batch::Messages(vec![message("A"), message("B")]),
                Batch::One(latency()),
                Batch::Messages(vec![message("C")]),
                Batch::Receipts(vec![receipt("D"), receipt("E")]),
                Batch::Messages(vec![message("F")]),
            ]
        );
    }
}
