//! Use cases: everything a surface can ask for, and the tasks that run by themselves.
//!
//! One file a use case. [`Core`] is the handle that surfaces hold; it owns no sockets and speaks no HTTP.
//! What must be durable is written before anybody is told ([`ingest`], [`send`]); the event log is the
//! truth, and what goes through memory ([`feed`]) only says where to look.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::broadcast;

use crate::domain::backoff::Backoff;
use crate::domain::clock::{Clock, Millis, Random};
use crate::domain::ids::DeviceId;
use crate::domain::outbox::{Rules, Zone};
use crate::engine::{Capabilities, Driver};
use crate::lifecycle::Tasks;
use crate::media::Files;
use crate::net::GuardedClient;
use crate::store::Store;
use crate::telemetry::Metrics;

pub mod access;
mod error;
pub mod fleet;
mod history;
pub mod log;
mod maintenance;
pub mod media;
mod messaging;
pub mod notify;
mod registry;
pub mod webhooks;

pub use access::keys::{AuthError, CreatedKey, NewKey, Principal};
pub use access::tokens::{AccessTokenError, AccessTokens, Operator};
pub use error::{ErrorKind, ServiceError};
pub use fleet::devices::{DeviceChange, DeviceView, NewDevice};
pub use fleet::health::QueueStatus;
pub use fleet::stats::Stats;
pub use history::export::{ExportFormat, ExportRequest, ExportedFile};
pub use history::import::{ImportFormat, ImportLimits, ImportReport, ImportRequest, NamedAuthor};
pub use log::tail::{Cursor, Item, LiveEntry, LogEntry, Resync};
pub use media::{MediaLimits, MediaSource, SendAs, SendMedia, Uploaded};
pub use messaging::changes::Forward;
pub use messaging::messages::{MessagePage, PageRequest};
pub use messaging::outbox::queue::{
    ClearQueue, Cleared, DeviceQueue, FleetQueue, HoldReason, QueueTotals, WarmupChange,
};
pub use messaging::send::{Accepted, IdempotencyKey, SendContent, SendRequest};
pub use notify::{
    MuteChange, MuteState, NewSubscription, NotificationPage, NotifyParts, RuleChange, ShownSubscription,
    SoundFile, SoundInfo, TestAction, TestActionReport, operator_id,
};
pub use webhooks::{
    CreatedWebhook, DeadLetters, NewWebhook, Replay, RotatedWebhook, TestReport, WebhookChange,
    WebhookLimits, WebhookStatus,
};

pub use crate::engine::{Callback, CallbackAnswer, CallbackMethod, ControlVerb, MembersChange};
pub use crate::media::ByteStream as FileBytes;
pub use crate::store::chats::ChatQuery;
pub use crate::store::contacts::ContactQuery;
pub use crate::store::events::LogRange;
pub use crate::store::groups::{GroupQuery, ListedGroup};
pub use crate::store::notifications::{ListedNotification, NotificationQuery};
pub use crate::store::outbox_admin::WaitingKind;
pub use crate::store::search::SearchQuery;
pub use crate::store::webhook_attempts::Attempt as WebhookAttempt;
pub use crate::store::webhook_dead_letters::DeadLetter;

/// Numbers that use cases keep to. All durations in milliseconds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// At most so many devices.
    pub max_devices: usize,
    /// The engine of a device that names none.
    pub default_engine: String,
    /// How devices come back.
    pub backoff: Backoff,
    /// Devices that may begin to connect in one second, at start-up and after a common loss.
    pub start_ramp_per_second: u32,
    /// Devices that may be connecting at once.
    pub max_connecting: usize,
    /// Consecutive panics after which a device is failed.
    pub panics_before_failed: u32,
    /// A connected device of which nothing was heard for so long is degraded. Zero: never.
    pub degraded_after_ms: i64,
    /// What an outbox keeps to where the device says nothing else.
    pub outbox: OutboxLimits,
    /// How long an idempotency key is remembered.
    pub idempotency_ttl_ms: i64,
    /// How much of the past is kept.
    pub retention: RetentionLimits,
    /// What files keep to.
    pub media: MediaLimits,
    /// Events read from a log at once.
    pub replay_page: usize,
    /// Chats that are taken in.
    pub import: ImportLimits,
}

/// Numbers of the outbox.
#[derive(Debug, Clone)]
pub struct OutboxLimits {
    /// Messages that may wait for one device.
    pub max_queued: usize,
    /// Chats of one device with a message under way at once.
    pub in_flight: usize,
    /// Tries before a message is failed.
    pub max_attempts: u32,
    /// The delay before the second try.
    pub retry_delay_ms: u64,
    /// How long an unknown outcome stays unknown.
    pub unknown_after_ms: i64,
    /// The pace, warm-up and quiet hours.
    pub rules: Rules,
    /// Where quiet hours are that name no zone.
    pub time_zone: Zone,
    /// How long "typing" is shown before a message.
    pub typing_delay_ms: u64,
}

/// How much of the past is kept. Zero means for ever.
#[derive(Debug, Clone, Copy)]
pub struct RetentionLimits {
    /// Events.
    pub events_ms: i64,
    /// Messages.
    pub messages_ms: i64,
    /// Between two sweeps.
    pub sweep_interval_ms: u64,
}

/// What a core is made of; the composition root fills it.
pub struct CoreParts {
    /// The store.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Where tasks run.
    pub tasks: Tasks,
    /// Metrics.
    pub metrics: Metrics,
    /// Numbers.
    pub limits: Limits,
    /// The engines of this build.
    pub drivers: Vec<Arc<dyn Driver>>,
    /// API keys.
    pub keys: crate::service::access::keys::Keys,
    /// Access tokens of operators.
    pub access_tokens: AccessTokens,
    /// Files of messages.
    pub media: Files,
    /// Fetches what clients name by its address.
    pub http: GuardedClient,
    /// What the addresses of files begin with; empty: they are relative to this server.
    pub public_url: String,
    /// What webhooks keep to.
    pub webhooks: WebhookLimits,
    /// What people are told with.
    pub notify: NotifyParts,
}

/// The handle to all use cases; cheap to clone.
#[derive(Clone)]
pub struct Core {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    tasks: Tasks,
    metrics: Metrics,
    limits: Limits,
    drivers: HashMap<&'static str, Arc<dyn Driver>>,
    keys: crate::service::access::keys::Keys,
    access_tokens: AccessTokens,
    shelf: media::MediaFileStore,
    http: GuardedClient,
    public_url: Arc<str>,
    webhooks: webhooks::Webhooks,
    notify: notify::Notify,
    feeds: crate::service::log::tail::LogTails,
    live: crate::service::messaging::chat_updates::ChatUpdates,
    turns: crate::service::messaging::changes::MessageLocks,
    typing: crate::service::messaging::typing::Typing,
    imports: crate::service::history::import::Imports,
    echoes: crate::service::messaging::own_changes::OwnChangeTracker,
    fleet: crate::service::fleet::supervisor::Supervisor,
    notices: broadcast::Sender<DeviceLifecycleEvent>,
}

/// A device came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceLifecycleEvent {
    /// It exists now.
    Added(DeviceId),
    /// It is gone; its log ends with `device-deleted`.
    Removed(DeviceId),
}

/// Notices that may wait for a slow listener, which then reads the list of devices anew.
const NOTICES: usize = 1_024;

impl Core {
    /// Puts the parts together; nothing runs before [`Core::start`].
    #[must_use]
    pub fn new(parts: CoreParts) -> Self {
        let drivers = parts.drivers.into_iter().map(|driver| (driver.name(), driver)).collect();
        let inner = Inner {
            feeds: crate::service::log::tail::LogTails::default(),
            live: crate::service::messaging::chat_updates::ChatUpdates::default(),
            turns: crate::service::messaging::changes::MessageLocks::default(),
            typing: crate::service::messaging::typing::Typing::default(),
            imports: crate::service::history::import::Imports::default(),
            echoes: crate::service::messaging::own_changes::OwnChangeTracker::default(),
            fleet: crate::service::fleet::supervisor::Supervisor::new(
                parts.limits.start_ramp_per_second,
                parts.limits.max_connecting,
            ),
            notices: broadcast::Sender::new(NOTICES),
            store: parts.store,
            clock: parts.clock,
            random: parts.random,
            tasks: parts.tasks,
            metrics: parts.metrics,
            limits: parts.limits,
            drivers,
            keys: parts.keys,
            access_tokens: parts.access_tokens,
            shelf: media::MediaFileStore::new(parts.media),
            http: parts.http,
            public_url: parts.public_url.into(),
            webhooks: webhooks::Webhooks::new(parts.webhooks),
            notify: notify::Notify::new(parts.notify),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Brings back every device that was running, and starts the housekeeping.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(&self) -> Result<(), ServiceError> {
        self.sign_media_of_older_devices().await?;
        self.start_fleet().await?;
        self.start_purges().await?;
        self.resume_clearings().await?;
        self.resume_settling().await?;
        self.start_webhooks().await?;
        self.start_notify().await?;
        self.start_retention();
        self.start_key_bookkeeping();
        self.start_gauges();
        Ok(())
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.inner.clock.now()
    }

    /// Where tasks run.
    #[must_use]
    pub fn tasks(&self) -> &Tasks {
        &self.inner.tasks
    }

    /// Metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// What an engine can do; `None` when this build has none of that name.
    #[must_use]
    pub fn capabilities(&self, engine: &str) -> Option<Capabilities> {
        self.inner.drivers.get(engine).map(|driver| driver.capabilities())
    }

    /// Tells of devices that come and go.
    #[must_use]
    pub fn device_changes(&self) -> broadcast::Receiver<DeviceLifecycleEvent> {
        self.inner.notices.subscribe()
    }

    /// Whether the daemon can serve: the store answers, and nothing is shutting down.
    ///
    /// # Errors
    /// What is wrong.
    pub async fn readiness(&self) -> Result<(), ServiceError> {
        if self.inner.tasks.soft().is_cancelled() {
            return Err(ServiceError::ShuttingDown);
        }
        self.inner.store.read(|store| store.device_count()).await?;
        self.inner.store.write(|_| Ok::<_, ServiceError>(())).await
    }

    /// Who is behind an access token.
    ///
    /// # Errors
    /// When it is not valid, or the daemon is not set up for it.
    pub async fn operator(&self, token: Option<&str>) -> Result<Option<Operator>, AccessTokenError> {
        self.inner.access_tokens.verify(token, self.now()).await
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&crate::store::Reader<'_>) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.inner.store.read(read).await
    }
}

#[cfg(test)]
pub(crate) use fleet::ports::VaultPort;
