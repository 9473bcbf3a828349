//! Retention sweeps and polled metrics. A sweep works in bounded batches.

use std::sync::Arc;

use super::ServiceError;
use super::limits::Limits;
use super::media::MediaService;
use super::messaging::Messaging;
use super::registry::Registry;
use crate::domain::clock::Clock;
use crate::lifecycle::Tasks;
use crate::store::Store;
use crate::telemetry::Metrics;

pub(super) mod metrics_poll;
pub(super) mod retention;

/// What [`Maintenance`] is made of.
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
}

impl Maintenance {
    pub(super) fn new(parts: MaintenanceParts) -> Self {
        let MaintenanceParts { store, clock, tasks, metrics, limits, registry, media, messaging } = parts;
        Self { store, clock, tasks, metrics, limits, registry, media, messaging }
    }

    /// Checks that the daemon can serve: the store reads and writes, and no shutdown has begun.
    ///
    /// # Errors
    /// When the store fails or the daemon is shutting down.
    pub async fn readiness(&self) -> Result<(), ServiceError> {
        if self.tasks.soft().is_cancelled() {
            return Err(ServiceError::ShuttingDown);
        }
        self.store.read(|store| store.device_count()).await?;
        self.store.write(|_| Ok::<_, ServiceError>(())).await
    }
}
