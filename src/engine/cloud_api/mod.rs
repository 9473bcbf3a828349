//! Meta's WhatsApp Cloud API: a phone number that Meta hosts, as a device.
//!
//! Parts: `session` asks now and then whether the number can still be used, `client` speaks to the Graph API, `outbound`
//! and `media` are what goes out, `callback` and `inbound` what Meta calls back with, `arrivals` which files were tried
//! for it; `convert` holds what turns one
//! side's words into the other's; `aliases` are Meta's names of our messages, `gates` how long Meta wants to be left
//! alone, `errors` what its numbers mean.
//!
//! There is nothing to scan: a device is ready once token and number were accepted. Meta assigns the ids of messages
//! and drops no second copies, so a message of unknown outcome is never sent again; our own id goes along with each
//! (`biz_opaque_callback_data`) and comes back with what became of it.
//!
//! Invariants: a callback is read only after its signature was checked, and answered only once everything in it is
//! durable. The token goes to the Graph API and to the hosts of `mediaHosts`, nowhere else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::time::Instant;

use self::session::{CloudSession, Kept};
use self::settings::DeviceSettings;
use super::upstream::{Sessions, UpstreamConfig};
use crate::domain::ids::DeviceId;
use crate::engine::{
    Callback, CallbackAnswer, CallbackError, CallbackMethod, Capabilities, Driver,
    OpenError, Session, SessionContext, SettingError,
};

mod aliases;
mod arrivals;
mod callback;
mod client;
mod convert;
mod errors;
mod gates;
mod inbound;
mod media;
mod outbound;
mod session;
mod settings;

/// The engine's name, and where its settings stand in a device's.
const NAME: &str = "cloud-api";

/// All numbers that Meta hosts.
pub struct CloudApiDriver {
    config: UpstreamConfig,
    /// The session that runs for each device, for what comes in for it.
    sessions: Sessions<CloudSession>,
    /// What outlives a device's sessions.
    kept: Mutex<HashMap<DeviceId, Kept>>,
}

impl CloudApiDriver {
    /// Connects nothing.
    #[must_use]
    pub fn new(config: UpstreamConfig) -> Self {
        Self { config, sessions: Sessions::default(), kept: Mutex::default() }
    }

    /// What earlier sessions of the device left, where they were of the same number.
    fn kept(&self, device: &DeviceId, phone_number_id: &str) -> Kept {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_device = kept.entry(device.clone()).or_insert_with(|| {
            self.config.warn_without_address(device);
            Kept::default()
        });
        if of_device.phone_number_id != phone_number_id {
            *of_device = Kept::of(phone_number_id);
        }
        of_device.clone()
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
        self.config
            .http
            .check_url(&settings.base_url)
            .map_err(|error| settings::wrong("baseUrl", &format!("cannot be used: {error}")))
    }

    async fn open(&self, context: SessionContext) -> Result<Arc<dyn Session>, OpenError> {
        let settings = DeviceSettings::parse(&context.settings)?;
        let device = context.device.clone();
        let kept = self.kept(&device, &settings.phone_number_id);
        let session = Arc::new(CloudSession::open(self.config.http.clone(), &settings, kept, context));
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
            return callback::verified(&settings, &callback);
        }
        let told = callback::told(&settings, &callback)?;
        let session = self.sessions.of(device).ok_or_else(not_running)?;
        session.take_in(told, Instant::now() + self.config.callback_within).await?;
        Ok(CallbackAnswer::Json(serde_json::json!({})))
    }

    async fn forget(&self, device: &DeviceId) {
        self.sessions.forget(device);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(device);
    }
}

fn not_running() -> CallbackError {
    CallbackError::NotNow("the device is not running now".to_owned())
}
