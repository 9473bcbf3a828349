//! The state of one connection, shared by the engine's files.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use whatsapp_rust::Client;

use super::acks::Acks;
use super::convert::identities::Identities;
use super::group_reading::GroupReading;
use super::history_queue::HistoryQueue;
use super::on_network_cache::OnNetworkCache;
use super::own_presence::OwnPresence;
use super::pending_syncs::PendingSyncs;
use super::remote_file_limits::RemoteFileLimits;
use super::runtime::CodeRotation;
use crate::domain::clock::{Clock, Millis, Random};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, Inbound, InboundError, MediaStore, Vault};

/// One connection of one device.
pub(super) struct ConnectionContext {
    pub(super) device: DeviceId,
    pub(super) client: Arc<Client>,
    /// When the device was linked; `None` for a device that an earlier version linked.
    pub(super) linked_at: Option<Millis>,
    /// The rotation of QR codes while the device is linked.
    pub(super) code_rotation: CodeRotation,
    /// Identities of contacts, and of the account itself.
    pub(super) identities: Arc<Identities>,
    pub(super) inbound: Arc<dyn Inbound>,
    /// The engine's own storage.
    pub(super) vault: Arc<dyn Vault>,
    pub(super) media: Arc<dyn MediaStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    /// Sent messages that wait for the network's answer.
    pub(super) acks: Arc<Acks>,
    /// Messages of the history that were delivered so far.
    pub(super) history_messages: AtomicU64,
    /// Parts of the history that were delivered completely.
    pub(super) history_parts: AtomicU64,
    /// Stored history announcements; `None` if history is disabled.
    pub(super) history_queue: Option<HistoryQueue>,
    /// Cancelled once the connection can send and receive.
    pub(super) open: CancellationToken,
    /// Cached answers whether people are on the network.
    pub(super) on_network: OnNetworkCache,
    /// Notified when an answer of the network is overdue.
    pub(super) ack_overdue: Notify,
    /// The reading of all groups.
    pub(super) group_reading: GroupReading,
    /// Groups whose names were delivered when the connection opened.
    pub(super) delivered_groups: Mutex<HashSet<Jid>>,
    /// Collections of the app state that must be read again.
    pub(super) pending_syncs: PendingSyncs,
    /// Files that did not arrive with their message.
    pub(super) remote_files: RemoteFileLimits,
    /// The presence that contacts see.
    pub(super) own_presence: OwnPresence,
}

impl ConnectionContext {
    /// Whether the group was delivered when the connection opened.
    pub(super) fn is_group_delivered(&self, group: &Jid) -> bool {
        self.delivered_groups.lock().contains(group)
    }

    /// Delivers an event; returns once it is durable.
    ///
    /// # Errors
    /// If it was not ingested; its cause must then not be acknowledged to the network.
    pub(super) async fn deliver(&self, event: EngineEvent) -> Result<(), InboundError> {
        self.inbound.deliver(event).await
    }
}
