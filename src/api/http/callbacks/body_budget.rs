//! Limits the memory of callbacks whose signature is not verified yet: 64 MiB in all, 24 MiB for one device.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::ids::DeviceId;
use parking_lot::Mutex;

/// Bytes of all callbacks in progress.
const IN_ALL: usize = 64 * 1024 * 1024;
/// Bytes of one device's callbacks, so that one device does not block the others.
const OF_ONE: usize = 24 * 1024 * 1024;

/// The acquired bytes by device.
#[derive(Debug, Clone, Default)]
pub struct CallbackBudget(Arc<Mutex<HashMap<DeviceId, usize>>>);

/// Acquired bytes, released on drop.
#[derive(Debug)]
pub struct BudgetPermit {
    budget: CallbackBudget,
    device: DeviceId,
    bytes: usize,
}

impl CallbackBudget {
    /// Acquires bytes for a callback of this device; `None` when the budget is exhausted.
    pub fn acquire(&self, device: &DeviceId, bytes: usize) -> Option<BudgetPermit> {
        let mut taken = self.0.lock();
        let own = taken.get(device).copied().unwrap_or_default();
        if own + bytes > OF_ONE || taken.values().sum::<usize>() + bytes > IN_ALL {
            return None;
        }
        taken.insert(device.clone(), own + bytes);
        Some(BudgetPermit { budget: self.clone(), device: device.clone(), bytes })
    }
}

impl Drop for BudgetPermit {
    fn drop(&mut self) {
        let mut taken = self.budget.0.lock();
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
    fn one_device_cannot_exhaust_the_budget_of_others() {
        let budget = CallbackBudget::default();
        let (shop, till) = ("shop".parse().unwrap(), "till".parse().unwrap());
        let first = budget.acquire(&shop, OF_ONE - 10).unwrap();
        assert!(budget.acquire(&shop, 11).is_none());
        let small = budget.acquire(&shop, 10).unwrap();
        assert!(budget.acquire(&till, OF_ONE).is_some());
        drop((first, small));
        assert!(budget.0.lock().is_empty());
        let _all = budget.acquire(&shop, OF_ONE).unwrap();
        let devices: Vec<DeviceId> = (0..3).map(|n| format!("d{n}").parse().unwrap()).collect();
        let taken: Vec<_> = devices.iter().filter_map(|device| budget.acquire(device, OF_ONE)).collect();
        assert_eq!(taken.len(), 1, "64 MiB in all");
    }
}
