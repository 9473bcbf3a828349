//! Engine `whatsapp`: drives a linked account over WhatsApp's multi-device protocol, through the crate
//! `whatsapp-rust`. A message is acknowledged to the network only after it is durable here, and no type of
//! the library is used outside this folder.
//!
//! Files: `session` owns a device and delegates each call; `session/connection` runs one connection; `client`
//! builds the library's client, whose tasks run in `runtime`; `linking` shows codes; `event_pump` queues the
//! library's events; `inbound` ingests messages; `outbound` sends them; `acks` matches a sent message with
//! the network's answer; `disconnect_reason` classifies ended connections; `keepalive` measures the round
//! trip; `on_network` caches who has an account. `storage` implements the library's storage on the vault,
//! `http` its HTTP client on `net`. `convert` is pure.
//!
//! The library's background tasks belong to the session that started them: they end with it, and their panic
//! is the session's panic. The library's own reconnecting is off, because the supervisor retries. The network
//! ends the connection in which a device was linked; the same session then opens a second one. The library
//! logs whole phone numbers through the crate `log`, so `telemetry` discards those lines.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use self::driver_state::DriverState;
use self::session::WhatsAppSession;
use self::settings::DeviceSettings;
use crate::domain::ids::DeviceId;
use crate::engine::{Capabilities, Driver, OpenError, Session, SessionContext, SettingError};
#[cfg(feature = "testbed")]
use crate::engine::{ControlContext, ControlError, ControlVerb};
use crate::net::GuardedClient;

mod acks;
mod app_state;
mod boxed;
mod calls;
mod changes;
mod client;
mod connection_context;
mod convert;
mod disconnect_reason;
mod driver_state;
mod event_pump;
mod event_queue;
mod group_reading;
mod groups;
mod history;
mod history_download;
mod history_queue;
mod http;
mod inbound;
mod keepalive;
mod linking;
mod media;
mod on_network;
mod on_network_cache;
mod outbound;
mod own_presence;
mod passkey;
mod pending_syncs;
mod people;
mod polls;
mod presence_declaration;
mod remote_file_limits;
mod remote_file_records;
mod remote_files;
mod retry_request;
mod runtime;
mod send_outcome;
mod session;
mod settings;
mod storage;
#[cfg(feature = "testbed")]
mod testbed;

#[cfg(feature = "testbed")]
pub use self::testbed::is_allowed as is_testbed;

/// Configuration of the driver.
pub struct WhatsAppConfig {
    /// The client for HTTP requests.
    pub http: GuardedClient,
    /// The testbed that replaces the network, on a loopback address.
    #[cfg(feature = "testbed")]
    pub testbed: Option<url::Url>,
}

/// The factory of the engine's sessions.
pub struct WhatsAppDriver {
    shared: Arc<DriverState>,
}

impl WhatsAppDriver {
    /// Creates the driver; nothing is connected.
    #[must_use]
    pub fn new(config: WhatsAppConfig) -> Self {
        let shared = DriverState {
            http: config.http,
            #[cfg(feature = "testbed")]
            testbed: config.testbed,
            #[cfg(feature = "testbed")]
            testbed_devices: testbed::TestbedDevices::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    #[cfg(feature = "testbed")]
    fn has_testbed(&self) -> bool {
        self.shared.testbed.is_some()
    }

    #[cfg(not(feature = "testbed"))]
    #[expect(clippy::unused_self, reason = "the feature decides")]
    fn has_testbed(&self) -> bool {
        false
    }
}

#[async_trait]
impl Driver for WhatsAppDriver {
    fn name(&self) -> &'static str {
        "whatsapp"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            qr: true,
            pairing_code: true,
            passkey: true,
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
            control: self.has_testbed(),
        }
    }

    fn fetches_media(&self) -> bool {
        true
    }

    fn check_settings(&self, settings: &Map<String, Value>) -> Result<(), SettingError> {
        DeviceSettings::parse(settings).map(|_| ())
    }

    async fn open(&self, context: SessionContext) -> Result<Arc<dyn Session>, OpenError> {
        let settings = DeviceSettings::parse(&context.settings)?;
        Ok(Arc::new(WhatsAppSession::open(Arc::clone(&self.shared), settings, context)))
    }

    #[cfg(feature = "testbed")]
    async fn control(
        &self,
        context: ControlContext,
        verb: ControlVerb<'_>,
        body: Value,
    ) -> Result<Value, ControlError> {
        let testbed = self.shared.testbed.as_ref().ok_or(ControlError::NotFound)?;
        self.shared.testbed_devices.control(testbed, &context.device, verb, body).await
    }

    async fn forget(&self, device: &DeviceId) {
        #[cfg(feature = "testbed")]
        self.shared.testbed_devices.forget(device);
        #[cfg(not(feature = "testbed"))]
        let _ = device;
    }
}
