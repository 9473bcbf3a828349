//! Selects the network behind the devices of a test: the simulator, the native engine on a testbed,
//! or an upstream.
//!
//! `WHARF_TEST_ENGINE` selects it. Tests that use only the features of all engines run on every engine;
//! `.config/nextest.toml` lists them in its profiles `whatsapp` and `upstream`.

use std::sync::Arc;

use serde_json::{Value, json};
use testbed::Testbed;
use wharf::engine::Capabilities;

use crate::upstream::{self, Upstream};

/// Capabilities of the simulator and of the native engine.
const EVERYTHING: Capabilities = Capabilities {
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
    control: true,
};

/// A network that lives as long as the test, across restarts of the daemon.
#[derive(Clone)]
pub enum Network {
    Simulator,
    Testbed(Arc<Testbed>),
    Upstream(Arc<dyn Upstream>),
}

impl Network {
    /// Starts the network that `WHARF_TEST_ENGINE` names.
    pub async fn start() -> Self {
        match std::env::var("WHARF_TEST_ENGINE").as_deref() {
            Err(_) | Ok("simulator") => Self::Simulator,
            Ok("whatsapp") => Self::testbed().await,
            Ok(name) => match upstream::start(name).await {
                Some(upstream) => Self::Upstream(upstream),
                None => panic!("WHARF_TEST_ENGINE is {name:?}, which is not an engine"),
            },
        }
    }

    /// Starts a testbed, regardless of `WHARF_TEST_ENGINE`.
    pub async fn testbed() -> Self {
        let any_port = "127.0.0.1:0".parse().unwrap();
        Self::Testbed(Arc::new(Testbed::start(any_port).await.unwrap()))
    }

    /// Capabilities of the devices' engine.
    pub fn capabilities(&self) -> Capabilities {
        match self {
            Self::Simulator | Self::Testbed(_) => EVERYTHING,
            Self::Upstream(upstream) => upstream.capabilities(),
        }
    }

    /// Events of the network that the upstream's API cannot express.
    pub fn unsupported_events(&self) -> &'static [&'static str] {
        if let Self::Upstream(upstream) = self { upstream.unsupported_events() } else { &[] }
    }

    /// Settings that point the daemon to this network.
    pub fn settings(&self) -> Vec<(String, String)> {
        let engine = |name: &str| ("WHARF__DEVICES__DEFAULT_ENGINE".to_owned(), name.to_owned());
        match self {
            Self::Simulator => Vec::new(),
            Self::Testbed(testbed) => {
                let url = format!("http://{}", testbed.address());
                vec![("WHARF__ENGINES__WHATSAPP__TESTBED_URL".to_owned(), url), engine("whatsapp")]
            }
            Self::Upstream(upstream) => {
                let mut settings = upstream.settings();
                settings.push(engine(upstream.engine()));
                settings
            }
        }
    }

    /// A device's settings for this simulated behaviour.
    pub async fn device_settings(&self, device: &str, world: &Value) -> Value {
        match self {
            Self::Simulator => json!({ "simulator": world }),
            Self::Testbed(_) => json!({ "whatsapp": { "testbed": world } }),
            Self::Upstream(upstream) => upstream.device_settings(device, world).await,
        }
    }

    /// Whether the daemon, and not the upstream, retries a failed send.
    pub fn reports_failed_attempts(&self) -> bool {
        if let Self::Upstream(upstream) = self { upstream.daemon_retries() } else { true }
    }

    /// Base URL of the control API, if the daemon does not serve it.
    pub fn steering(&self) -> Option<String> {
        if let Self::Upstream(upstream) = self { Some(upstream.steering()) } else { None }
    }

    /// Passes the daemon's address to an upstream.
    pub async fn attached(&self, daemon: &str) {
        if let Self::Upstream(upstream) = self {
            upstream.attached(daemon).await;
        }
    }
}
