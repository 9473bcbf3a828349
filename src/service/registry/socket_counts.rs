//! Counts the sockets of each device.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::ids::DeviceId;

/// The number of sockets by device; devices without sockets have no entry.
#[derive(Debug, Clone, Default)]
pub struct SocketCounts(Arc<Mutex<HashMap<DeviceId, i64>>>);

/// Counts a socket until it is dropped.
#[derive(Debug)]
pub struct SocketPermit {
    counts: SocketCounts,
    device: DeviceId,
}

impl SocketCounts {
    /// Counts a socket of this device.
    #[must_use]
    pub fn add(&self, device: &DeviceId) -> SocketPermit {
        *self.0.lock().entry(device.clone()).or_default() += 1;
        SocketPermit { counts: self.clone(), device: device.clone() }
    }

    /// The sockets of these devices.
    #[must_use]
    pub fn of(&self, devices: &[DeviceId]) -> i64 {
        let counts = self.0.lock();
        devices.iter().filter_map(|device| counts.get(device)).sum()
    }
}

impl Drop for SocketPermit {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock();
        if let Some(count) = counts.get_mut(&self.device) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_sockets_leave_no_entry() {
        let counts = SocketCounts::default();
        let (shop, home): (DeviceId, DeviceId) = ("shop".parse().unwrap(), "home".parse().unwrap());
        let (one, two, three) = (counts.add(&shop), counts.add(&shop), counts.add(&home));
        assert_eq!((counts.of(std::slice::from_ref(&shop)), counts.of(&[shop.clone(), home])), (2, 3));
        drop(one);
        assert_eq!(counts.of(&[shop]), 1);
        drop((two, three));
        assert!(counts.0.lock().is_empty());
    }
}
