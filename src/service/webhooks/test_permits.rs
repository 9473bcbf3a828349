//! Limits the tests of webhooks that run at once, in all and per device, so that the slow receivers of one device do
//! not keep others from testing.
//!
//! Invariant: a device without a running test has no entry.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::ids::DeviceId;
use crate::service::ServiceError;

/// The running tests.
pub(super) struct WebhookTests {
    max: usize,
    max_per_device: usize,
    running: Mutex<RunningTests>,
}

#[derive(Default)]
struct RunningTests {
    all: usize,
    /// `None` has the tests of webhooks for all devices.
    by_device: HashMap<Option<DeviceId>, usize>,
}

/// A running test, until it is dropped.
pub(super) struct WebhookTestPermit {
    tests: Arc<WebhookTests>,
    device: Option<DeviceId>,
}

impl WebhookTests {
    pub(super) fn new(max: usize, max_per_device: usize) -> Arc<Self> {
        Arc::new(Self { max, max_per_device, running: Mutex::default() })
    }

    /// Admits a test of a webhook of this device.
    pub(super) fn admit(
        self: &Arc<Self>,
        device: Option<DeviceId>,
    ) -> Result<WebhookTestPermit, ServiceError> {
        let mut running = self.running.lock();
        if running.by_device.get(&device).copied().unwrap_or(0) >= self.max_per_device {
            return Err(ServiceError::TooManyTestsOfDevice(self.max_per_device));
        }
        if running.all >= self.max {
            return Err(ServiceError::TooManyTests(self.max));
        }
        running.all += 1;
        *running.by_device.entry(device.clone()).or_default() += 1;
        Ok(WebhookTestPermit { tests: Arc::clone(self), device })
    }
}

impl Drop for WebhookTestPermit {
    fn drop(&mut self) {
        let mut running = self.tests.running.lock();
        running.all = running.all.saturating_sub(1);
        if let Some(count) = running.by_device.get_mut(&self.device) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                running.by_device.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_limited_in_all_and_per_device() {
        let tests = WebhookTests::new(3, 2);
        let admit = |device: &str| tests.admit(Some(device.parse().unwrap()));
        let (one, _two) = (admit("a").unwrap(), admit("a").unwrap());
        assert!(matches!(admit("a").map(drop), Err(ServiceError::TooManyTestsOfDevice(2))));
        let _other = tests.admit(None).unwrap();
        assert!(matches!(admit("b").map(drop), Err(ServiceError::TooManyTests(3))));
        drop(one);
        drop(admit("b").unwrap());
        assert_eq!(tests.running.lock().by_device.len(), 2);
    }
}
