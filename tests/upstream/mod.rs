//! Servers for tests behind devices whose network is an upstream REST API.
//!
//! They are written from the published contracts, speak real HTTP on loopback, and refuse what the
//! real ones refuse.

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
    /// The engine that connects to it.
    fn engine(&self) -> &'static str;

    /// The capabilities of that engine.
    fn capabilities(&self) -> Capabilities;

    /// The daemon's settings for this upstream, as environment variables.
    fn settings(&self) -> Vec<(String, String)>;

    /// Prepares an account for a device in a network with the settings `world`; returns the device's
    /// settings.
    async fn device_settings(&self, device: &str, world: &Value) -> Value;

    /// The server of `/api/v1/simulator/{id}/{call}` in place of the daemon: `http://` and an address.
    fn steering(&self) -> String;

    /// Whether the daemon retries a send that failed temporarily or has an unknown outcome. An upstream with
    /// its own outbox retries by itself.
    fn daemon_retries(&self) -> bool {
        true
    }

    /// Passes the daemon's address, to which callbacks are posted.
    async fn attached(&self, daemon: &str);

    /// Events of the network that the upstream's API cannot express. Tests that run on all engines skip them.
    fn unsupported_events(&self) -> &'static [&'static str] {
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
