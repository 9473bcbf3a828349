//! A device of another server that speaks `/api/v1/devices` and Socket.IO on `/ws` as in our own contracts: so that
//! daemons can be chained, and existing back ends adopted.
//!
//! Parts: `session` is a device's session and delegates everything; `client` asks the upstream, `log` reads its event
//! log; `linking` finds, makes and starts the device there and shows its codes; `following` takes in what the log
//! tells, `entries` an entry of it, `past` what stands in no log (any more); `live` holds the socket for what no log
//! keeps; `callback` takes webhooks. `outbound` sends, with `waiting` for what the log tells of it; `later` has messages wait for files that cannot be had now; `media`, `changes`,
//! `groups` and `people` have a file each. `keeping` is what is in the vault, `convert` is pure.
//!
//! Invariants: the position in the upstream's log is stored after what stands before it is durable here, so that
//! nothing is lost and what comes again changes nothing; a message that waits for its file holds it. A message is handed over under an idempotency key that is our
//! id of it, and its id there is kept as an alias: ids differ for messages that were sent from here, and for no
//! others. The key goes to the configured host alone. Stopping a device here leaves the upstream's as it is; who stops
//! that one is not overruled, unless the device is started here again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Map, Value};

use self::session::WwebjsSession;
use self::settings::{DeviceSettings, InboundBy};
use crate::domain::clock::Clock;
use crate::domain::ids::DeviceId;
use crate::engine::relay::{Sessions, UpstreamConfig};
use crate::engine::{
    Callback, CallbackAnswer, CallbackError, Capabilities, Driver, OpenError, Session, SessionContext,
    SessionEnd, SettingError,
};

mod callback;
mod changes;
mod client;
mod convert;
mod entries;
mod following;
mod groups;
mod keeping;
mod later;
mod linking;
mod live;
mod log;
mod media;
mod outbound;
mod past;
mod people;
mod session;
mod settings;
mod waiting;

/// What all sessions share.
struct Shared {
    config: UpstreamConfig,
    ends: Arc<LastEnds>,
}

/// How the last session of each device ended.
#[derive(Default)]
struct LastEnds(Mutex<HashMap<DeviceId, SessionEnd>>);

impl LastEnds {
    fn note(&self, device: &DeviceId, ended: SessionEnd) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(device.clone(), ended);
    }

    fn lost_its_link(&self, device: &DeviceId) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(all.get(device), Some(SessionEnd::LinkLost(_)))
    }

    fn forget(&self, device: &DeviceId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(device);
    }
}

/// All devices whose network is such a server.
pub struct WwebjsDriver {
    shared: Shared,
    clock: Arc<dyn Clock>,
    /// Sessions that may run; for callbacks.
    sessions: Sessions<WwebjsSession>,
}

impl WwebjsDriver {
    /// Connects nothing yet.
    #[must_use]
    pub fn new(config: UpstreamConfig, clock: Arc<dyn Clock>) -> Self {
        let shared = Shared { config, ends: Arc::default() };
        Self { shared, clock, sessions: Sessions::default() }
    }
}

#[async_trait]
impl Driver for WwebjsDriver {
    fn name(&self) -> &'static str {
        "wwebjs"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            qr: true,
            pairing_code: true,
            deduplicates: true,
            typing: true,
            presence: true,
            read_receipts: true,
            groups: true,
            media: true,
            location: true,
            contacts: true,
            polls: true,
            templates: false,
            edit: true,
            react: true,
            revoke: true,
            control: false,
        }
    }

    fn unlinks_at_rest(&self) -> bool {
        true
    }

    fn check_settings(&self, settings: &Map<String, Value>) -> Result<(), SettingError> {
        let read = DeviceSettings::parse(settings)?;
        self.shared.config.http.check_url(&read.base_url).map_err(|_| {
            let message = "is a private address, which the operator's net.allow_private must name first";
            settings::wrong("settings.wwebjs.baseUrl", message)
        })
    }

    async fn open(&self, context: SessionContext) -> Result<Arc<dyn Session>, OpenError> {
        let settings = DeviceSettings::parse(&context.settings)?;
        let device = context.device.clone();
        if settings.inbound == InboundBy::Webhook && !self.shared.ends.lost_its_link(&device) {
            self.shared.config.warn_without_address(&device);
        }
        let session = Arc::new(WwebjsSession::open(&self.shared, settings, context).await?);
        self.sessions.add(device, &session);
        Ok(session)
    }

    fn callback_signature(&self) -> Option<&'static str> {
        Some("webhook-signature")
    }

    async fn callback(
        &self,
        device: &DeviceId,
        settings: &Map<String, Value>,
        callback: Callback<'_>,
    ) -> Result<CallbackAnswer, CallbackError> {
        let settings = DeviceSettings::parse(settings).map_err(|_| CallbackError::NotTaken)?;
        let secret = settings.webhook_secret.ok_or(CallbackError::NotTaken)?;
        let there = settings.device.unwrap_or_else(|| device.clone());
        let session = self.sessions.of(device);
        callback::take(session, &secret, there.as_str(), callback, self.clock.now()).await
    }

    async fn forget(&self, device: &DeviceId) {
        self.shared.ends.forget(device);
        self.sessions.forget(device);
    }
}
