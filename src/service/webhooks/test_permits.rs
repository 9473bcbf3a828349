//! Limits the tests of webhooks: those that run at once, in all and per device, and those of one device in a minute.
//! Slow receivers or frequent tests of one device do not keep others from testing.
//!
//! Invariant: a device without a test in the last minute has no entry.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::WebhookLimits;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::minute_window::MinuteWindow;
use crate::service::ServiceError;

/// The running tests.
pub(super) struct WebhookTests {
    max: usize,
    max_per_device: usize,
    max_per_minute: u64,
    running: Mutex<RunningTests>,
}

#[derive(Default)]
struct RunningTests {
    all: usize,
    /// `None` has the tests of webhooks for all devices.
    by_device: HashMap<Option<DeviceId>, DeviceTests>,
}

#[derive(Default)]
struct DeviceTests {
    running: usize,
    window: MinuteWindow,
}

/// A running test, until it is dropped.
pub(super) struct WebhookTestPermit {
    tests: Arc<WebhookTests>,
    device: Option<DeviceId>,
}

impl WebhookTests {
    pub(super) fn new(limits: &WebhookLimits) -> Arc<Self> {
        Arc::new(Self {
            max: limits.max_tests,
            max_per_device: limits.max_tests_per_device,
            max_per_minute: limits.max_tests_per_minute,
            running: Mutex::default(),
        })
    }

    /// Admits a test of a webhook of this device.
    pub(super) fn admit(
        self: &Arc<Self>,
        device: Option<DeviceId>,
        now: Millis,
    ) -> Result<WebhookTestPermit, ServiceError> {
        let mut running = self.running.lock();
        running.by_device.retain(|_, tests| tests.running > 0 || !tests.window.has_ended(now));
        if let Some(tests) = running.by_device.get(&device) {
            if tests.running >= self.max_per_device {
                return Err(ServiceError::TooManyTestsOfDevice(self.max_per_device));
            }
            if let Some(retry_after_seconds) = tests.window.wait_seconds(self.max_per_minute, now) {
                return Err(ServiceError::TestRateExceeded {
                    limit: self.max_per_minute,
                    retry_after_seconds,
                });
            }
        }
        if running.all >= self.max {
            return Err(ServiceError::TooManyTests(self.max));
        }
        running.all += 1;
        let tests = running.by_device.entry(device.clone()).or_default();
        tests.running += 1;
        tests.window.add(1, now);
        Ok(WebhookTestPermit { tests: Arc::clone(self), device })
    }
}

impl Drop for WebhookTestPermit {
    fn drop(&mut self) {
        let mut running = self.tests.running.lock();
        running.all = running.all.saturating_sub(1);
        if let Some(tests) = running.by_device.get_mut(&self.device) {
            tests.running = tests.running.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Millis = Millis(1_000_000);

    fn tests(max: usize, max_per_device: usize, max_per_minute: u64) -> Arc<WebhookTests> {
        Arc::new(WebhookTests { max, max_per_device, max_per_minute, running: Mutex::default() })
    }

    #[test]
    fn tests_are_limited_in_all_and_per_device() {
        let tests = tests(3, 2, 100);
        let admit = |device: &str| tests.admit(Some(device.parse().unwrap()), START);
        let (one, _two) = (admit("a").unwrap(), admit("a").unwrap());
        assert!(matches!(admit("a").map(drop), Err(ServiceError::TooManyTestsOfDevice(2))));
        let _other = tests.admit(None, START).unwrap();
        assert!(matches!(admit("b").map(drop), Err(ServiceError::TooManyTests(3))));
        drop(one);
        drop(admit("b").unwrap());
        assert_eq!(tests.running.lock().all, 2);
    }

    #[test]
    fn ended_tests_count_until_their_minute_is_over() {
        let tests = tests(8, 8, 2);
        let admit = |device: &str, now| tests.admit(Some(device.parse().unwrap()), now).map(drop);
        admit("a", START).unwrap();
        admit("a", START.plus(20_000)).unwrap();
        let refused = admit("a", START.plus(20_000)).unwrap_err();
        assert!(
            matches!(refused, ServiceError::TestRateExceeded { limit: 2, retry_after_seconds: 40 }),
            "{refused}"
        );
        admit("b", START.plus(20_000)).unwrap();
        admit("a", START.plus(60_000)).unwrap();
        assert_eq!(tests.running.lock().by_device.len(), 2);
        admit("c", START.plus(200_000)).unwrap();
        assert_eq!(tests.running.lock().by_device.len(), 1, "devices without a recent test have no entry");
    }
}
