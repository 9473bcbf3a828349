//! Device actors, engine ports and the use cases that create, link and delete devices. One actor alone changes a device's state.

use std::sync::Arc;

use super::access::Access;
use super::limits::Limits;
use super::log::Logs;
use super::media::MediaService;
use super::messaging::Messaging;
use super::notify::Notifications;
use super::registry::Registry;
use super::webhooks::Webhooks;
use crate::domain::clock::{Clock, Random};
use crate::lifecycle::Tasks;
use crate::store::Store;
use crate::telemetry::Metrics;

pub mod declared;
pub mod devices;
pub(super) mod driver_requests;
pub(super) mod health;
pub(super) mod pairing;
pub mod passkey;
pub(super) mod ports;
pub(super) mod purge;
pub(super) mod secret_settings;
pub(super) mod stats;
pub(super) mod supervisor;

/// The dependencies of [`Fleet`].
pub(super) struct FleetParts {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
    pub(super) limits: Arc<Limits>,
    pub(super) registry: Arc<Registry>,
    pub(super) logs: Arc<Logs>,
    pub(super) access: Arc<Access>,
    pub(super) media: Arc<MediaService>,
    pub(super) messaging: Arc<Messaging>,
    pub(super) webhooks: Arc<Webhooks>,
    pub(super) notify: Arc<Notifications>,
}

/// Devices: their actors, linking, health and deletion.
#[derive(Clone)]
pub struct Fleet {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    tasks: Tasks,
    metrics: Metrics,
    limits: Arc<Limits>,
    registry: Arc<Registry>,
    logs: Arc<Logs>,
    access: Arc<Access>,
    media: Arc<MediaService>,
    messaging: Arc<Messaging>,
    webhooks: Arc<Webhooks>,
    notify: Arc<Notifications>,
    start_limiter: Arc<supervisor::StartLimiter>,
}

impl Fleet {
    pub(super) fn new(parts: FleetParts) -> Self {
        let limiter =
            supervisor::StartLimiter::new(parts.limits.start_ramp_per_second, parts.limits.max_connecting);
        Self {
            store: parts.store,
            clock: parts.clock,
            random: parts.random,
            tasks: parts.tasks,
            metrics: parts.metrics,
            limits: parts.limits,
            registry: parts.registry,
            logs: parts.logs,
            access: parts.access,
            media: parts.media,
            messaging: parts.messaging,
            webhooks: parts.webhooks,
            notify: parts.notify,
            start_limiter: Arc::new(limiter),
        }
    }
}
