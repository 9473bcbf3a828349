//! The engine `waha`: a session of a WAHA server as a device.
//!
//! The server holds the link; the daemon stores only whether there is one. The signature of a webhook is
//! verified before the webhook is read, and a webhook is answered 200 once it is durable. Neither webhooks
//! nor the WebSocket resume, so that each session begins with a backfill. The key is sent to the server's own
//! address only. A message is sent under a stored id; where the server gives no ids, a message of
//! unknown outcome is never sent again.
//!
//! Files: `calls` implements the session for the daemon, `session` holds its state, `client` sends requests,
//! `linking` creates and links the session at the server, `online` runs it after that, `callback` and
//! `websocket` receive, `inbound` ingests, `backfill` reads missed messages, `outbound` sends under the ids
//! of `message_ids`; `changes`, `groups`, `people` and `media` have a file each, and `convert` is pure.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use self::session::WahaSession;
use self::settings::{InboundTransport, Settings};
use super::relay::{Sessions, UpstreamConfig};
use crate::domain::ids::DeviceId;
use crate::engine::{
    Callback, CallbackAnswer, CallbackError, Capabilities, Driver, OpenError, Session, SessionContext,
    SettingError,
};

mod backfill;
mod callback;
mod calls;
mod changes;
mod client;
mod convert;
mod groups;
mod inbound;
mod linking;
mod media;
mod message_ids;
mod online;
mod outbound;
mod people;
mod session;
mod settings;
mod websocket;

/// The driver of all devices of this engine.
pub struct WahaDriver {
    config: UpstreamConfig,
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
        let settings = Settings::parse(settings)?;
        self.config.check_base_url(&settings.base, "settings.waha.baseUrl")?;
        if settings.inbound == InboundTransport::Webhook && self.config.public_url.is_empty() {
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
        let envelope = callback::verified_envelope(settings, callback)?;
        let session = self.sessions.of(device).filter(|session| session.base.is_open());
        let session = session.ok_or_else(|| CallbackError::NotNow("the device is not running".to_owned()))?;
        callback::ingest(&session, &envelope).await
    }

    async fn forget(&self, device: &DeviceId) {
        self.sessions.forget(device);
    }
}
