//! Meta's Graph API for tests: the WhatsApp Cloud API, in front of a simulated network.
//!
//! `graph` serves the API with the errors of the real one, `callbacks` converts events of the network,
//! `delivery` signs and repeats callbacks until they are answered 200. `number` is one phone number, with the
//! failures that a test can cause. Source: `contracts/upstreams.md` and Meta's published reference.

mod callbacks;
mod control;
mod delivery;
mod graph;
mod number;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wharf::engine::Capabilities;

#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub use self::delivery::sign;
#[allow(unused_imports, reason = "as above")]
pub use self::number::{GraphFault, Number};
use super::Upstream;
use super::world::{World, control as world_control};

/// The capabilities of the engine.
pub const CAN: Capabilities = Capabilities {
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
};

/// The version of the API.
pub const VERSION: &str = "v24.0";

/// The server of the tests.
pub struct GraphServer {
    /// The URL of the server.
    pub url: String,
    state: Arc<State>,
}

/// The state that all requests share.
pub struct State {
    pub world: Arc<World>,
    /// By device and by phone-number id.
    numbers: Mutex<HashMap<String, Arc<Number>>>,
    /// The URL of the daemon.
    daemon: Mutex<Option<String>>,
    http: reqwest::Client,
}

impl State {
    pub fn number(&self, name: &str) -> Option<Arc<Number>> {
        self.numbers.lock().unwrap().get(name).cloned()
    }

    fn all(&self) -> Vec<Arc<Number>> {
        self.numbers.lock().unwrap().values().cloned().collect()
    }

    fn daemon(&self) -> Option<String> {
        self.daemon.lock().unwrap().clone()
    }
}

impl GraphServer {
    /// Starts a server on a free port.
    pub async fn start() -> Arc<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let (numbers, daemon) = (Mutex::default(), Mutex::default());
        let state = Arc::new(State { world: World::start(), numbers, daemon, http });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let steered: Arc<dyn world_control::NetworkControl> =
            Arc::new(control::NumberControl(Arc::clone(&state)));
        let router = graph::router(Arc::clone(&state), url.clone())
            .merge(world_control::router(Arc::clone(&state.world), steered));
        #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Arc::new(Self { url, state })
    }

    /// The number of a device.
    pub fn number(&self, device: &str) -> Arc<Number> {
        self.state.number(device).unwrap()
    }

    /// Prepares a number for a device, with the network's settings; returns the device's settings.
    pub async fn prepare(&self, device: &str, world: &Value) -> Value {
        let mut settings = world.clone();
        // Meta hosts the number: there is no code to scan.
        settings["autoScanMs"] = 0.into();
        let account = self.state.world.account(device, &settings);
        let number = Number::new(device, account, self.state.numbers.lock().unwrap().len());
        let names = [device.to_owned(), number.id.clone()];
        for name in names {
            self.state.numbers.lock().unwrap().insert(name, Arc::clone(&number));
        }
        callbacks::follow(Arc::clone(&self.state), Arc::clone(&number)).await;
        json!({ "cloud-api": {
            "phoneNumberId": number.id, "accessToken": number.token, "appSecret": number.app_secret,
            "verifyToken": number.verify_token, "baseUrl": self.url, "version": VERSION, "checkEveryMs": 500,
        } })
    }

    /// Posts a callback with any body; returns the status of its answer.
    pub async fn call_back(&self, device: &str, body: &Value, signature: Option<&str>) -> u16 {
        delivery::once(&self.state, &self.number(device), body.to_string().into_bytes(), signature).await
    }
}

#[async_trait]
impl Upstream for GraphServer {
    fn engine(&self) -> &'static str {
        "cloud-api"
    }

    fn capabilities(&self) -> Capabilities {
        CAN
    }

    fn settings(&self) -> Vec<(String, String)> {
        vec![("WHARF__NET__ALLOW_PRIVATE".to_owned(), "127.0.0.1/32".to_owned())]
    }

    async fn device_settings(&self, device: &str, world: &Value) -> Value {
        self.prepare(device, world).await
    }

    fn steering(&self) -> String {
        self.url.clone()
    }

    async fn attached(&self, daemon: &str) {
        *self.state.daemon.lock().unwrap() = Some(daemon.to_owned());
        self.state.all().iter().for_each(|number| number.again.notify_waiters());
    }
}
