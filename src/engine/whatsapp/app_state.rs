//! Reads the collections that an account's devices share: the address book and changes to chats and messages.
//! Each is read in full once after linking, and again where the library skipped a change.
//!
//! The library reads all of them only in the client that was linked, or if the account has no name yet
//! (`whatsapp-rust` 0.7.0, `client/node_io.rs`, `needs_initial_full_sync`); our next connection has another
//! client. It skips a change that is announced while its collection is being read, and reports it
//! (`Event::AppStateSyncFailed`, `skipped`). Reading a collection twice changes nothing.

use std::sync::Arc;

use whatsapp_rust::sync_task::MajorSyncTask;
use whatsapp_rust::types::events::Event;
use whatsapp_rust::wacore::appstate::patch_decode::WAPatchName;

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::event_queue::InboundProgress;
use crate::domain::vault::VaultBatch;
use crate::engine::VaultError;

/// Vault space: names of the collections that were read in full.
const SPACE: &str = "app_state";
/// All collections; names of contacts come first.
const ALL: [WAPatchName; 5] = [
    WAPatchName::CriticalUnblockLow,
    WAPatchName::CriticalBlock,
    WAPatchName::RegularLow,
    WAPatchName::RegularHigh,
    WAPatchName::Regular,
];
/// Collections with changes to chats and messages.
const OF_CHATS: [WAPatchName; 2] = [WAPatchName::RegularLow, WAPatchName::RegularHigh];

/// Records the collections in which the library skipped a change.
pub(super) fn on_event(context: &ConnectionContext, event: &Event) {
    let Event::AppStateSyncFailed(failure) = event else { return };
    failure
        .skipped
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(|name| ALL.contains(name))
        .for_each(|name| context.pending_syncs.record(name));
}

/// Schedules a second read of changes to chats: the history sync added chats that the first read did
/// not find.
pub(super) async fn on_history_complete(context: &ConnectionContext) {
    let mut batch = VaultBatch::new();
    OF_CHATS.iter().for_each(|name| batch.remove(SPACE, name.as_str()));
    let mut imports = context.pending_syncs.chat_imports.lock().await;
    *imports += 1;
    if let Err(error) = context.vault.apply(batch).await {
        tracing::warn!(device = %context.device, %error, "could not schedule another read of chat changes");
    }
    context.pending_syncs.wakeup.notify_one();
}

/// Reads due collections until the connection ends. Runs in its own task, because an event that is being
/// ingested may wait for it.
pub(super) async fn run(context: Arc<ConnectionContext>, progress: Arc<InboundProgress>) {
    context.open.cancelled().await;
    loop {
        for name in ALL {
            if let Err(error) = sync_once(&context, &progress, name).await {
                tracing::warn!(device = %context.device, %error, "app state not read; retrying with the next connection");
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
    // Only after ingesting: a kill before this line repeats the read.
    progress.wait_until_ingested().await;
    let backend = context.client.persistence_manager().backend();
    let is_synced = backend.get_version(name.as_str()).await.is_ok_and(|state| state.version > 0);
    let now = context.pending_syncs.chat_imports.lock().await;
    if is_synced && context.client.is_connected() && (*now == imports || !OF_CHATS.contains(&name)) {
        context.vault.put(SPACE, name.as_str(), Some(Vec::new())).await?;
    }
    Ok(())
}

/// Reads a collection; the library retries by itself if that fails.
async fn sync(context: &ConnectionContext, name: WAPatchName, full_sync: bool) {
    let task = MajorSyncTask::AppStateSync { name, full_sync };
    // Boxed, so that its memory is held only while it runs.
    boxed(context.client.process_sync_task(task)).await;
}
