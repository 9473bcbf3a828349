//! The device registry: which devices exist, their engine, mailbox, live session and drivers.
//! Values are in memory; the fleet fills them from the store at start.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};

use super::ServiceError;
use crate::domain::clock::{Clock, Millis};
use crate::domain::ids::DeviceId;
use crate::domain::state::Input;
use crate::engine::{Capabilities, Driver, Session};
use crate::store::StoreError;

pub(super) mod liveness;
mod socket_counts;

pub use socket_counts::{SocketCounts, SocketPermit};

use liveness::Liveness;

/// Lifecycle events buffered for a slow subscriber, which then reloads the list of devices.
const LIFECYCLE_EVENTS: usize = 1_024;

/// The creation or deletion of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceLifecycleEvent {
    /// The device exists from now on.
    Added(DeviceId),
    /// The device is deleted; its log ends with `device-deleted`.
    Removed(DeviceId),
}

/// A request to a device's actor.
pub(in crate::service) enum DeviceCommand {
    /// Applies an operator's input.
    Apply { input: Input, reply: oneshot::Sender<Result<(), ServiceError>> },
    /// Stops the device if it runs, then starts it.
    Restart { reply: oneshot::Sender<Result<(), ServiceError>> },
    /// Applies an input that a session reports about its link.
    FromSession { generation: u64, input: Input, reply: oneshot::Sender<Result<(), StoreError>> },
    /// Unlinks and closes the device, which is deleted, and ends the actor.
    Retire { keep_data: bool, reply: oneshot::Sender<Result<(), ServiceError>> },
}

/// The state of a device that other tasks read without asking its actor.
#[derive(Default)]
pub(in crate::service) struct LiveDevice {
    /// The session, once it can send and receive.
    session: Mutex<Option<Arc<dyn Session>>>,
    /// The session until then.
    connecting: Mutex<Option<Arc<dyn Session>>>,
    /// Wakes the outbox.
    pub(in crate::service) outbox: Notify,
    /// Held while local changes are sent to the network, so that they keep their order.
    pub(in crate::service) pending_sync: tokio::sync::Mutex<()>,
    /// Held during a full-text search: a device has one at a time.
    pub(in crate::service) searching: tokio::sync::Mutex<()>,
    /// Read-locked during ingest; write-locked during an identity merge, so that nothing is stored under an outdated id.
    pub(in crate::service) identities: tokio::sync::RwLock<()>,
    pub(in crate::service) liveness: Liveness,
    /// The attempt to link with a passkey, if one was answered or has a ticket.
    pub(in crate::service) passkey: Mutex<Option<Box<PasskeyAttempt>>>,
}

/// An attempt to link with a passkey. It ends with the process, as the attempt itself does.
#[derive(Debug)]
pub(in crate::service) struct PasskeyAttempt {
    /// When the attempt began; it identifies the attempt.
    pub(in crate::service) since: Millis,
    /// Responses so far.
    pub(in crate::service) responses: u32,
    /// The SHA-256 of the ticket, and when the ticket ends.
    pub(in crate::service) ticket: Option<([u8; 32], Millis)>,
}

impl PasskeyAttempt {
    pub(in crate::service) fn new(since: Millis) -> Self {
        Self { since, responses: 0, ticket: None }
    }
}

impl LiveDevice {
    pub(in crate::service) fn session(&self) -> Option<Arc<dyn Session>> {
        self.session.lock().clone()
    }

    pub(in crate::service) fn set_session(&self, session: Option<Arc<dyn Session>>) {
        *self.session.lock() = session;
        self.set_connecting(None);
    }

    fn connecting(&self) -> Option<Arc<dyn Session>> {
        self.connecting.lock().clone()
    }

    pub(in crate::service) fn set_connecting(&self, session: Option<Arc<dyn Session>>) {
        *self.connecting.lock() = session;
    }
}

/// One device's entry in the registry.
#[derive(Clone)]
pub(in crate::service) struct DeviceHandle {
    pub(in crate::service) mailbox: mpsc::Sender<DeviceCommand>,
    pub(in crate::service) live: Arc<LiveDevice>,
    pub(in crate::service) engine: Arc<str>,
}

/// All devices that exist, and the drivers of this build.
pub struct Registry {
    pub(super) clock: Arc<dyn Clock>,
    drivers: HashMap<&'static str, Arc<dyn Driver>>,
    devices: Mutex<HashMap<DeviceId, DeviceHandle>>,
    /// The sockets of each device.
    pub sockets: SocketCounts,
    lifecycle: broadcast::Sender<DeviceLifecycleEvent>,
}

impl Registry {
    pub(super) fn new(clock: Arc<dyn Clock>, drivers: Vec<Arc<dyn Driver>>) -> Self {
        let drivers = drivers.into_iter().map(|driver| (driver.name(), driver)).collect();
        Self {
            clock,
            drivers,
            devices: Mutex::default(),
            sockets: SocketCounts::default(),
            lifecycle: broadcast::Sender::new(LIFECYCLE_EVENTS),
        }
    }

    /// The capabilities of an engine; `None` when this build has no such engine.
    #[must_use]
    pub fn capabilities(&self, engine: &str) -> Option<Capabilities> {
        self.drivers.get(engine).map(|driver| driver.capabilities())
    }

    /// The engines of this build with their capabilities, by name.
    #[must_use]
    pub fn engine_capabilities(&self) -> Vec<(&'static str, Capabilities)> {
        let mut engines: Vec<_> =
            self.drivers.iter().map(|(name, driver)| (*name, driver.capabilities())).collect();
        engines.sort_by_key(|(name, _)| *name);
        engines
    }

    pub(super) fn driver(&self, engine: &str) -> Option<&Arc<dyn Driver>> {
        self.drivers.get(engine)
    }

    /// The names of this build's engines, in no particular order.
    pub(super) fn engines(&self) -> impl Iterator<Item = &'static str> {
        self.drivers.keys().copied()
    }

    /// Subscribes to the creation and deletion of devices.
    #[must_use]
    pub fn device_changes(&self) -> broadcast::Receiver<DeviceLifecycleEvent> {
        self.lifecycle.subscribe()
    }

    /// Without a subscriber the event is dropped.
    pub(super) fn publish(&self, event: DeviceLifecycleEvent) {
        let _ = self.lifecycle.send(event);
    }

    pub(super) fn devices(&self) -> MutexGuard<'_, HashMap<DeviceId, DeviceHandle>> {
        self.devices.lock()
    }

    pub(super) fn handle(&self, id: &DeviceId) -> Result<DeviceHandle, ServiceError> {
        self.devices.lock().get(id).cloned().ok_or(ServiceError::DeviceNotFound)
    }

    /// All devices that exist.
    #[must_use]
    pub fn device_ids(&self) -> Vec<DeviceId> {
        self.devices.lock().keys().cloned().collect()
    }

    /// Whether a device exists.
    #[must_use]
    pub fn device_exists(&self, id: &DeviceId) -> bool {
        self.devices.lock().contains_key(id)
    }

    pub(in crate::service) fn engine_of(&self, id: &DeviceId) -> Result<Arc<str>, ServiceError> {
        Ok(self.handle(id)?.engine)
    }

    pub(in crate::service) fn live(&self, id: &DeviceId) -> Result<Arc<LiveDevice>, ServiceError> {
        Ok(self.handle(id)?.live)
    }

    /// The device's open session.
    pub(in crate::service) fn session(&self, id: &DeviceId) -> Result<Arc<dyn Session>, ServiceError> {
        self.handle(id)?.live.session().ok_or(ServiceError::Offline)
    }

    /// The device's session while it is being linked.
    pub(in crate::service) fn linking_session(
        &self,
        id: &DeviceId,
    ) -> Result<Arc<dyn Session>, ServiceError> {
        self.handle(id)?.live.connecting().ok_or(ServiceError::Offline)
    }

    /// Wakes a device's outbox; without effect when there is no such device.
    pub(in crate::service) fn wake_outbox(&self, id: &DeviceId) {
        if let Ok(handle) = self.handle(id) {
            handle.live.outbox.notify_one();
        }
    }
}
