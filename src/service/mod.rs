//! The services: every use case that a surface can call, and the background tasks.
//!
//! [`Services`] bundles them. Each service is a struct with the fields it uses and one file per use case.

use std::sync::Arc;

use self::fleet::FleetParts;
use self::maintenance::MaintenanceParts;
use self::messaging::MessagingParts;
use self::notify::NotifyServices;
use self::operator_chat::{ChatParts, ChatServices};
use crate::domain::clock::{Clock, Millis, Random};
use crate::engine::Driver;
use crate::lifecycle::Tasks;
use crate::media::Files;
use crate::net::GuardedClient;
use crate::store::Store;
use crate::telemetry::Metrics;

pub mod access;
mod error;
pub mod fleet;
mod history;
mod limits;
pub mod log;
mod maintenance;
pub mod media;
mod messaging;
pub mod notify;
pub mod operator_chat;
mod registry;
pub mod webhooks;

pub use access::Access;
pub use fleet::Fleet;
pub use history::History;
pub use limits::{ImportLimits, Limits, MediaLimits, OutboxLimits, RetentionLimits};
pub use log::{BEYOND_EVERY_LOG, Logs};
pub use maintenance::Maintenance;
pub use media::MediaService;
pub use messaging::Messaging;
pub use notify::Notifications;
pub use operator_chat::OperatorChat;
pub use registry::{DeviceLifecycleEvent, Registry, SocketPermit};
pub use webhooks::Webhooks;

pub use access::keys::{AuthError, CreatedKey, KeyView, NewKey, Principal};
pub use access::sessions::NewSession;
pub use access::tokens::{AccessTokenError, AccessTokens, Operator};
pub use error::{ErrorKind, ServiceError};
pub use fleet::devices::{DeviceView, NewDevice};
pub use fleet::health::QueueStatus;
pub use fleet::stats::{HourOfActivity, Stats};
pub use history::export::{ExportFormat, ExportRequest, ExportedFile};
pub use history::import::{ImportFormat, ImportReport, ImportRequest, NamedAuthor};
pub use log::fleet_tail::{FleetCursor, FleetItem};
pub use log::tail::{Cursor, CursorEnded, Item, LiveEntry, LogEntry, Resync};
pub use media::pictures::Picture;
pub use media::{MediaSource, SendAs, SendMedia, Uploaded};
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

pub use crate::domain::device::DeviceChange;
pub use crate::domain::queries::{
    ChatQuery, ContactQuery, GroupQuery, ListedGroup, ListedNotification, LogRange, NotificationQuery,
    SearchQuery, WaitingKind,
};
pub use crate::domain::webhook::{DeadLetter, WebhookAttempt};
pub use crate::engine::{Callback, CallbackAnswer, CallbackMethod, Capabilities, ControlVerb, MembersChange};
pub use crate::media::ByteStream as FileBytes;

/// The dependencies of [`Services`], filled by the composition root.
pub struct ServiceParts {
    /// The database of this daemon.
    pub store: Store,
    /// The clock; tests replace it.
    pub clock: Arc<dyn Clock>,
    /// The source of random numbers; tests replace it.
    pub random: Arc<dyn Random>,
    /// The registry of background tasks.
    pub tasks: Tasks,
    /// The metrics of this process.
    pub metrics: Metrics,
    /// Limits and delays.
    pub limits: Limits,
    /// The engines of this build.
    pub drivers: Vec<Arc<dyn Driver>>,
    /// All API keys, held in memory.
    pub keys: access::keys::Keys,
    /// All dashboard sessions, held in memory.
    pub dashboard_sessions: access::sessions::DashboardSessions,
    /// Access tokens of operators.
    pub access_tokens: AccessTokens,
    /// The storage of media files.
    pub media: Files,
    /// Fetches media that a client names by its URL.
    pub http: GuardedClient,
    /// The start of links to media and sounds; links are relative when it is empty.
    pub public_url: String,
    /// Limits of webhooks.
    pub webhooks: WebhookLimits,
    /// Settings and effects of notifications.
    pub notify: NotifyParts,
    /// Operator chat, while it is enabled.
    pub chat: Option<ChatParts>,
}

/// All services, for the surfaces. A clone costs one reference count.
#[derive(Clone)]
pub struct Services(Arc<ServiceSet>);

impl std::ops::Deref for Services {
    type Target = ServiceSet;

    fn deref(&self) -> &ServiceSet {
        &self.0
    }
}

/// The services that [`Services`] shares.
pub struct ServiceSet {
    /// Existing devices, their sessions and engines.
    pub registry: Arc<Registry>,
    /// Event logs.
    pub logs: Arc<Logs>,
    /// API keys, dashboard sessions and access tokens.
    pub access: Arc<Access>,
    /// Upload, download and storage of media.
    pub media: Arc<MediaService>,
    /// Messages, chats, contacts and groups.
    pub messaging: Arc<Messaging>,
    /// Webhook endpoints and their deliveries.
    pub webhooks: Arc<Webhooks>,
    /// Rules, subscriptions and delivery of notifications.
    pub notify: Arc<Notifications>,
    /// Devices and their life cycle.
    pub fleet: Arc<Fleet>,
    /// Export and import.
    pub history: Arc<History>,
    /// Retention and readiness.
    pub maintenance: Arc<Maintenance>,
    /// Operator chat, while it is enabled.
    pub chat: Option<Arc<OperatorChat>>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    metrics: Metrics,
}

impl Services {
    /// Wires the services; nothing runs before [`Services::start`].
    #[must_use]
    pub fn new(parts: ServiceParts) -> Self {
        let ServiceParts { store, clock, random, tasks, metrics, .. } = parts;
        let limits = Arc::new(parts.limits);
        let public_url: Arc<str> = parts.public_url.into();
        let registry = Arc::new(Registry::new(clock.clone(), parts.drivers));
        let logs = Arc::new(Logs::new(
            store.clone(),
            clock.clone(),
            tasks.clone(),
            metrics.clone(),
            limits.clone(),
            registry.clone(),
        ));
        let access = Arc::new(Access::new(
            store.clone(),
            clock.clone(),
            random.clone(),
            tasks.clone(),
            parts.keys,
            parts.dashboard_sessions,
            parts.access_tokens,
        ));
        let media = Arc::new(MediaService::new(
            store.clone(),
            clock.clone(),
            random.clone(),
            tasks.clone(),
            limits.clone(),
            parts.http,
            public_url.clone(),
            parts.media,
        ));
        let messaging = Arc::new(Messaging::new(MessagingParts {
            store: store.clone(),
            clock: clock.clone(),
            random: random.clone(),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
            limits: limits.clone(),
            registry: registry.clone(),
            logs: logs.clone(),
            media: media.clone(),
        }));
        let webhooks = Arc::new(Webhooks::new(
            store.clone(),
            clock.clone(),
            random.clone(),
            tasks.clone(),
            metrics.clone(),
            registry.clone(),
            parts.webhooks,
        ));
        let chat_services = |_: &ChatParts| ChatServices {
            store: store.clone(),
            clock: clock.clone(),
            random: random.clone(),
            tasks: tasks.clone(),
            public_url: public_url.clone(),
            logs: (*logs).clone(),
            messaging: messaging.clone(),
            media: media.clone(),
        };
        let chat = parts.chat.map(|parts| Arc::new(OperatorChat::new(chat_services(&parts), parts)));
        let notify_services = NotifyServices {
            store: store.clone(),
            clock: clock.clone(),
            random: random.clone(),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
            public_url,
            registry: registry.clone(),
            access: access.clone(),
            messaging: messaging.clone(),
        };
        let notify = Arc::new(Notifications::new(notify_services, parts.notify));
        let fleet = Arc::new(Fleet::new(FleetParts {
            store: store.clone(),
            clock: clock.clone(),
            random,
            tasks: tasks.clone(),
            metrics: metrics.clone(),
            limits: limits.clone(),
            registry: registry.clone(),
            logs: logs.clone(),
            access: access.clone(),
            media: media.clone(),
            messaging: messaging.clone(),
            webhooks: webhooks.clone(),
            notify: notify.clone(),
        }));
        let history = Arc::new(History::new(
            store.clone(),
            clock.clone(),
            tasks.clone(),
            limits.clone(),
            media.clone(),
            messaging.clone(),
        ));
        let maintenance = Arc::new(Maintenance::new(MaintenanceParts {
            store,
            clock: clock.clone(),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
            limits,
            registry: registry.clone(),
            media: media.clone(),
            messaging: messaging.clone(),
        }));
        Self(Arc::new(ServiceSet {
            registry,
            logs,
            access,
            media,
            messaging,
            webhooks,
            notify,
            fleet,
            history,
            maintenance,
            chat,
            clock,
            tasks,
            metrics,
        }))
    }

    /// Starts all devices that were running before, and the background tasks.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(&self) -> Result<(), ServiceError> {
        self.media.sign_media_of_older_devices().await?;
        self.fleet.start_fleet().await?;
        self.fleet.start_purges().await?;
        self.messaging.resume_clearings().await?;
        self.messaging.resume_identity_merges().await?;
        self.webhooks.start_webhooks().await?;
        self.notify.start_notify().await?;
        self.maintenance.start_retention();
        self.access.start_key_bookkeeping();
        self.maintenance.start_gauges();
        self.maintenance.start_log_positions();
        self.maintenance.start_file_check();
        if let Some(chat) = &self.chat {
            chat.start().await;
        }
        Ok(())
    }

    /// The clock of all services.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// The registry of background tasks.
    #[must_use]
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The metrics of this process.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

#[cfg(test)]
pub(crate) use fleet::ports::VaultPort;
