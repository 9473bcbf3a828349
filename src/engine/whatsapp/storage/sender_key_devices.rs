//! Which devices have the sender key of a group: kept by group for sending, and by device for forgetting one.

use wacore::store::error::Result;

use super::VaultBackend;
use super::spaces::{SENDER_KEY_DEVICES, SENDER_KEY_GROUPS, first, joined, last_part};
use crate::domain::vault::VaultBatch;
use crate::engine::VaultView;

impl VaultBackend {
    pub(super) async fn key_devices(&self, group: &str) -> Result<Vec<(String, bool)>> {
        let all = self.list(SENDER_KEY_DEVICES, &first(group)).await?;
        Ok(all.into_iter().map(|(key, value)| (last_part(&key), value == HAS_KEY)).collect())
    }

    pub(super) async fn set_key_devices(&self, group: &str, entries: &[(&str, bool)]) -> Result<()> {
        let mut batch = VaultBatch::new();
        for (device, has_key) in entries {
            let value = if *has_key { HAS_KEY } else { NEEDS_KEY };
            batch.put(SENDER_KEY_DEVICES, joined(&[group, device]), value);
            batch.put(SENDER_KEY_GROUPS, joined(&[device, group]), []);
        }
        self.apply(batch).await
    }

    pub(super) async fn clear_key_devices(&self, group: &str) -> Result<()> {
        let group = group.to_owned();
        self.update(move |view, batch| {
            for (key, _) in listed(view, SENDER_KEY_DEVICES, &first(&group))? {
                batch.remove(SENDER_KEY_GROUPS, joined(&[&last_part(&key), &group]));
            }
            batch.remove_prefix(SENDER_KEY_DEVICES, first(&group));
            Ok(())
        })
        .await
    }

    pub(super) async fn forget_key_devices(&self, devices: &[&str]) -> Result<()> {
        if devices.is_empty() {
            return Ok(());
        }
        let devices: Vec<String> = devices.iter().map(|device| (*device).to_owned()).collect();
        self.update(move |view, batch| {
            for device in devices {
                for (key, _) in listed(view, SENDER_KEY_GROUPS, &first(&device))? {
                    batch.remove(SENDER_KEY_DEVICES, joined(&[&last_part(&key), &device]));
                }
                batch.remove_prefix(SENDER_KEY_GROUPS, first(&device));
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn clear_all_key_devices(&self) -> Result<()> {
        let mut batch = VaultBatch::new();
        batch.remove_space(SENDER_KEY_DEVICES);
        batch.remove_space(SENDER_KEY_GROUPS);
        self.apply(batch).await
    }
}

const HAS_KEY: [u8; 1] = [1];
const NEEDS_KEY: [u8; 1] = [0];

fn listed(view: &dyn VaultView, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
    view.list(space, prefix).map_err(super::failed)
}
