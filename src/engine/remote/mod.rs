//! The engine `remote`: a device of another Wharf, or of a back end with the same REST API, as a device here.
//!
//! `session` has the parts of a session; `linking` establishes the link, `log_reader` follows the upstream's
//! event log and `inbound` ingests an entry, `backfill` reads history, `ephemeral` has typing and presence,
//! `outbound` sends. The stored position never passes an entry that is not durable here. A message is sent
//! under an idempotency key that is our id of it, so the upstream drops second copies. The key is sent to the
//! configured host only. Stopping a device here leaves the upstream's device running; a device that was
//! stopped there is started only by an operator here.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Map, Value};

use self::session::RemoteSession;
use self::settings::{DeviceSettings, InboundTransport};
use crate::domain::clock::Clock;
use crate::domain::engine_name::REMOTE;
use crate::domain::ids::DeviceId;
use crate::engine::relay::{Sessions, UpstreamConfig};
use crate::engine::{
    Callback, CallbackAnswer, CallbackError, Capabilities, Driver, OpenError, Session, SessionContext,
    SessionEnd, SettingError,
};

mod backfill;
mod callback;
mod changes;
mod client;
mod convert;
mod ephemeral;
mod groups;
mod inbound;
mod linking;
mod log_reader;
mod log_stream;
mod media;
mod outbound;
mod pending_sends;
mod people;
mod session;
mod settings;
mod state;

/// The parts that all sessions share.
struct Shared {
    config: UpstreamConfig,
    /// How the last session of each device ended.
    ends: Mutex<HashMap<DeviceId, SessionEnd>>,
}

impl Shared {
    fn record_end(&self, device: &DeviceId, ended: SessionEnd) {
        self.ends.lock().insert(device.clone(), ended);
    }

    fn lost_its_link(&self, device: &DeviceId) -> bool {
        let ends = self.ends.lock();
        matches!(ends.get(device), Some(SessionEnd::LinkLost(_)))
    }
}

/// The driver of all devices of this engine.
pub struct RemoteDriver {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    /// Running sessions, for callbacks.
    sessions: Sessions<RemoteSession>,
}

impl RemoteDriver {
    /// Connects nothing yet.
    #[must_use]
    pub fn new(config: UpstreamConfig, clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(Shared { config, ends: Mutex::default() });
        Self { shared, clock, sessions: Sessions::default() }
    }
}

#[async_trait]
impl Driver for RemoteDriver {
    fn name(&self) -> &'static str {
        REMOTE
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            qr: true,
            pairing_code: true,
            passkey: false,
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
        let settings = DeviceSettings::parse(settings)?;
        self.shared.config.http.check_url(&settings.base_url).map_err(|_| SettingError {
            field: format!("settings.{REMOTE}.baseUrl"),
            message: "is a private address, which net.allow_private must allow first".to_owned(),
        })
    }

    async fn open(&self, context: SessionContext) -> Result<Arc<dyn Session>, OpenError> {
        let settings = DeviceSettings::parse(&context.settings)?;
        let device = context.device.clone();
        if settings.inbound == InboundTransport::Webhook && !self.shared.lost_its_link(&device) {
            self.shared.config.warn_without_address(&device);
        }
        let session = Arc::new(RemoteSession::open(&self.shared, settings, context).await?);
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
        let upstream_device = settings.device.unwrap_or_else(|| device.clone());
        let session = self.sessions.of(device);
        callback::receive(session, &secret, upstream_device.as_str(), callback, self.clock.now()).await
    }

    async fn forget(&self, device: &DeviceId) {
        self.shared.ends.lock().remove(device);
        self.sessions.forget(device);
    }
}
