//! What is behind the devices of a test: the simulator, the native engine on a testbed, or an upstream.
//!
//! A test that only uses what every engine can do runs on all: `WHARF_TEST_ENGINE` chooses another than the simulator.
//! Which tests those are stands in `.config/nextest.toml`, profiles `whatsapp` and `upstream`.

use std::sync::Arc;

use serde_json::{Value, json};
use testbed::Testbed;
use wharf::engine::Capabilities;

use crate::upstream::{self, Upstream};

/// What the simulator and the native engine can do.
const EVERYTHING: Capabilities = Capabilities {
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
    control: true,
};

/// A network that lives as long as the test, through restarts of the daemon.
#[derive(Clone)]
pub enum Network {
    Simulator,
    Testbed(Arc<Testbed>),
    Upstream(Arc<dyn Upstream>),
}

impl Network {
    /// The one that the environment asks for.
    pub async fn start() -> Self {
        match std::env::var("WHARF_TEST_ENGINE").as_deref() {
            Err(_) | Ok("simulator") => Self::Simulator,
            Ok("whatsapp") => Self::testbed().await,
            Ok(name) => match upstream::start(name).await {
                Some(upstream) => Self::Upstream(upstream),
                None => panic!("WHARF_TEST_ENGINE is {name:?}, which is no engine"),
            },
        }
    }

    /// A testbed, whatever the environment says.
    pub async fn testbed() -> Self {
        let any_port = "127.0.0.1:0".parse().unwrap();
        Self::Testbed(Arc::new(Testbed::start(any_port).await.unwrap()))
    }

    /// What the devices' engine can do.
    pub fn capabilities(&self) -> Capabilities {
        match self {
            Self::Simulator | Self::Testbed(_) => EVERYTHING,
            Self::Upstream(upstream) => upstream.capabilities(),
        }
    }

    /// What it can tell, and its contract has no words for.
    pub fn wordless(&self) -> &'static [&'static str] {
        if let Self::Upstream(upstream) = self { upstream.wordless() } else { &[] }
    }

    /// What the daemon must be told to use it.
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

    /// A device's settings, for a world that behaves so.
    pub async fn device_settings(&self, device: &str, world: &Value) -> Value {
        match self {
            Self::Simulator => json!({ "simulator": world }),
            Self::Testbed(_) => json!({ "whatsapp": { "testbed": world } }),
            Self::Upstream(upstream) => upstream.device_settings(device, world).await,
        }
    }

    /// Whether a failed try to send is the daemon's to try again.
    pub fn tells_of_tries(&self) -> bool {
        if let Self::Upstream(upstream) = self { upstream.tells_of_tries() } else { true }
    }

    /// What steers it, where that is not the daemon.
    pub fn steering(&self) -> Option<String> {
        if let Self::Upstream(upstream) = self { Some(upstream.steering()) } else { None }
    }

    /// The daemon listens there now.
    pub async fn attached(&self, daemon: &str) {
        if let Self::Upstream(upstream) = self {
            upstream.attached(daemon).await;
        }
    }
}
