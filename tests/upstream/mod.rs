//! Servers for tests behind devices whose network is an upstream REST API.
//!
//! They are written from the published contracts, speak real HTTP on loopback, and refuse what the real ones refuse.

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

    /// A daemon listens there now: where callbacks go.
    async fn attached(&self, daemon: &str);
}

/// The upstream that `WHARF_TEST_ENGINE` names.
pub async fn start(engine: &str) -> Option<Arc<dyn Upstream>> {
    let _ = engine;
    None
}
