//! Device records in memory, so that the status of a device costs no query.
//!
//! Invariant: a record is removed before the answer to the write that changed its device, and a read that began before
//! that write does not bring it back.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::device::Device;
use crate::domain::ids::DeviceId;

/// At most one record for each device that was read since its last change.
#[derive(Default)]
pub(super) struct DeviceRecords {
    records: Mutex<Records>,
}

#[derive(Default)]
struct Records {
    by_id: HashMap<DeviceId, Arc<Device>>,
    /// Counts the changes of devices.
    changes: u64,
}

/// The number of changes before a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChangeCount(u64);

impl DeviceRecords {
    /// The record of a device, or the count to keep the result of a read with.
    pub(super) fn get(&self, id: &DeviceId) -> Result<Arc<Device>, ChangeCount> {
        let records = self.records.lock();
        records.by_id.get(id).cloned().ok_or(ChangeCount(records.changes))
    }

    /// Keeps the result of a read, unless a device changed since it began.
    pub(super) fn keep(&self, began: ChangeCount, device: &Arc<Device>) {
        let mut records = self.records.lock();
        if records.changes == began.0 {
            records.by_id.insert(device.id.clone(), device.clone());
        }
    }

    /// Removes the records of devices that a commit changed.
    pub(super) fn remove(&self, changed: &[DeviceId]) {
        if changed.is_empty() {
            return;
        }
        let mut records = self.records.lock();
        records.changes += 1;
        for id in changed {
            records.by_id.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Millis;
    use crate::domain::state::State;

    fn device() -> Arc<Device> {
        Arc::new(Device {
            id: "shop".parse().unwrap(),
            name: "Shop".to_owned(),
            engine: "simulator".to_owned(),
            settings: serde_json::Map::new(),
            declared: Vec::new(),
            state: State::Created,
            account: None,
            last_seen: None,
            created_at: Millis(1),
        })
    }

    #[test]
    fn kept_record_is_returned_until_its_device_changes() {
        let (records, device) = (DeviceRecords::default(), device());
        let began = records.get(&device.id).unwrap_err();
        records.keep(began, &device);
        assert_eq!(records.get(&device.id).unwrap(), device);
        records.remove(std::slice::from_ref(&device.id));
        assert!(records.get(&device.id).is_err());
    }

    #[test]
    fn read_that_began_before_a_change_is_not_kept() {
        let (records, device) = (DeviceRecords::default(), device());
        let began = records.get(&device.id).unwrap_err();
        records.remove(std::slice::from_ref(&device.id));
        records.keep(began, &device);
        assert!(records.get(&device.id).is_err());
    }
}
