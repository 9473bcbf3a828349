//! Dirty set of all devices' logs, for the one reader that follows them together. Without that reader it is empty.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dirty_logs::DirtyLogs;
use crate::domain::ids::DeviceId;

/// Bounded by the number of devices.
#[derive(Debug, Default)]
pub(in crate::store) struct AllLogs {
    is_followed: AtomicBool,
    dirty: DirtyLogs,
}

impl AllLogs {
    /// Starts or stops the collection. A stop empties the set.
    pub(in crate::store) fn set_followed(&self, is_followed: bool) {
        self.is_followed.store(is_followed, Ordering::SeqCst);
        if !is_followed {
            self.dirty.clear();
        }
    }

    pub(in crate::store) fn add<'a>(&self, devices: impl Iterator<Item = &'a DeviceId>) {
        if self.is_followed.load(Ordering::SeqCst) {
            self.dirty.add(devices);
        }
    }

    /// Like [`DirtyLogs::take`].
    pub(in crate::store) async fn take(&self) -> BTreeSet<DeviceId> {
        self.dirty.take().await
    }
}
