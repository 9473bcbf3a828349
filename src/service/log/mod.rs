//! Log tails, cursors and pages of a device's event log, and a tail of all logs.
//!
//! A cursor yields each entry after its start exactly once and in order.

use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast;

use super::limits::Limits;
use super::registry::Registry;
use crate::domain::clock::Clock;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::lifecycle::Tasks;
use crate::store::Store;
use crate::telemetry::Metrics;

pub(super) mod bridge_inbound;
pub mod fleet_tail;
pub(super) mod pages;
pub mod tail;

/// Log tails and pages of the devices' event logs.
#[derive(Clone)]
pub struct Logs {
    store: Store,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    metrics: Metrics,
    limits: Arc<Limits>,
    registry: Arc<Registry>,
    tails: Arc<tail::LogTails>,
    fleet: Arc<fleet_tail::FleetTail>,
    typing: Arc<OnceLock<broadcast::Sender<ContactTyping>>>,
}

/// A contact of a device started or stopped typing.
#[derive(Debug, Clone)]
pub(in crate::service) struct ContactTyping {
    pub(in crate::service) device: DeviceId,
    pub(in crate::service) chat: Jid,
    pub(in crate::service) on: bool,
}

/// Typing changes that operator chat may lag behind; older ones are dropped.
const TYPING_BUFFER: usize = 1_024;

/// A position beyond every log: its client gets `resync`.
pub const BEYOND_EVERY_LOG: i64 = i64::MAX;

impl Logs {
    /// Follows the typing of the contacts of all devices.
    pub(in crate::service) fn follow_typing(&self) -> broadcast::Receiver<ContactTyping> {
        self.typing.get_or_init(|| broadcast::Sender::new(TYPING_BUFFER)).subscribe()
    }

    /// The id of a device's log. It changes when the database is replaced by an older copy.
    #[must_use]
    pub fn log_id(&self, device: &DeviceId) -> String {
        self.store.log_id(device)
    }

    /// The position of a client that was at `since` in the log `log_id`: beyond the log if that is another one.
    #[must_use]
    pub fn client_position(
        &self,
        device: &DeviceId,
        since: Option<i64>,
        log_id: Option<&str>,
    ) -> Option<i64> {
        match log_id {
            Some(known) if known != self.log_id(device) => Some(BEYOND_EVERY_LOG),
            _ => since,
        }
    }

    pub(super) fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        metrics: Metrics,
        limits: Arc<Limits>,
        registry: Arc<Registry>,
    ) -> Self {
        let (tails, fleet) = (Arc::default(), Arc::default());
        let typing = Arc::default();
        Self { store, clock, tasks, metrics, limits, registry, tails, fleet, typing }
    }

    /// Ends the log tail of a deleted device; its cursors end too.
    pub(super) fn close(&self, device: &crate::domain::ids::DeviceId) {
        self.tails.close(device);
    }
}
