//! Keeps the phone's announcements of history parts until the parts are ingested. One part is in
//! memory at a time.
//!
//! An announcement contains the location and key of a part. The library removes it from its message and
//! passes it on as a task (`whatsapp-rust` 0.7.0, `message/receive.rs`). It is stored here first, and the
//! message's acknowledgement waits for that (`history_queue`); then the library downloads the part. A
//! download that a kill or a lost link interrupted is repeated on the next connection from the stored
//! announcement. The library then does not update its own state from that part.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use whatsapp_rust::async_channel;
use whatsapp_rust::sync_task::MajorSyncTask;
use whatsapp_rust::types::events::LazyHistorySync;
use whatsapp_rust::wacore::history_sync::MAX_DECOMPRESSED;
use whatsapp_rust::wacore::messages::DetachedHistorySyncNotification;
use whatsapp_rust::waproto::buffa::Message as _;
use whatsapp_rust::waproto::whatsapp::message::HistorySyncNotification;

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::event_queue::InboundProgress;
use super::history;
use crate::domain::clock::Millis;
use crate::domain::vault::VaultBatch;
use crate::engine::{InboundError, VaultError};

/// Vault space, by message id.
const SPACE: &str = "history";
/// How long a download is retried, in ms: two weeks, as long as the network keeps the part.
const VALID: i64 = 14 * 24 * 60 * 60 * 1_000;
/// Announcements that may be queued; more are processed with the next connection.
const MAX_QUEUED: usize = 256;

/// Stores and processes announcements until the connection ends.
pub(super) async fn run(
    context: Arc<ConnectionContext>,
    progress: Arc<InboundProgress>,
    tasks: async_channel::Receiver<MajorSyncTask>,
) {
    let interrupted = match load_interrupted(&context).await {
        Ok(interrupted) => interrupted,
        Err(error) => {
            tracing::warn!(device = %context.device, %error, "interrupted history parts not loaded; retrying with the next connection");
            Vec::new()
        }
    };
    let (stored, coming) = mpsc::channel(MAX_QUEUED);
    let storing = store_announcements(&context, tasks, stored);
    let processing = process(&context, &progress, interrupted, coming);
    tokio::join!(storing, processing);
}

/// Announcements that earlier connections did not finish, in the order of the parts.
async fn load_interrupted(
    context: &ConnectionContext,
) -> Result<Vec<(String, HistorySyncNotification)>, VaultError> {
    context.vault.prune(SPACE, context.clock.now()).await?;
    let rows = context.vault.list(SPACE, "").await?;
    let read = |bytes: &[u8]| HistorySyncNotification::decode_from_slice(bytes).ok();
    let mut rows: Vec<_> = rows.into_iter().filter_map(|(id, bytes)| Some((id, read(&bytes)?))).collect();
    rows.sort_by_key(|(_, notification)| notification.chunk_order);
    Ok(rows)
}

async fn store_announcements(
    context: &ConnectionContext,
    tasks: async_channel::Receiver<MajorSyncTask>,
    stored: mpsc::Sender<(String, MajorSyncTask)>,
) {
    while let Ok(task) = tasks.recv().await {
        let MajorSyncTask::HistorySync { message_id, notification, .. } = &task else {
            boxed(context.client.process_sync_task(task)).await;
            continue;
        };
        let id = message_id.clone();
        let until = context.clock.now().plus(VALID);
        if let Err(error) = store(context, &id, notification, until).await {
            // Its message is not acknowledged and arrives again.
            tracing::warn!(device = %context.device, %error, "could not store a history announcement");
            continue;
        }
        if let Some(queue) = &context.history_queue {
            queue.record(&id);
        }
        if stored.try_send((id, task)).is_err() {
            tracing::debug!(device = %context.device, "history queue full; the part is processed with the next connection");
        }
    }
}

async fn store(
    context: &ConnectionContext,
    id: &str,
    notification: &DetachedHistorySyncNotification,
    until: Millis,
) -> Result<(), VaultError> {
    let inline = notification.inline_payload.as_ref().map(|bytes| bytes.to_vec());
    let whole = HistorySyncNotification {
        initial_hist_bootstrap_inline_payload: inline,
        ..notification.notification.clone()
    };
    let mut batch = VaultBatch::new();
    batch.put_until(SPACE, id, whole.encode_to_vec(), Some(until));
    context.vault.apply(batch).await
}

async fn remove(context: &ConnectionContext, id: &str) {
    if let Err(error) = context.vault.put(SPACE, id, None).await {
        // The part is ingested once more; ingesting is idempotent.
        tracing::warn!(device = %context.device, %error, "could not remove a history announcement; its part is ingested again");
    }
}

/// Processes interrupted parts, then new ones, one at a time.
async fn process(
    context: &Arc<ConnectionContext>,
    progress: &InboundProgress,
    interrupted: Vec<(String, HistorySyncNotification)>,
    mut coming: mpsc::Receiver<(String, MajorSyncTask)>,
) {
    context.open.cancelled().await;
    for (id, notification) in interrupted {
        match boxed(download_again(context, notification)).await {
            Ok(true) => remove(context, &id).await,
            Ok(false) => {}
            // The store does not accept writes now.
            Err(_) => return,
        }
    }
    while let Some((id, task)) = coming.recv().await {
        let before = history::parts_delivered(context);
        // Boxed, so that its memory is held only while it runs.
        boxed(context.client.process_sync_task(task)).await;
        progress.wait_until_ingested().await;
        if history::parts_delivered(context) > before {
            remove(context, &id).await;
        }
    }
}

/// Downloads and ingests a part; `false` if it cannot be downloaded now.
async fn download_again(
    context: &ConnectionContext,
    mut notification: HistorySyncNotification,
) -> Result<bool, InboundError> {
    let inline = notification.initial_hist_bootstrap_inline_payload.take();
    let part = match inline {
        Some(bytes) => bytes,
        None => match boxed(context.client.download(&notification)).await {
            Ok(bytes) => bytes,
            Err(_) => {
                tracing::warn!(device = %context.device, "could not download an interrupted part of the history");
                return Ok(false);
            }
        },
    };
    let kind = notification.sync_type.map_or(0, |kind| kind as i32);
    let size = usize::try_from(MAX_DECOMPRESSED).unwrap_or(usize::MAX);
    let part =
        LazyHistorySync::new(Bytes::from(part), size, kind, notification.chunk_order, notification.progress);
    history::ingest_part(context, &part).await?;
    Ok(true)
}
