//! Dirty set of devices with new log entries; a hint to read the log, without the entries.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::ids::DeviceId;

/// Bounded by the number of devices.
#[derive(Debug, Default)]
pub(in crate::store) struct DirtyLogs {
    grown: Mutex<BTreeSet<DeviceId>>,
    some: Notify,
}

impl DirtyLogs {
    pub(in crate::store) fn add<'a>(&self, devices: impl Iterator<Item = &'a DeviceId>) {
        let mut grown = self.grown.lock();
        let before = grown.len();
        for device in devices {
            if !grown.contains(device) {
                grown.insert(device.clone());
            }
        }
        if grown.len() > before {
            self.some.notify_one();
        }
    }

    /// Empties the set.
    pub(in crate::store) fn clear(&self) {
        self.grown.lock().clear();
    }

    /// Waits until the set is not empty and takes it. For one caller at a time; dropping the future loses
    /// nothing.
    pub(in crate::store) async fn take(&self) -> BTreeSet<DeviceId> {
        loop {
            let taken = std::mem::take(&mut *self.grown.lock());
            if !taken.is_empty() {
                return taken;
            }
            self.some.notified().await;
        }
    }
}
