//! The relay toolkit: shared parts of the engines whose network is an upstream REST API.
//!
//! It depends on no engine: helpers take a [`RelayContext`], never a session type. An engine adds the
//! conversions, the routes of its upstream, and the order of its calls.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use url::Url;

use super::SettingError;
use crate::domain::ids::DeviceId;
use crate::net::GuardedClient;

pub(super) mod client;
mod context;
pub(super) mod id_map;
pub(super) mod lenient;
pub(super) mod media_retry;
pub(super) mod outcome;
pub(super) mod position;
pub(super) mod rate_limit;
pub(super) mod session_base;
pub(super) mod settings;
pub(super) mod upstream_identity;

#[cfg(test)]
pub(super) mod testing;

pub(super) use self::context::RelayContext;

/// The configuration of every relay driver.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// Refuses private addresses, except those that the operator allows.
    pub http: GuardedClient,
    /// The URL of this daemon for upstreams, without a trailing slash.
    pub public_url: String,
    /// The time limit for a callback: well below the daemon's own request timeout.
    pub callback_within: Duration,
}

impl UpstreamConfig {
    /// The address of a device's callbacks.
    #[must_use]
    pub fn callback_url(&self, device: &DeviceId) -> String {
        format!("{}/hooks/{device}", self.public_url)
    }

    /// Checks that requests may go to this address.
    pub(super) fn check_base_url(&self, url: &Url, field: &str) -> Result<(), SettingError> {
        let checked = self.http.check_url(url);
        checked.map_err(|error| SettingError {
            field: field.to_owned(),
            message: format!("cannot be used: {error}"),
        })
    }

    /// Warns when a device needs callbacks and the daemon has no public address.
    pub(super) fn warn_without_address(&self, device: &DeviceId) {
        if self.public_url.is_empty() {
            tracing::warn!(%device, "server.public_url is not set: this device receives nothing until the upstream reaches <public address>/hooks/<device id>");
        }
    }
}

/// The current session of each device, for callbacks.
pub(super) struct Sessions<S>(Mutex<HashMap<DeviceId, Weak<S>>>);

impl<S> Default for Sessions<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S> Sessions<S> {
    /// Replaces the device's former session.
    pub(super) fn add(&self, device: DeviceId, session: &Arc<S>) {
        let mut all = self.lock();
        all.retain(|_, session| session.strong_count() > 0);
        all.insert(device, Arc::downgrade(session));
    }

    /// The device's session, while it exists.
    pub(super) fn of(&self, device: &DeviceId) -> Option<Arc<S>> {
        self.lock().get(device)?.upgrade()
    }

    /// Removes a deleted device.
    pub(super) fn forget(&self, device: &DeviceId) {
        self.lock().remove(device);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Weak<S>>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_session_is_not_found() {
        let (sessions, shop) = (Sessions::default(), "shop".parse::<DeviceId>().unwrap());
        let session = Arc::new(5);
        sessions.add(shop.clone(), &session);
        assert_eq!(sessions.of(&shop).as_deref(), Some(&5));
        drop(session);
        assert!(sessions.of(&shop).is_none());
        sessions.add("till".parse().unwrap(), &Arc::new(6));
        assert_eq!(sessions.lock().len(), 1, "ended sessions are removed");
        sessions.forget(&"till".parse().unwrap());
        assert!(sessions.lock().is_empty());
    }
}
