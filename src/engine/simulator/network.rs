//! The simulated network: all devices and the ledger, which outlive sessions.
//!
//! A device is read from its vault at its first use. Delivered messages are in the ledger only.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use super::device::Device;
use super::journal_import;
use super::ledger::{Ledger, LedgerError};
use super::network_message::Quote;
use super::network_view::{self, LedgerEntry, NetworkView};
use super::storage::{Storage, StoredDevice};
use crate::domain::ids::DeviceId;
use crate::engine::{MediaStore, Quoted, Vault, VaultError};

/// All simulated devices.
pub(super) struct Network {
    devices: Mutex<HashMap<DeviceId, Arc<Device>>>,
    pub(super) ledger: Ledger,
    dir: PathBuf,
    /// Whether devices may have files of an earlier version.
    has_imports: bool,
}

impl Network {
    /// Opens the ledger in `dir`, which is created if it is missing.
    pub(super) fn open(dir: &Path, max_bytes: u64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        journal_import::convert(dir)?;
        let has_imports = journal_import::is_pending(dir);
        let ledger = Ledger::open(dir, max_bytes)?;
        Ok(Self { devices: Mutex::default(), ledger, dir: dir.to_owned(), has_imports })
    }

    /// The network's side of one device.
    pub(super) async fn device(
        &self,
        id: &DeviceId,
        vault: &Arc<dyn Vault>,
        media: &dyn MediaStore,
    ) -> Result<Arc<Device>, VaultError> {
        let device = {
            let mut devices = self.devices.lock();
            let new = || Arc::new(Device::new(id.clone(), Storage(Arc::clone(vault))));
            Arc::clone(devices.entry(id.clone()).or_insert_with(new))
        };
        device.load_with(self.stored(id, &device.storage, media)).await?;
        Ok(device)
    }

    async fn stored(
        &self,
        id: &DeviceId,
        storage: &Storage,
        media: &dyn MediaStore,
    ) -> Result<StoredDevice, VaultError> {
        if self.has_imports {
            journal_import::import(&self.dir, id, storage, media).await?;
        }
        storage.load().await
    }

    /// Clears the record of a device.
    pub(super) async fn clear_record(&self, id: &DeviceId) -> Result<(), LedgerError> {
        self.ledger.record(id, &LedgerEntry::Forgotten { everything: false }).await
    }

    /// Removes a deleted device; the daemon has cleared its vault.
    pub(super) async fn forget(&self, id: &DeviceId) -> Result<(), LedgerError> {
        let removed = self.devices.lock().remove(id);
        if let Some(device) = removed {
            device.drop_link().await;
        }
        if self.has_imports {
            journal_import::discard(&self.dir, id).await;
        }
        self.ledger.record(id, &LedgerEntry::Forgotten { everything: true }).await
    }

    /// The newest message that matches a quotation; `None` when the network no longer has it.
    pub(super) async fn quoted(&self, device: &Device, quote: Quote) -> Result<Option<Quoted>, LedgerError> {
        if let Some(quoted) = device.pending_quote(&quote) {
            return Ok(Some(quoted));
        }
        let me = device.me();
        let newest = move |found: &mut Option<Quoted>, kind: &str, line: &[u8]| {
            if let Some(quoted) = network_view::quoted(&quote, me.as_ref(), kind, line) {
                *found = Some(quoted);
            }
        };
        self.ledger.fold(&device.id, newest).await
    }

    /// The record of a device.
    pub(super) async fn view(&self, id: &DeviceId) -> Result<Value, LedgerError> {
        let view = self.ledger.fold(id, NetworkView::apply).await?;
        Ok(view.into_json())
    }
}
