//! The current generation of each device id. A grant of a deleted device has an older generation and permits nothing.
//!
//! Invariant: a new device with the id of a deleted one is stored only after the new generation is stored here.

use std::collections::HashMap;

use parking_lot::RwLock;

use crate::domain::access::{ApiKey, Grant, GrantedDevice};
use crate::domain::ids::DeviceId;

/// The generations other than 0.
#[derive(Debug, Default)]
pub(super) struct DeviceGenerations(RwLock<HashMap<DeviceId, i64>>);

impl DeviceGenerations {
    pub(super) fn new(stored: Vec<(DeviceId, i64)>) -> Self {
        Self(RwLock::new(stored.into_iter().collect()))
    }

    pub(super) fn of(&self, id: &DeviceId) -> i64 {
        self.0.read().get(id).copied().unwrap_or(0)
    }

    pub(super) fn begin(&self, id: &DeviceId, generation: i64) {
        self.0.write().insert(id.clone(), generation);
    }

    pub(super) fn granted(&self, ids: Vec<DeviceId>) -> Vec<GrantedDevice> {
        ids.into_iter().map(|id| GrantedDevice { generation: self.of(&id), id }).collect()
    }

    /// The ids of the granted devices that are not deleted.
    pub(super) fn current(&self, granted: &[GrantedDevice]) -> Vec<DeviceId> {
        let generations = self.0.read();
        let is_current =
            |device: &&GrantedDevice| generations.get(&device.id).copied().unwrap_or(0) == device.generation;
        granted.iter().filter(is_current).map(|device| device.id.clone()).collect()
    }

    /// The permissions of a key, without its deleted devices.
    pub(super) fn grant_of(&self, key: &ApiKey) -> Grant {
        Grant {
            scopes: key.scopes.clone(),
            devices: key.devices.as_ref().map(|granted| self.current(granted)),
        }
    }
}
