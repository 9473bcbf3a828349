//! Servers for tests behind devices whose network is an upstream REST API.
//!
//! They are written from the published contracts, speak real HTTP on loopback, and refuse what the real ones refuse.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod cloud_api;
pub mod remote;
pub mod waha;
pub mod world;

use std::sync::Arc;

use serde_json::Value;
use wharf::engine::Capabilities;

/// An upstream that lives as long as the test, through restarts of the daemon.
#[async_trait::async_trait]
pub trait Upstream: Send + Sync {
    /// The engine that reaches it.
    fn engine(&self) -> &'static str;

    /// What that engine can do.
    fn capabilities(&self) -> Capabilities;

    /// What the daemon must be told to use it, as its environment.
    fn settings(&self) -> Vec<(String, String)>;

    /// Prepares an account for a device there, in a world that behaves so; answers the device's settings.
    async fn device_settings(&self, device: &str, world: &Value) -> Value;

    /// What serves `/api/v1/simulator/{id}/{call}` in place of the daemon: `http://` and an address.
    fn steering(&self) -> String;

    /// Whether a try to send that fails for now, or whose outcome is not known, is the daemon's to try again. An
    /// upstream with an outbox of its own tries again by itself.
    fn tells_of_tries(&self) -> bool {
        true
    }

    /// A daemon listens there now: where callbacks go.
    async fn attached(&self, daemon: &str);

    /// What the network can tell, and its contract has no words for. Tests of what all engines do look here.
    fn wordless(&self) -> &'static [&'static str] {
        &[]
    }
}

/// The upstream that `WHARF_TEST_ENGINE` names.
pub async fn start(engine: &str) -> Option<Arc<dyn Upstream>> {
    match engine {
        "cloud-api" => Some(cloud_api::GraphServer::start().await),
        "waha" => Some(waha::Server::start("webhook").await),
        "waha-websocket" => Some(waha::Server::start("websocket").await),
        "remote" => Some(Arc::new(remote::Behind::start().await)),
        _ => None,
    }
}
