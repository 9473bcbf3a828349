//! The native engine: WhatsApp's multi-device protocol, through the crate `whatsapp-rust`.
//!
//! Parts: `session` is a device's session and delegates everything; `client` builds the library's client for
//! ONE connection, whose tasks live in `runtime`; `linking` shows codes, `pump` turns the library's events into
//! ours, `durable` takes in messages before the network is told that we have them, `outbound` sends them, `acks`
//! joins a message with the network's answer, `ended` names how connections end,
//! `liveness` watches them, `exists` knows who is on the network. `convert` is pure. `changes`,
//! `groups`, `people`, `media`, `polls`, `history`, `announcements`, `app_state` and `calls` have a file each. `storage` is the library's storage over
//! the vault, `http` its HTTP client over `net`.
//!
//! Invariants: no type of the library leaves this folder. Whatever the library does in the background belongs to
//! the session that began it: it ends with it, and its panic is the session's panic. The library's own reconnecting
//! is off, as retrying is the supervisor's; after the network ends the connection in which a device was linked, the
//! same session opens a second one. A message is acknowledged to the network only once it is durable here. The
//! library logs through `log`, which `telemetry` shows nowhere: its lines have whole numbers in them.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use self::session::WhatsAppSession;
use self::settings::DeviceSettings;
use crate::domain::ids::DeviceId;
use crate::engine::{
    Capabilities, Driver, OpenError, Session, SessionContext, SettingError,
};
#[cfg(feature = "testbed")]
use crate::engine::{ControlContext, ControlError, ControlVerb};
use crate::net::GuardedClient;

mod acks;
mod announcements;
mod app_state;
mod calls;
mod changes;
mod client;
mod connected;
mod convert;
mod durable;
mod ended;
mod erased;
mod exists;
mod groups;
mod history;
mod http;
mod linking;
mod liveness;
mod media;
mod outbound;
mod people;
mod polls;
mod pump;
mod resend;
mod runtime;
mod session;
mod settings;
mod storage;
#[cfg(feature = "testbed")]
mod testbed;

#[cfg(feature = "testbed")]
pub use self::testbed::is_allowed as is_testbed;

/// What the driver is given.
pub struct WhatsAppConfig {
    /// For everything that is fetched over HTTP.
    pub http: GuardedClient,
    /// The testbed that takes the network's place, on a loopback address.
    #[cfg(feature = "testbed")]
    pub testbed: Option<url::Url>,
}

/// What all sessions share.
struct Shared {
    http: GuardedClient,
    #[cfg(feature = "testbed")]
    testbed: Option<url::Url>,
    #[cfg(feature = "testbed")]
    worlds: testbed::Worlds,
}

/// All devices of the native engine.
pub struct WhatsAppDriver {
    shared: Arc<Shared>,
}

impl WhatsAppDriver {
    /// Connects nothing yet.
    #[must_use]
    pub fn new(config: WhatsAppConfig) -> Self {
        let shared = Shared {
            http: config.http,
            #[cfg(feature = "testbed")]
            testbed: config.testbed,
            #[cfg(feature = "testbed")]
            worlds: testbed::Worlds::default(),
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
        self.shared.worlds.control(testbed, &context.device, verb, body).await
    }

    async fn forget(&self, device: &DeviceId) {
        #[cfg(feature = "testbed")]
        self.shared.worlds.forget(device);
        #[cfg(not(feature = "testbed"))]
        let _ = device;
    }
}
