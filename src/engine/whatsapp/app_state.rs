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

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::event_pump::InboundProgress;
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
pub(super) struct PendingSyncs {
    /// At most all of them.
    changed: Mutex<Vec<WAPatchName>>,
    wakeup: Notify,
    /// How often chats came that were not here before. Held while the vault is told what was read, so that what
    /// was read before is not taken for read after.
    chat_imports: AsyncMutex<u64>,
}

impl PendingSyncs {
    fn record(&self, name: WAPatchName) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if ALL.contains(&name) && !changed.contains(&name) {
            changed.push(name);
        }
        self.wakeup.notify_one();
    }

    fn next(&self) -> Option<WAPatchName> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// Notes what the library passed over.
pub(super) fn on_event(context: &ConnectionContext, event: &Event) {
    let Event::AppStateSyncFailed(failure) = event else { return };
    failure
        .skipped
        .iter()
        .filter_map(|name| name.parse().ok())
        .for_each(|name| context.pending_syncs.record(name));
}

/// The phone has told the past: what was done to chats that were not here before is read again.
pub(super) async fn on_history_complete(context: &ConnectionContext) {
    let mut batch = VaultBatch::new();
    OF_CHATS.iter().for_each(|name| batch.remove(SPACE, name.as_str()));
    let mut imports = context.pending_syncs.chat_imports.lock().await;
    *imports += 1;
    if let Err(error) = context.vault.apply(batch).await {
        tracing::warn!(device = %context.device, %error, "what was done to chats may not be read again");
    }
    context.pending_syncs.wakeup.notify_one();
}

/// Reads what is to be read, for as long as the connection stands. A task of its own: what is being taken in may wait
/// for it.
pub(super) async fn run(context: Arc<ConnectionContext>, progress: Arc<InboundProgress>) {
    context.open.cancelled().await;
    loop {
        for name in ALL {
            if let Err(error) = sync_once(&context, &progress, name).await {
                tracing::warn!(device = %context.device, %error, "what the account's devices share is read again with the next connection");
            }
        }
        while let Some(name) = context.pending_syncs.next() {
            sync(&context, name, false).await;
        }
        context.pending_syncs.wakeup.notified().await;
    }
}

async fn sync_once(
    context: &ConnectionContext,
    progress: &InboundProgress,
    name: WAPatchName,
) -> Result<(), VaultError> {
    if context.vault.get(SPACE, name.as_str()).await?.is_some() {
        return Ok(());
    }
    let imports = *context.pending_syncs.chat_imports.lock().await;
    sync(context, name, true).await;
    // Only once it is taken in: a kill before this line has it read again.
    progress.wait_until_ingested().await;
    let backend = context.client.persistence_manager().backend();
    let is_synced = backend.get_version(name.as_str()).await.is_ok_and(|state| state.version > 0);
    let now = context.pending_syncs.chat_imports.lock().await;
    if is_synced && context.client.is_connected() && (*now == imports || !OF_CHATS.contains(&name)) {
        context.vault.put(SPACE, name.as_str(), Some(Vec::new())).await?;
    }
    Ok(())
}

/// Reads a collection. What cannot be had now the library asks for again by itself.
async fn sync(context: &ConnectionContext, name: WAPatchName, full_sync: bool) {
    let task = MajorSyncTask::AppStateSync { name, full_sync };
    // Its room is taken only while it runs.
    boxed(context.client.process_sync_task(task)).await;
}
