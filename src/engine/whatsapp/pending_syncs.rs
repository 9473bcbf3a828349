//! Schedules collections of the app state that must be read again. A collection is scheduled at most once.

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use whatsapp_rust::wacore::appstate::patch_decode::WAPatchName;

/// Collections that must be read again.
#[derive(Default)]
pub(super) struct PendingSyncs {
    /// Without duplicates, so at most one entry for each collection.
    changed: Mutex<Vec<WAPatchName>>,
    /// Notified when a collection is scheduled.
    pub(super) wakeup: Notify,
    /// Number of imports that added chats. Locked while the vault records a collection as read, so that an
    /// earlier read is not recorded after a later import.
    pub(super) chat_imports: AsyncMutex<u64>,
}

impl PendingSyncs {
    /// Schedules a collection.
    pub(super) fn record(&self, name: WAPatchName) {
        let mut changed = self.changed.lock();
        if !changed.contains(&name) {
            changed.push(name);
        }
        self.wakeup.notify_one();
    }

    /// Removes and returns a scheduled collection.
    pub(super) fn next(&self) -> Option<WAPatchName> {
        self.changed.lock().pop()
    }
}
