//! What the engines whose network is an upstream REST API have in common.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{InboundError, SessionEnd};
use crate::domain::ids::DeviceId;
use crate::domain::reason::Reason;
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
    pub fn callback_url(&self, device: &DeviceId) -> String {
        format!("{}/hooks/{device}", self.public_url)
    }

    /// Says so where a device is called back, and nothing says where.
    pub(super) fn warn_without_address(&self, device: &DeviceId) {
        if self.public_url.is_empty() {
            tracing::warn!(%device, "this device hears by callbacks, and server.public_url is not set: the upstream must reach <public address>/hooks/<device id>, else nothing comes in");
        }
    }
}

/// The session of each device, for what comes in for it.
pub(super) struct Sessions<S>(Mutex<HashMap<DeviceId, Weak<S>>>);

impl<S> Default for Sessions<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S> Sessions<S> {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceId, Weak<S>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In place of the one before it.
    pub(super) fn add(&self, device: DeviceId, session: &Arc<S>) {
        let mut all = self.lock();
        all.retain(|_, session| session.strong_count() > 0);
        all.insert(device, Arc::downgrade(session));
    }

    /// The one that is there now.
    pub(super) fn of(&self, device: &DeviceId) -> Option<Arc<S>> {
        self.lock().get(device)?.upgrade()
    }

    /// The device is gone.
    pub(super) fn forget(&self, device: &DeviceId) {
        self.lock().remove(device);
    }
}

/// How a session ends whose news the daemon did not take.
pub(super) fn not_taken(device: &DeviceId, error: InboundError) -> SessionEnd {
    match error {
        InboundError::Gone => SessionEnd::Closed,
        InboundError::Store(source) => {
            tracing::warn!(%device, error = %source, "the daemon did not take an event");
            SessionEnd::LinkLost(Reason::EngineError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_until_it_is_gone() {
        let (sessions, shop) = (Sessions::default(), "shop".parse::<DeviceId>().unwrap());
        let session = Arc::new(5);
        sessions.add(shop.clone(), &session);
        assert_eq!(sessions.of(&shop).as_deref(), Some(&5));
        drop(session);
        assert!(sessions.of(&shop).is_none());
        sessions.add("till".parse().unwrap(), &Arc::new(6));
        assert_eq!(sessions.lock().len(), 1, "what is gone is not kept");
        sessions.forget(&"till".parse().unwrap());
        assert!(sessions.lock().is_empty());
    }
}
