//! Notifications: turns events of devices into dashboard entries, desktop notifications, sounds, commands,
//! webhooks and web pushes, as configured by rules.
//!
//! - [`watcher`] follows the logs of all devices; [`recorder`] stores notifications and queues them for
//!   [`executors`], each with a bounded queue.
//! - [`rules`], [`mutes`] (read and mute state of operators), [`push_subscriptions`] and [`sounds`] are
//!   managed over REST; [`test_action`] tests one action.
//! - [`push_sender`] pushes to browsers through [`push_queues`]; [`dismiss`] removes outdated desktop
//!   notifications.
//!
//! Invariants: a notification is stored before any action runs; a full queue drops entries and counts them;
//! no engine, request or other device waits for a desktop, a loudspeaker or a command.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use super::ServiceError;
use super::access::Access;
use super::messaging::Messaging;
use super::registry::Registry;
use crate::domain::clock::{Clock, Random};
use crate::domain::notify::{Limits, Rule, RuleOrigin, RuleSpec, default_rules};
use crate::domain::outbox::QuietHours;
use crate::effects::command::Commands;
use crate::effects::desktop::{Desktop, DesktopActions};
use crate::effects::push::{Push, VapidKey};
use crate::effects::sound::Speaker;
use crate::lifecycle::Tasks;
use crate::net::GuardedClient;
use crate::store::Store;
use crate::telemetry::Metrics;

mod dismiss;
mod executors;
mod job_queue;
mod mutes;
mod push_queues;
mod push_sender;
mod push_subscriptions;
mod recorder;
mod rules;
mod sounds;
mod test_action;
mod watcher;

pub use mutes::{MuteChange, MuteState, NotificationPage, operator_id};
pub use push_subscriptions::{NewSubscription, ShownSubscription};
pub use rules::RuleChange;
pub use sounds::{SoundFile, SoundInfo};
pub use test_action::{TestAction, TestActionReport};

/// Limit of bursts in memory per device.
const BURSTS: usize = 256;

/// A command that rules may name.
#[derive(Debug, Clone)]
pub struct NamedCommand {
    /// The program and its arguments.
    pub run: Vec<String>,
    /// Time limit in milliseconds.
    pub timeout_ms: u64,
    /// Whether its output is logged; the output may contain the message that the command was given.
    pub log_output: bool,
}

/// Settings and executors of [`Notifications`], filled by the composition root.
pub struct NotifyParts {
    /// Whether notifications are created at all.
    pub enabled: bool,
    /// Whether the built-in default rules apply.
    pub defaults: bool,
    /// Rules of the settings file.
    pub rules: Vec<RuleSpec>,
    /// Commands that rules may name.
    pub commands: HashMap<String, NamedCommand>,
    /// Daily period without sounds, desktop notifications and pushes.
    pub quiet_hours: Option<QuietHours>,
    /// Limit of notifications per minute and device.
    pub per_minute: u32,
    /// Age in milliseconds above which a notification no longer alerts people.
    pub fresh_ms: i64,
    /// Directory of custom sounds.
    pub sounds_dir: Option<PathBuf>,
    /// Whether commands are enabled.
    pub commands_enabled: bool,
    /// Limit of notifications that wait for the desktop.
    pub desktop_waiting: usize,
    /// Limit of concurrent sounds.
    pub sounds_at_once: usize,
    /// Limit of concurrent commands.
    pub commands_at_once: usize,
    /// Limit of waiting commands.
    pub commands_waiting: usize,
    /// The desktop, and the receiver of its button presses.
    pub desktop: (Desktop, DesktopActions),
    /// The loudspeaker.
    pub speaker: Speaker,
    /// The executor of commands.
    pub runner: Commands,
    /// Whether web push is enabled.
    pub push_enabled: bool,
    /// The HTTP client for push services.
    pub push_http: GuardedClient,
    /// Contact address for the operators of push services.
    pub push_contact: String,
}

/// Dependencies of [`Notifications`] beside [`NotifyParts`].
pub(super) struct NotifyServices {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
    pub(super) public_url: Arc<str>,
    pub(super) registry: Arc<Registry>,
    pub(super) access: Arc<Access>,
    pub(super) messaging: Arc<Messaging>,
}

/// Notification rules, mutes, push subscriptions and executors.
#[derive(Clone)]
pub struct Notifications {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    tasks: Tasks,
    metrics: Metrics,
    /// Public base URL, used for links to sounds.
    public_url: Arc<str>,
    registry: Arc<Registry>,
    access: Arc<Access>,
    messaging: Arc<Messaging>,
    state: Arc<NotifyState>,
}

impl Notifications {
    pub(super) fn new(services: NotifyServices, parts: NotifyParts) -> Self {
        Self {
            store: services.store,
            clock: services.clock,
            random: services.random,
            tasks: services.tasks,
            metrics: services.metrics,
            public_url: services.public_url,
            registry: services.registry,
            access: services.access,
            messaging: services.messaging,
            state: Arc::new(NotifyState::new(parts)),
        }
    }
}

/// Settings, rules, mutes and queues, shared by all clones.
pub(super) struct NotifyState {
    enabled: bool,
    fixed_rules: Vec<Rule>,
    rules: RwLock<Arc<Vec<Rule>>>,
    mutes: RwLock<Arc<mutes::Mutes>>,
    commands: HashMap<String, NamedCommand>,
    quiet_hours: Option<QuietHours>,
    limits: Limits,
    fresh_ms: i64,
    sounds_dir: Option<PathBuf>,
    desktop: Desktop,
    answers: Mutex<Option<DesktopActions>>,
    speaker: Speaker,
    runner: Commands,
    commands_enabled: bool,
    desktop_waiting: usize,
    sounds_at_once: usize,
    commands_at_once: usize,
    commands_waiting: usize,
    push_enabled: bool,
    push_http: GuardedClient,
    push_contact: String,
    push: OnceLock<Push>,
    push_key: OnceLock<String>,
    queues: executors::ExecutorQueues,
    lanes: push_queues::OperatorQueues,
}

impl NotifyState {
    pub(super) fn new(parts: NotifyParts) -> Self {
        let of_settings = parts.rules.into_iter().enumerate().filter_map(|(index, spec)| {
            let id = format!("settings-{}", index + 1).parse().ok()?;
            Some(Rule::new(id, None, RuleOrigin::Settings, spec))
        });
        let of_binary = parts.defaults.then(default_rules::rules).into_iter().flatten();
        let fixed_rules: Vec<Rule> = of_settings.chain(of_binary).collect();
        let (desktop, answers) = parts.desktop;
        Self {
            enabled: parts.enabled,
            rules: RwLock::new(Arc::new(fixed_rules.clone())),
            fixed_rules,
            mutes: RwLock::default(),
            commands: parts.commands,
            quiet_hours: parts.quiet_hours,
            limits: Limits { per_minute: parts.per_minute, bursts: BURSTS },
            fresh_ms: parts.fresh_ms,
            sounds_dir: parts.sounds_dir,
            desktop,
            answers: Mutex::new(Some(answers)),
            speaker: parts.speaker,
            runner: parts.runner,
            commands_enabled: parts.commands_enabled,
            desktop_waiting: parts.desktop_waiting,
            sounds_at_once: parts.sounds_at_once,
            commands_at_once: parts.commands_at_once,
            commands_waiting: parts.commands_waiting,
            push_enabled: parts.push_enabled,
            push_http: parts.push_http,
            push_contact: parts.push_contact,
            push: OnceLock::new(),
            push_key: OnceLock::new(),
            queues: executors::ExecutorQueues::default(),
            lanes: push_queues::OperatorQueues::default(),
        }
    }

    fn rules(&self) -> Arc<Vec<Rule>> {
        self.rules.read().clone()
    }
}

impl Notifications {
    /// Loads rules and mutes, then starts the watcher and the executors. Each unavailable action is logged
    /// once.
    pub(super) async fn start_notify(&self) -> Result<(), ServiceError> {
        self.reload_rules().await?;
        self.reload_mutes().await?;
        self.make_push().await?;
        if !self.state.enabled {
            tracing::info!("notifications are disabled: notify.enabled is false");
            return Ok(());
        }
        if !self.state.commands_enabled {
            self.warn_missing_commands();
        }
        self.start_hands();
        self.start_watcher().await?;
        let notify = self.clone();
        self.tasks.spawn("notify-probe", async move {
            let (state, soft) = (&notify.state, notify.tasks.soft());
            // Each probe logs its own result.
            let probes = async { tokio::join!(state.desktop.probe(), state.speaker.probe()) };
            let _ = soft.run_until_cancelled(probes).await;
        });
        Ok(())
    }

    /// Loads the key that signs pushes; the first start creates it and stores it sealed.
    async fn make_push(&self) -> Result<(), ServiceError> {
        let made = VapidKey::generate(&*self.random).map_err(|error| rules::effect_refused(&error))?;
        let kept = self.store.own_secret("vapid", made.to_bytes().to_vec()).await?;
        let key = VapidKey::from_bytes(&kept).map_err(|error| rules::effect_refused(&error))?;
        let notify = &self.state;
        let _ = notify.push_key.set(key.public_key());
        let push = Push::new(notify.push_http.clone(), self.clock.clone(), key, notify.push_contact.clone());
        let _ = notify.push.set(push);
        Ok(())
    }
}
