//! The state that all sessions of the engine share; it does not change while the daemon runs, except
//! for the testbed's.

use crate::net::GuardedClient;

/// State that all sessions share.
pub(super) struct DriverState {
    /// The client for HTTP requests.
    pub(super) http: GuardedClient,
    #[cfg(feature = "testbed")]
    /// The testbed that replaces the network.
    pub(super) testbed: Option<url::Url>,
    #[cfg(feature = "testbed")]
    /// The testbed state of each device.
    pub(super) testbed_devices: super::testbed::TestbedDevices,
}
