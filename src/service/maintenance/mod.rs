//! Retention sweeps and polled metrics. A sweep works in bounded batches.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::limits::Limits;
use super::media::MediaService;
use super::messaging::Messaging;
use super::registry::Registry;
use crate::domain::clock::Clock;
use crate::lifecycle::Tasks;
use crate::store::Store;
use crate::telemetry::Metrics;

mod log_positions;
pub(super) mod metrics_poll;
mod readiness;
pub(super) mod retention;

/// Dependencies of [`Maintenance`].
pub(super) struct MaintenanceParts {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
    pub(super) limits: Arc<Limits>,
    pub(super) registry: Arc<Registry>,
    pub(super) media: Arc<MediaService>,
    pub(super) messaging: Arc<Messaging>,
}

/// Retention, unknown outcomes, polled metrics and readiness.
#[derive(Clone)]
pub struct Maintenance {
    store: Store,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    metrics: Metrics,
    limits: Arc<Limits>,
    registry: Arc<Registry>,
    media: Arc<MediaService>,
    messaging: Arc<Messaging>,
    /// Time of the last successful readiness check.
    last_commit: Arc<Mutex<Option<Instant>>>,
}

impl Maintenance {
    pub(super) fn new(parts: MaintenanceParts) -> Self {
        let MaintenanceParts { store, clock, tasks, metrics, limits, registry, media, messaging } = parts;
        let last_commit = Arc::default();
        Self { store, clock, tasks, metrics, limits, registry, media, messaging, last_commit }
    }
}
