//! What an account's devices share: its address book, and what was done to chats and messages. Read in full once
//! after the link, and again where the library passed a change over.
//!
//! The library reads all of it after the link only in the very client that was linked, or where the account has no
//! name yet (`whatsapp-rust` 0.7.0, `client/node_io.rs`, `needs_initial_full_sync`); ours is another client by then.
//! A change that is announced while its collection is being read it passes over, and says so
//! (`Event::AppStateSyncFailed`, `skipped`). Reading what is known already changes nothing.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, Notify};
use whatsapp_rust::sync_task::MajorSyncTask;
use whatsapp_rust::types::events::Event;
use whatsapp_rust::wacore::appstate::patch_decode::WAPatchName;

use super::boxed::erased;
use super::connection_context::Connected;
use super::event_pump::Flow;
use crate::domain::vault::VaultBatch;
use crate::engine::VaultError;

/// Where the vault has the names of the collections that were read in full.
const SPACE: &str = "app_state";
/// All there are. Names in the address book come first.
const ALL: [WAPatchName; 5] = [
    WAPatchName::CriticalUnblockLow,
    WAPatchName::CriticalBlock,
    WAPatchName::RegularLow,
    WAPatchName::RegularHigh,
    WAPatchName::Regular,
];
/// Those that speak of chats and messages.
const OF_CHATS: [WAPatchName; 2] = [WAPatchName::RegularLow, WAPatchName::RegularHigh];

/// What of it is to be read once more.
#[derive(Default)]
pub(super) struct Owed {
    /// At most all of them.
    changed: Mutex<Vec<WAPatchName>>,
    told: Notify,
    /// How often chats came that were not here before. Held while the vault is told what was read, so that what
    /// was read before is not taken for read after.
    chats_came: AsyncMutex<u64>,
}

impl Owed {
    fn note(&self, name: WAPatchName) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if ALL.contains(&name) && !changed.contains(&name) {
            changed.push(name);
        }
        self.told.notify_one();
    }

    fn next(&self) -> Option<WAPatchName> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// Notes what the library passed over.
pub(super) fn heard(connected: &Connected, event: &Event) {
    let Event::AppStateSyncFailed(told) = event else { return };
    told.skipped.iter().filter_map(|name| name.parse().ok()).for_each(|name| connected.owed.note(name));
}

/// The phone has told the past: what was done to chats that were not here before is read again.
pub(super) async fn past_is_told(connected: &Connected) {
    let mut batch = VaultBatch::new();
    OF_CHATS.iter().for_each(|name| batch.remove(SPACE, name.as_str()));
    let mut came = connected.owed.chats_came.lock().await;
    *came += 1;
    if let Err(error) = connected.vault.apply(batch).await {
        tracing::warn!(device = %connected.device, %error, "what was done to chats may not be read again");
    }
    connected.owed.told.notify_one();
}

/// Reads what is to be read, for as long as the connection stands. A task of its own: what is being taken in may wait
/// for it.
pub(super) async fn keep(connected: Arc<Connected>, flow: Arc<Flow>) {
    connected.open.cancelled().await;
    loop {
        for name in ALL {
            if let Err(error) = in_full_once(&connected, &flow, name).await {
                tracing::warn!(device = %connected.device, %error, "what the account's devices share is read again with the next connection");
            }
        }
        while let Some(name) = connected.owed.next() {
            read(&connected, name, false).await;
        }
        connected.owed.told.notified().await;
    }
}

async fn in_full_once(connected: &Connected, flow: &Flow, name: WAPatchName) -> Result<(), VaultError> {
    if connected.vault.get(SPACE, name.as_str()).await?.is_some() {
        return Ok(());
    }
    let came = *connected.owed.chats_came.lock().await;
    read(connected, name, true).await;
    // Only once it is taken in: a kill before this line has it read again.
    flow.settled().await;
    let backend = connected.client.persistence_manager().backend();
    let known = backend.get_version(name.as_str()).await.is_ok_and(|state| state.version > 0);
    let now = connected.owed.chats_came.lock().await;
    if known && connected.client.is_connected() && (*now == came || !OF_CHATS.contains(&name)) {
        connected.vault.put(SPACE, name.as_str(), Some(Vec::new())).await?;
    }
    Ok(())
}

/// Reads a collection. What cannot be had now the library asks for again by itself.
async fn read(connected: &Connected, name: WAPatchName, full_sync: bool) {
    let task = MajorSyncTask::AppStateSync { name, full_sync };
    // Its room is taken only while it runs.
    erased(connected.client.process_sync_task(task)).await;
}
