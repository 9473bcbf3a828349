//! The composition root: builds the services from the settings, connects, runs and stops them.
//!
//! Only `main` and the tests import this module. A start that cannot succeed fails before the daemon listens; a
//! shutdown loses nothing that was acknowledged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::api::Surfaces;
use crate::domain::backoff::Backoff;
use crate::domain::clock::{Clock, Random};
use crate::domain::outbox::{Pace, QuietHours, Rules};
use crate::engine::Driver;
use crate::engine::simulator::SimulatorDriver;
use crate::lifecycle::{Drained, Failure, Signals, Tasks};
use crate::service::access::keys::{EnvironmentKeyError, Keys};
use crate::service::access::sessions::DashboardSessions;
use crate::service::operator_chat::ChatError;
use crate::service::{
    AccessTokens, ImportLimits, Limits, MediaLimits, OutboxLimits, RetentionLimits, ServiceError,
    ServiceParts, Services,
};
use crate::settings::{DeclaredError, Settings, SettingsError};
use crate::store::{DiskReserve, OpenError, Store, StoreError, StoreOptions, Synchronous, VaultKey};
use crate::telemetry::Metrics;

mod api_config;
mod bootstrap_key;
mod chat;
mod client_stream;
mod declared_devices;
mod effects;
mod listener;
mod media_store;
mod notify;
pub mod process_limits;
mod store_metrics;
mod system;
mod upstreams;
mod webhooks;
mod whatsapp;

pub use system::{OsRandom, SystemClock};

/// Why the daemon could not start: one sentence each, with the remedy.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store could not be read.
    #[error("the database could not be read")]
    Read(#[from] StoreError),
    /// `WHARF_API_KEY` is invalid.
    #[error(transparent)]
    Key(#[from] EnvironmentKeyError),
    /// The first key could not be written.
    #[error("the first key could not be written to {path}: {source}")]
    FirstKey {
        /// The path.
        path: std::path::PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The inbox grants of device files could not be applied.
    #[error("the inbox grants of device files could not be applied")]
    Chat(#[source] Box<ChatError>),
    /// The simulator's network could not be opened.
    #[error("the simulator's directory {path} cannot be used: {source}")]
    Simulator {
        /// The path.
        path: std::path::PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The media directory cannot be used.
    #[error("the media directory {path} cannot be used: {source}")]
    Media {
        /// The path.
        path: std::path::PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; is another program using it? choose another with --listen"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// A file in the devices directory is wrong.
    #[error(transparent)]
    Declared(#[from] DeclaredError),
    /// An invalid setting that is only detected when it is used.
    #[error("{0}")]
    Setting(String),
    /// The stored devices could not be started.
    #[error("the devices could not be started")]
    Devices(#[from] ServiceError),
}

/// Inputs besides the settings.
pub struct Environment {
    /// The source of time.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub random: Arc<dyn Random>,
    /// `WHARF_API_KEY`.
    pub api_key: Option<String>,
    /// Whether standard error is a terminal.
    pub terminal: bool,
    /// Reads the settings again, for a reload.
    pub reload_settings: ReloadSettings,
}

/// Reads the settings from their sources.
pub type ReloadSettings = Box<dyn Fn() -> Result<Settings, SettingsError> + Send + Sync>;

/// A running daemon.
pub struct App {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// Its use cases.
    pub services: Services,
    settings: Settings,
    store: Store,
    simulator: Option<Arc<SimulatorDriver>>,
    tasks: Tasks,
    reload_settings: ReloadSettings,
}

/// How a daemon ended.
#[derive(Debug)]
pub enum AppExit {
    /// On request, and all tasks ended.
    Cleanly,
    /// On request, but tasks were aborted.
    Hastily,
    /// A required task failed.
    Failed(Failure),
}

impl App {
    /// Opens the store, binds the address, starts the stored devices and serves.
    ///
    /// # Errors
    /// [`StartError`] with the cause and the remedy.
    pub async fn start(settings: Settings, surroundings: Environment) -> Result<Self, StartError> {
        let metrics = Metrics::new();
        let store = open_store(&settings, &metrics, &surroundings.clock, &surroundings.random)?;
        let bound = listener::bind(settings.server.listen).await?;
        let keys = Keys::load(&store, surroundings.api_key.as_deref(), surroundings.clock.now()).await??;
        if keys.is_empty() {
            let first = keys.make_first(&store, &*surroundings.clock, &*surroundings.random).await?;
            bootstrap_key::print_bootstrap_key(&first, &settings.store.data_dir, surroundings.terminal)?;
        }
        let dashboard_sessions = DashboardSessions::load(&store, &keys, &*surroundings.random).await?;
        let tasks = Tasks::new();
        let simulator = simulator(&settings, &surroundings)?;
        let native = whatsapp::driver(&settings)?;
        let drivers = simulator.iter().map(|driver| driver.clone() as Arc<dyn Driver>).chain(native);
        let drivers = drivers.chain(upstreams::drivers(&settings, &surroundings)).collect();
        let services = Services::new(ServiceParts {
            store: store.clone(),
            clock: surroundings.clock.clone(),
            random: surroundings.random.clone(),
            tasks: tasks.clone(),
            metrics,
            limits: limits(&settings),
            drivers,
            keys,
            dashboard_sessions,
            access_tokens: AccessTokens::new(api_config::access_tokens(&settings)?),
            media: media_store::open(&settings)?,
            http: api_config::guarded_client(&settings, &[]),
            public_url: settings.server.public_url.trim_end_matches('/').to_owned(),
            webhooks: webhooks::limits(&settings),
            notify: notify::parts(&settings),
            chat: chat::parts(&settings)?,
        });
        let reload_settings = surroundings.reload_settings;
        let app =
            Self { address: bound.address, services, settings, store, simulator, tasks, reload_settings };
        app.services.start().await?;
        app.reconcile().await?;
        let surfaces = Surfaces::open(app.services.clone(), api_config::api(&app.settings));
        bound.serve(surfaces, &app.settings, &app.tasks);
        tracing::info!(address = %app.address, data_dir = %app.settings.store.data_dir.display(), version = env!("CARGO_PKG_VERSION"), "wharf is listening");
        Ok(app)
    }

    /// Applies the files of the devices directory.
    ///
    /// # Errors
    /// When a file is invalid. Then nothing is changed.
    pub async fn reconcile(&self) -> Result<(), StartError> {
        declared_devices::reconcile(&self.services, &self.settings).await
    }

    /// Replaces the identities and the directory of operator chat by those of other settings. Nothing else changes.
    ///
    /// # Errors
    /// When a setting is invalid; nothing is changed.
    pub fn replace_identities(&self, settings: &Settings) -> Result<(), StartError> {
        match &self.services.chat {
            Some(chat) if settings.chat.is_active() => chat.replace_identities(chat::identities(settings)?),
            None if !settings.chat.is_active() => {}
            _ => tracing::warn!("chat.enabled changed; it counts from the next start on"),
        }
        Ok(())
    }

    /// Reads the settings again, and applies what can change while the daemon runs.
    async fn reload(&self) {
        match (self.reload_settings)() {
            Ok(settings) => match self.replace_identities(&settings) {
                Ok(()) => tracing::info!("the identities and the directory of operator chat were read again"),
                Err(error) => tracing::error!(%error, "the identities of operator chat were not applied"),
            },
            Err(error) => {
                tracing::error!(%error, "the settings were not read again; nothing of them was applied");
            }
        }
        match self.reconcile().await {
            Ok(()) => tracing::info!("the devices directory was read again"),
            Err(error) => {
                tracing::error!(%error, "the devices directory was not applied; nothing was changed");
            }
        }
    }

    /// Serves until a signal or a failure ends it.
    pub async fn run(self, mut reloads: Signals) -> AppExit {
        let signals = reloads.clone();
        loop {
            tokio::select! {
                () = signals.shutdown() => return self.stop().await,
                failure = self.tasks.failed() => {
                    tracing::error!(%failure, "a required task failed; the daemon stops");
                    self.stop().await;
                    return AppExit::Failed(failure);
                }
                () = reloads.reload() => tokio::select! {
                    () = signals.shutdown() => return self.stop().await,
                    () = self.reload() => {}
                }
            }
        }
    }

    /// Disconnects sockets, closes sessions, stores everything and stops.
    pub async fn stop(self) -> AppExit {
        tracing::info!("shutting down");
        let drained = self.tasks.drain(Duration::from_millis(self.settings.server.shutdown_timeout_ms)).await;
        if let Some(simulator) = &self.simulator
            && let Err(error) = simulator.flush().await
        {
            tracing::warn!(%error, "the simulated network did not reach the disk");
        }
        self.store.close().await;
        match drained {
            Drained::Clean => {
                tracing::info!("goodbye");
                AppExit::Cleanly
            }
            Drained::Cut(tasks) | Drained::Stuck(tasks) => {
                tracing::warn!(tasks, "goodbye; some tasks did not end in time and were dropped");
                AppExit::Hastily
            }
        }
    }
}

fn open_store(
    settings: &Settings,
    metrics: &Metrics,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Result<Store, OpenError> {
    let options = StoreOptions {
        synchronous: match settings.store.synchronous {
            crate::settings::Synchronous::Full => Synchronous::Full,
            crate::settings::Synchronous::Normal => Synchronous::Normal,
        },
        write_queue: settings.store.write_queue,
        readers: settings.store.readers,
        vault_key: settings.store.vault_key.key().map(|key| VaultKey::new(&key, random.clone())),
    };
    match disk_reserve(settings).free_if_full() {
        Ok(true) => tracing::error!(
            "the disk is full: the daemon starts on the space that it had reserved, and writes fail once that is used"
        ),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "the reserved space of the disk could not be freed"),
    }
    let observer = store_metrics::StoreMetrics::new(metrics.clone(), clock.clone());
    Store::open(&settings.store.data_dir, options, Arc::new(observer))
}

fn disk_reserve(settings: &Settings) -> DiskReserve {
    DiskReserve::new(&settings.store.data_dir, settings.store.reserve_bytes)
}

fn simulator(
    settings: &Settings,
    surroundings: &Environment,
) -> Result<Option<Arc<SimulatorDriver>>, StartError> {
    if !settings.simulator_enabled() {
        return Ok(None);
    }
    let path = settings.store.data_dir.join("simulator");
    let max_bytes = settings.engines.simulator.journal_max_bytes;
    SimulatorDriver::new(&path, max_bytes, surroundings.clock.clone(), surroundings.random.clone())
        .map(|driver| Some(Arc::new(driver)))
        .map_err(|source| StartError::Simulator { path, source })
}

fn limits(settings: &Settings) -> Limits {
    let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    const DAY_MS: i64 = 86_400_000;
    Limits {
        file_check: Duration::from_millis(settings.store.file_check_ms),
        disk_reserve: disk_reserve(settings),
        max_devices: settings.devices.max,
        default_engine: settings.default_engine().to_owned(),
        backoff: Backoff {
            initial_ms: settings.supervisor.backoff_initial_ms,
            max_ms: settings.supervisor.backoff_max_ms,
        },
        start_ramp_per_second: settings.supervisor.start_ramp_per_second,
        max_connecting: settings.supervisor.max_connecting,
        panics_before_failed: settings.supervisor.panics_before_failed,
        degraded_after_ms: ms(settings.supervisor.degraded_after_ms),
        outbox: OutboxLimits {
            max_queued: settings.outbox.max_queued,
            in_flight: settings.outbox.in_flight,
            max_attempts: settings.outbox.max_attempts,
            retry_delay_ms: settings.outbox.retry_delay_ms,
            unknown_after_ms: ms(settings.outbox.unknown_after_ms),
            rules: Rules {
                pace: Pace {
                    min_delay: small(settings.outbox.min_delay_ms),
                    max_delay: small(settings.outbox.max_delay_ms),
                    messages_per_minute: settings.outbox.messages_per_minute,
                    burst_limit: settings.outbox.burst_limit,
                    messages_per_day: settings.outbox.messages_per_day,
                    new_chats_per_day: settings.outbox.new_chats_per_day,
                },
                warmup: None,
                quiet_hours: quiet_hours(&settings.outbox),
            },
            time_zone: settings.outbox.time_zone.clone(),
            typing_delay_ms: settings.outbox.typing_delay_ms,
        },
        idempotency_ttl_ms: ms(settings.messages.idempotency_ttl_ms),
        retention: RetentionLimits {
            events_ms: i64::from(settings.retention.events_days) * DAY_MS,
            messages_ms: i64::from(settings.retention.messages_days) * DAY_MS,
            sweep_interval_ms: settings.retention.sweep_interval_ms,
        },
        media: MediaLimits {
            max_bytes: settings.media.max_bytes,
            max_total_bytes: settings.media.max_total_bytes,
            max_bytes_per_device: settings.media.max_bytes_per_device,
            max_upload_bytes_per_minute: settings.media.max_upload_bytes_per_minute,
            min_free_bytes: settings.media.min_free_bytes,
            min_free_percent: settings.media.min_free_percent,
            keep_ms: i64::from(settings.retention.media_days) * DAY_MS,
            fetch_timeout_ms: settings.media.fetch_timeout_ms,
        },
        replay_page: settings.socket.replay_page,
        import: ImportLimits {
            dir: settings.store.data_dir.clone(),
            max_bytes: settings.import.max_bytes,
            max_unpacked_bytes: settings.import.max_unpacked_bytes,
            max_running: settings.import.max_running,
            max_running_per_device: settings.import.max_running_per_device,
            min_bytes_per_second: settings.import.min_bytes_per_second,
            grace: Duration::from_millis(settings.import.grace_ms),
        },
    }
}

/// The settings were validated: both ends are set, or neither.
fn quiet_hours(outbox: &crate::settings::OutboxSettings) -> Option<QuietHours> {
    let (from, to) = (outbox.quiet_from.parse().ok()?, outbox.quiet_to.parse().ok()?);
    QuietHours::new(from, to, outbox.time_zone.clone()).ok()
}
