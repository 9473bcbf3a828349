//! What the engines whose network is an upstream REST API have in common.

use std::time::Duration;

use crate::net::GuardedClient;

/// What each of their drivers is given.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// For all requests: private addresses are refused but for those that the operator allows.
    pub http: GuardedClient,
    /// Where upstreams reach this daemon, without a slash at its end.
    pub public_url: String,
    /// How long a callback may be worked on: well below the time that the daemon gives a request.
    pub callback_within: Duration,
}

impl UpstreamConfig {
    /// Where an upstream calls back for a device.
    #[must_use]
    pub fn callback_url(&self, device: &crate::domain::ids::DeviceId) -> String {
        format!("{}/hooks/{device}", self.public_url)
    }
}
