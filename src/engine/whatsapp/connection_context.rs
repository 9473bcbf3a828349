//! What every part of the engine is handed while a connection stands.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use whatsapp_rust::Client;

use super::acks::Acks;
use super::app_state::PendingSyncs;
use super::convert::identities::Identities;
use super::history_queue::HistoryQueue;
use super::on_network::OnNetworkCache;
use crate::domain::clock::{Clock, Random};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, Inbound, InboundError, MediaStore, Vault};

/// One connection of one device.
pub(super) struct ConnectionContext {
    /// Whose.
    pub(super) device: DeviceId,
    /// The library's client.
    pub(super) client: Arc<Client>,
    /// Who is who, the account itself included.
    pub(super) identities: Arc<Identities>,
    /// Where news goes.
    pub(super) inbound: Arc<dyn Inbound>,
    /// What the engine itself keeps of the device.
    pub(super) vault: Arc<dyn Vault>,
    /// Where files are.
    pub(super) media: Arc<dyn MediaStore>,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    /// Randomness.
    pub(super) random: Arc<dyn Random>,
    /// Messages whose answer from the network is waited for.
    pub(super) acks: Arc<Acks>,
    /// Messages of the past that were told so far.
    pub(super) history_messages: AtomicU64,
    /// Parts of the past that were told to their end so far.
    pub(super) history_parts: AtomicU64,
    /// Announcements of parts that are stored; `None` when no past is wanted.
    pub(super) history_queue: Option<HistoryQueue>,
    /// Cancelled once the connection can send and receive.
    pub(super) open: CancellationToken,
    /// Who is on the network; see [`super::on_network::is_on_network`].
    pub(super) on_network: OnNetworkCache,
    /// Notified when an answer of the network is overdue.
    pub(super) ack_overdue: Notify,
    /// The groups that the network told of when the connection was opened, names included.
    pub(super) delivered_groups: Mutex<HashSet<Jid>>,
    /// What the account's devices share and this one is to read again.
    pub(super) pending_syncs: PendingSyncs,
}

impl ConnectionContext {
    /// Whether the network told of this group when the connection was opened.
    pub(super) fn is_group_delivered(&self, group: &Jid) -> bool {
        self.delivered_groups.lock().unwrap_or_else(PoisonError::into_inner).contains(group)
    }

    /// Hands over news; returns once it is durable.
    ///
    /// # Errors
    /// When it was not taken: what it was about must not be acknowledged to the network.
    pub(super) async fn deliver(&self, event: EngineEvent) -> Result<(), InboundError> {
        self.inbound.deliver(event).await
    }
}
