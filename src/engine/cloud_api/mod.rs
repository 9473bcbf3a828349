//! Meta's WhatsApp Cloud API: a phone number that Meta hosts, as a device.
//!
//! There is no link to scan: a device is ready once Meta accepts its token and number. Meta assigns the ids
//! of messages and does not deduplicate, so a message of unknown outcome is never sent again. Each message
//! carries our own id (`biz_opaque_callback_data`) and its statuses repeat it.
//!
//! Invariants: the signature of a callback is verified before the callback is read, and a callback is
//! answered 200 only once everything in it is durable. The token is sent to the Graph API and to the hosts of
//! `mediaHosts`, nowhere else.
//!
//! Files: `calls` implements the session for the daemon, `session` holds its state and checks the number,
//! `client` sends requests, `outbound`, `media` and `send_error` send, `callback` verifies, `inbound`
//! ingests, `convert` is pure.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::time::Instant;

use self::session::{CloudSession, NumberState};
use self::settings::{DeviceSettings, NAME};
use super::relay::{Sessions, UpstreamConfig};
use crate::domain::ids::DeviceId;
use crate::engine::{
    Callback, CallbackAnswer, CallbackError, CallbackMethod, Capabilities, Driver, OpenError, Session,
    SessionContext, SettingError,
};

mod callback;
mod calls;
mod client;
mod convert;
mod errors;
mod inbound;
mod media;
mod outbound;
mod send_error;
mod session;
mod settings;

/// The driver of all numbers that Meta hosts.
pub struct CloudApiDriver {
    config: UpstreamConfig,
    sessions: Sessions<CloudSession>,
    /// The state that outlives a device's sessions.
    numbers: Mutex<HashMap<DeviceId, NumberState>>,
}

impl CloudApiDriver {
    /// Connects nothing yet.
    #[must_use]
    pub fn new(config: UpstreamConfig) -> Self {
        Self { config, sessions: Sessions::default(), numbers: Mutex::default() }
    }

    /// The state of the device's earlier sessions, if they had the same number.
    fn number_state(&self, device: &DeviceId, phone_number_id: &str) -> NumberState {
        let mut numbers = self.numbers.lock();
        let state = numbers.entry(device.clone()).or_insert_with(|| {
            self.config.warn_without_address(device);
            NumberState::new(phone_number_id)
        });
        if state.phone_number_id != phone_number_id {
            *state = NumberState::new(phone_number_id);
        }
        state.clone()
    }
}

#[async_trait]
impl Driver for CloudApiDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            qr: false,
            pairing_code: false,
            passkey: false,
            deduplicates: false,
            typing: true,
            presence: false,
            read_receipts: true,
            groups: false,
            media: true,
            location: true,
            contacts: true,
            polls: false,
            templates: true,
            edit: false,
            react: true,
            revoke: false,
            control: false,
        }
    }

    fn check_settings(&self, settings: &Map<String, Value>) -> Result<(), SettingError> {
        let settings = DeviceSettings::parse(settings)?;
        self.config.check_base_url(&settings.base_url, "settings.cloud-api.baseUrl")
    }

    async fn open(&self, context: SessionContext) -> Result<Arc<dyn Session>, OpenError> {
        let settings = DeviceSettings::parse(&context.settings)?;
        let device = context.device.clone();
        let number = self.number_state(&device, &settings.phone_number_id);
        let session = Arc::new(CloudSession::open(self.config.http.clone(), &settings, number, context));
        self.sessions.add(device, &session);
        Ok(session)
    }

    fn callback_signature(&self) -> Option<&'static str> {
        Some("x-hub-signature-256")
    }

    async fn callback(
        &self,
        device: &DeviceId,
        settings: &Map<String, Value>,
        callback: Callback<'_>,
    ) -> Result<CallbackAnswer, CallbackError> {
        let settings = DeviceSettings::parse(settings).map_err(|_| CallbackError::NotTaken)?;
        if callback.method == CallbackMethod::Get {
            return callback::answer_challenge(&settings, &callback);
        }
        let values = callback::verified_values(&settings, &callback)?;
        let session = self.sessions.of(device);
        let session = session.ok_or_else(|| inbound::unavailable("the device is not running now"))?;
        session.ingest(values, Instant::now() + self.config.callback_within).await?;
        Ok(CallbackAnswer::Json(serde_json::json!({})))
    }

    async fn forget(&self, device: &DeviceId) {
        self.sessions.forget(device);
        self.numbers.lock().remove(device);
    }
}
