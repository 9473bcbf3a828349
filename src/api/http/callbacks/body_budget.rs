//! The memory that callbacks may take before anybody knows whether they are signed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ids::DeviceId;

/// Bytes of all callbacks that are being read or taken in.
const IN_ALL: usize = 64 * 1024 * 1024;
/// The same of one device, so that nobody fills the room of the others.
const OF_ONE: usize = 24 * 1024 * 1024;

/// How much is taken, by whom.
#[derive(Debug, Clone, Default)]
pub struct CallbackBudget(Arc<Mutex<HashMap<DeviceId, usize>>>);

/// A part of it, given back when dropped.
#[derive(Debug)]
pub struct BudgetPermit {
    room: CallbackBudget,
    device: DeviceId,
    bytes: usize,
}

impl CallbackBudget {
    /// Takes so many bytes for a callback of this device; `None` where there is no room now.
    pub fn take(&self, device: &DeviceId, bytes: usize) -> Option<BudgetPermit> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(device).copied().unwrap_or_default();
        if own + bytes > OF_ONE || taken.values().sum::<usize>() + bytes > IN_ALL {
            return None;
        }
        taken.insert(device.clone(), own + bytes);
        Some(BudgetPermit { room: self.clone(), device: device.clone(), bytes })
    }
}

impl Drop for BudgetPermit {
    fn drop(&mut self) {
        let mut taken = self.room.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.get(&self.device).map_or(0, |bytes| bytes.saturating_sub(self.bytes));
        if left == 0 {
            taken.remove(&self.device);
        } else {
            taken.insert(self.device.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_device_leaves_room_for_the_others_and_gets_its_own_back() {
        let room = CallbackBudget::default();
        let (shop, till) = ("shop".parse().unwrap(), "till".parse().unwrap());
        let first = room.take(&shop, OF_ONE - 10).unwrap();
        assert!(room.take(&shop, 11).is_none());
        let small = room.take(&shop, 10).unwrap();
        assert!(room.take(&till, OF_ONE).is_some());
        drop((first, small));
        assert!(room.0.lock().unwrap().is_empty());
        let _all = room.take(&shop, OF_ONE).unwrap();
        let devices: Vec<DeviceId> = (0..3).map(|n| format!("d{n}").parse().unwrap()).collect();
        let taken: Vec<_> = devices.iter().filter_map(|device| room.take(device, OF_ONE)).collect();
        assert_eq!(taken.len(), 1, "64 MiB in all");
    }
}
