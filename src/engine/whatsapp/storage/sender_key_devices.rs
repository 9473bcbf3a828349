//! Which devices have the sender key of a group, by group for sending and by device for removal.
//!
//! A group lists its members' devices by phone number or by LID. A device that requests the key again is
//! recorded by its LID if that is available (`whatsapp-rust` 0.7.0, `retry.rs`,
//! `update_local_signal_session`, which records the session's address; `client/lid_pn.rs`,
//! `resolve_encryption_jid`). In a group that uses phone numbers this record would match no member, who would
//! never get the key. A device that needs the key therefore needs it under both ids. For the same reason the
//! library's cache of this is off (`client.rs`).

use wacore::store::error::Result;
use wacore::store::traits::LidPnMappingEntry;
use whatsapp_rust::Jid;

use super::spaces::{LIDS, LIDS_BY_NUMBER, SENDER_KEY_DEVICES, SENDER_KEY_GROUPS, first, joined, last_part};
use super::{VaultBackend, decoded, failed};
use crate::domain::vault::VaultBatch;
use crate::engine::VaultView;

impl VaultBackend {
    pub(super) async fn key_devices(&self, group: &str) -> Result<Vec<(String, bool)>> {
        let all = self.list(SENDER_KEY_DEVICES, &first(group)).await?;
        Ok(all.into_iter().map(|(key, value)| (last_part(&key), value == HAS_KEY)).collect())
    }

    pub(super) async fn set_key_devices(&self, group: &str, entries: &[(&str, bool)]) -> Result<()> {
        let group = group.to_owned();
        let entries: Vec<_> = entries.iter().map(|(device, has)| ((*device).to_owned(), *has)).collect();
        self.update(move |view, batch| {
            for (device, has_key) in &entries {
                let value = if *has_key { HAS_KEY } else { NEEDS_KEY };
                batch.put(SENDER_KEY_DEVICES, joined(&[&group, device]), value);
                batch.put(SENDER_KEY_GROUPS, joined(&[device, &group]), []);
                if *has_key {
                    continue;
                }
                let Some(other) = alias_of(view, device)? else { continue };
                let key = joined(&[&group, &other]);
                if view.get(SENDER_KEY_DEVICES, &key).map_err(failed)?.is_some() {
                    batch.put(SENDER_KEY_DEVICES, key, NEEDS_KEY);
                }
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn clear_key_devices(&self, group: &str) -> Result<()> {
        let group = group.to_owned();
        self.update(move |view, batch| {
            for (key, _) in list(view, SENDER_KEY_DEVICES, &first(&group))? {
                batch.remove(SENDER_KEY_GROUPS, joined(&[&last_part(&key), &group]));
            }
            batch.remove_prefix(SENDER_KEY_DEVICES, first(&group));
            Ok(())
        })
        .await
    }

    pub(super) async fn remove_key_devices(&self, devices: &[&str]) -> Result<()> {
        if devices.is_empty() {
            return Ok(());
        }
        let devices: Vec<String> = devices.iter().map(|device| (*device).to_owned()).collect();
        self.update(move |view, batch| {
            for device in &devices {
                for (key, _) in list(view, SENDER_KEY_GROUPS, &first(device))? {
                    batch.remove(SENDER_KEY_DEVICES, joined(&[&last_part(&key), device]));
                }
                batch.remove_prefix(SENDER_KEY_GROUPS, first(device));
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

/// The device's id by phone number for one by LID, and vice versa.
fn alias_of(view: &dyn VaultView, device: &str) -> Result<Option<String>> {
    let Ok(device) = device.parse::<Jid>() else { return Ok(None) };
    if device.is_lid() {
        let Some(entry) = view.get(LIDS, &device.user).map_err(failed)? else { return Ok(None) };
        let number = decoded::<LidPnMappingEntry>(&entry)?.phone_number;
        return Ok(Some(Jid::pn_device(number, device.device).to_string()));
    }
    let lid = view.get(LIDS_BY_NUMBER, &device.user).map_err(failed)?;
    Ok(lid.map(|lid| Jid::lid_device(String::from_utf8_lossy(&lid).into_owned(), device.device).to_string()))
}

fn list(view: &dyn VaultView, space: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
    view.list(space, prefix).map_err(super::failed)
}
