//! The ports that an engine is given, over the store and the use cases.

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Millis;
use crate::domain::device::{Account, Device};
use crate::domain::event::{CallEvent, EphemeralEvent, HistoryProgressEvent};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::state::Input;
use crate::engine::{
    EngineEvent, Inbound, InboundError, IncomingChange, Vault, VaultError, VaultUpdate, VaultView,
};
use crate::service::Fleet;
use crate::service::messaging::IngestMode;
use crate::service::messaging::changes::MessageUpdate;
use crate::service::messaging::group_changes::GroupChangeOrigin;
use crate::service::registry::DeviceCommand;
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

    /// About the link: the device's actor decides and stores. Who is being closed is not answered any more.
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
        fleet.registry.touch(device);
        let Ok(live) = fleet.registry.live(device) else { return Err(InboundError::Gone) };
        // A merge of identities excludes all other ingestion: nothing is stored under an id that it replaces.
        let _who = match &event {
            EngineEvent::Contacts(_) => People::Learnt(live.identities.write().await),
            EngineEvent::Code { .. } | EngineEvent::Scanned(_) | EngineEvent::Opened(_) => People::NotNamed,
            _ => People::Named(live.identities.read().await),
        };
        match fleet.messaging.canonicalize(device, event).await.map_err(storage)? {
            EngineEvent::Code { code, valid_ms } => self.about_the_link(Input::Code { code, valid_ms }).await,
            EngineEvent::Scanned(account) => {
                self.remember(&account);
                self.about_the_link(Input::Scanned(account)).await
            }
            EngineEvent::Opened(account) => {
                self.remember(&account);
                self.about_the_link(Input::Opened(account)).await
            }
            EngineEvent::Message(message) => fleet
                .messaging
                .ingest_messages(device, self.account(), vec![*message], IngestMode::Live)
                .await
                .map_err(storage),
            EngineEvent::History(messages) => fleet
                .messaging
                .ingest_messages(device, self.account(), messages, IngestMode::History)
                .await
                .map_err(storage),
            EngineEvent::MessageChange(change) => self.changed(change, IngestMode::Live).await,
            EngineEvent::PastChanges(changes) => self.past_changes(changes).await,
            EngineEvent::Receipt(receipt) => {
                fleet.messaging.ingest_receipt(device, receipt).await.map_err(storage)
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
                fleet.messaging.ingest_chat_change(device, chat, change).await.map_err(storage)
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
}

/// Held during an ingestion.
#[expect(dead_code, reason = "held for its lock")]
enum People<'a> {
    /// The event pairs ids of one person.
    Learnt(tokio::sync::RwLockWriteGuard<'a, ()>),
    /// It names people.
    Named(tokio::sync::RwLockReadGuard<'a, ()>),
    /// The event names no person, and its answer waits for other events.
    NotNamed,
}

fn storage(error: StoreError) -> InboundError {
    InboundError::Store(Box::new(error))
}
