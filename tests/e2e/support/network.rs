//! What is behind the devices of a test: the simulator, or the native engine on a testbed.
//!
//! A test that only uses what every engine can do runs on both: `WHARF_TEST_ENGINE=whatsapp` chooses the second.
//! Which tests those are stands in `.config/nextest.toml`, profile `whatsapp`.

use std::sync::Arc;

use serde_json::{Value, json};
use testbed::Testbed;

/// A network that lives as long as the test, through restarts of the daemon.
#[derive(Clone)]
pub enum Network {
    Simulator,
    Testbed(Arc<Testbed>),
}

impl Network {
    /// The one that the environment asks for.
    pub async fn start() -> Self {
        match std::env::var("WHARF_TEST_ENGINE").as_deref() {
            Err(_) | Ok("simulator") => Self::Simulator,
            Ok("whatsapp") => Self::testbed().await,
            Ok(other) => panic!("WHARF_TEST_ENGINE is {other:?}, must be \"simulator\" or \"whatsapp\""),
        }
    }

    /// A testbed, whatever the environment says.
    pub async fn testbed() -> Self {
        let any_port = "127.0.0.1:0".parse().unwrap();
        Self::Testbed(Arc::new(Testbed::start(any_port).await.unwrap()))
    }

    /// What the daemon must be told to use it.
    pub fn settings(&self) -> Vec<(String, String)> {
        let Self::Testbed(testbed) = self else { return Vec::new() };
        let url = format!("http://{}", testbed.address());
        [
            ("WHARF__ENGINES__WHATSAPP__TESTBED_URL", url.as_str()),
            ("WHARF__DEVICES__DEFAULT_ENGINE", "whatsapp"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// A device's settings, for a world that behaves so.
    pub fn device_settings(&self, world: Value) -> Value {
        match self {
            Self::Simulator => json!({ "simulator": world }),
            Self::Testbed(_) => json!({ "whatsapp": { "testbed": world } }),
        }
    }
}
