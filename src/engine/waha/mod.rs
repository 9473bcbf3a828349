//! The engine `waha`: a session of a WAHA server as a device.
//!
//! Parts: `session` is a device's session and delegates everything; `client` asks the server; `linking` makes the
//! server's session and shows its codes; `connected` is the life after that; `taking` takes in what the server tells, by
//! `callback` or by `socket`; `later` has messages wait for files that cannot be had now; `reconcile` asks for what was
//! missed, from where `position` says, by `listing`, and `left` keeps what could not be read; `outbound` sends, under
//! ids that `names` keeps, or without one by `unnamed`, while `under_way` has what is told of it wait; `whose` notices
//! that the device became another session; `changes`, `groups`, `people` and `media` have a file each. `convert`
//! is pure.
//!
//! Invariants: the server holds the link, we hold nothing of it but whether there is one. A webhook is answered with 200
//! once what it tells is durable; its signature is checked before anything of it is read. Neither way of hearing
//! resumes by itself: whatever a session missed is asked for when the next one begins. The key goes to the server's own
//! address alone. A message leaves under an id that is in the vault already, so that a second try is no second message;
//! where the server gives none, the try is, and no second one is made before the first was looked for.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use self::session::WahaSession;
use self::settings::Settings;
use super::upstream::{Sessions, UpstreamConfig};
use crate::domain::ids::DeviceId;
use crate::engine::{
    Callback, CallbackAnswer, CallbackError, Capabilities, Driver, OpenError,
    Session, SessionContext, SettingError,
};

mod callback;
mod changes;
mod client;
mod connected;
mod convert;
mod groups;
mod later;
mod left;
mod linking;
mod listing;
mod media;
mod names;
mod outbound;
mod people;
mod position;
mod reconcile;
mod session;
mod settings;
mod socket;
mod taking;
mod under_way;
mod unnamed;
mod whose;

/// All devices of this engine.
pub struct WahaDriver {
    config: UpstreamConfig,
    /// Sessions that were opened, for the webhooks that are theirs.
    sessions: Sessions<WahaSession>,
}

impl WahaDriver {
    /// Connects nothing yet.
    #[must_use]
    pub fn new(config: UpstreamConfig) -> Self {
        Self { config, sessions: Sessions::default() }
    }
}

#[async_trait]
impl Driver for WahaDriver {
    fn name(&self) -> &'static str {
        "waha"
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
        let settings = Settings::parse(settings)?;
        self.config.http.check_url(&settings.base).map_err(|error| SettingError {
            field: "settings.waha.baseUrl".to_owned(),
            message: error.to_string(),
        })?;
        if settings.inbound == settings::Way::Webhook && self.config.public_url.is_empty() {
            return Err(SettingError {
                field: "settings.waha.inbound".to_owned(),
                message: "webhook needs server.public_url, where the WAHA server reaches this daemon; or set it to websocket".to_owned(),
            });
        }
        Ok(())
    }

    async fn open(&self, context: SessionContext) -> Result<Arc<dyn Session>, OpenError> {
        let settings = Settings::parse(&context.settings)?;
        let device = context.device.clone();
        let callback_url = self.config.callback_url(&device);
        let session = Arc::new(WahaSession::open(self.config.http.clone(), callback_url, settings, context));
        self.sessions.add(device, &session);
        Ok(session)
    }

    fn callback_signature(&self) -> Option<&'static str> {
        Some("x-webhook-hmac")
    }

    async fn callback(
        &self,
        device: &DeviceId,
        settings: &Map<String, Value>,
        callback: Callback<'_>,
    ) -> Result<CallbackAnswer, CallbackError> {
        let envelope = callback::checked(settings, callback)?;
        let session = self.sessions.of(device).filter(|session| session.hears());
        let session = session.ok_or_else(|| CallbackError::NotNow("the device is not running".to_owned()))?;
        callback::take(&session, &envelope).await
    }

    async fn forget(&self, device: &DeviceId) {
        self.sessions.forget(device);
    }
}
