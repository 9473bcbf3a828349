//! The phone's announcements of its history, kept until what they announce is taken in.
//!
//! An announcement says where a part of the history is, and with which key. The library takes it out of its message
//! before anybody sees that one, and hands it over as a task (`whatsapp-rust` 0.7.0, `message/receive.rs`). Here it
//! is stored first, which the message's acknowledgement waits for ([`HistoryQueue::wait_until_stored`]); then the library fetches
//! the part. A part that a kill or a lost link interrupted is fetched again with the next connection, from what was
//! stored. What the library learns of a part for itself it learns only while nothing interrupts it.
//!
//! One part at a time is in memory.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use whatsapp_rust::async_channel;
use whatsapp_rust::sync_task::MajorSyncTask;
use whatsapp_rust::types::events::LazyHistorySync;
use whatsapp_rust::wacore::history_sync::MAX_DECOMPRESSED;
use whatsapp_rust::wacore::messages::DetachedHistorySyncNotification;
use whatsapp_rust::waproto::buffa::Message as _;
use whatsapp_rust::waproto::whatsapp::message::HistorySyncNotification;

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::event_pump::InboundProgress;
use super::history;
use crate::domain::clock::Millis;
use crate::domain::vault::VaultBatch;
use crate::engine::{InboundError, VaultError};

/// Where they are in the vault, by the id of their message.
const SPACE: &str = "history";
/// How long a part is asked for, in ms: two weeks. Longer it is not at the network either.
const VALID: i64 = 14 * 24 * 60 * 60 * 1_000;
/// Announcements that wait for the one before; more are taken up with the next connection.
const WAITING: usize = 256;
/// How long a message waits until its announcement is stored.
const PATIENCE: Duration = Duration::from_secs(20);

/// The announcements of one connection that are stored, until their messages ask.
#[derive(Default)]
pub(super) struct HistoryQueue {
    stored: Mutex<HashSet<String>>,
    stored_signal: Notify,
}

impl HistoryQueue {
    /// Waits until the announcement in this message is stored; false when it takes too long.
    pub(super) async fn wait_until_stored(&self, message: &str) -> bool {
        let asking = async {
            loop {
                let signal = self.stored_signal.notified();
                if self.lock().remove(message) {
                    return;
                }
                signal.await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.is_ok()
    }

    fn record(&self, message: &str) {
        let mut stored = self.lock();
        // One that nobody asks for came with a message that went by.
        if stored.len() >= WAITING {
            stored.clear();
        }
        stored.insert(message.to_owned());
        drop(stored);
        self.stored_signal.notify_waiters();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what the library hands over, for as long as the connection stands.
pub(super) async fn run(
    context: Arc<ConnectionContext>,
    progress: Arc<InboundProgress>,
    tasks: async_channel::Receiver<MajorSyncTask>,
) {
    let interrupted = match load_interrupted(&context).await {
        Ok(interrupted) => interrupted,
        Err(error) => {
            tracing::warn!(device = %context.device, %error, "interrupted parts of the history are asked for with the next connection");
            Vec::new()
        }
    };
    let (stored, coming) = mpsc::channel(WAITING);
    let storing = store_announcements(&context, tasks, stored);
    let processing = process(&context, &progress, interrupted, coming);
    tokio::join!(storing, processing);
}

/// What earlier connections did not come to the end of, in the order of the parts.
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
            // Its message is not acknowledged, and comes again.
            tracing::warn!(device = %context.device, %error, "a part of the history could not be noted");
            continue;
        }
        if let Some(queue) = &context.history_queue {
            queue.record(&id);
        }
        if stored.try_send((id, task)).is_err() {
            tracing::debug!(device = %context.device, "a part of the history is taken up with the next connection");
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
        // It is told once more, of which nothing comes.
        tracing::warn!(device = %context.device, %error, "a part of the history is told again");
    }
}

/// Tells what was interrupted, and then what comes, one part after the other.
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
            // The daemon does not take anything now.
            Err(_) => return,
        }
    }
    while let Some((id, task)) = coming.recv().await {
        let before = history::parts_delivered(context);
        // Its room is taken only while it runs.
        boxed(context.client.process_sync_task(task)).await;
        progress.wait_until_ingested().await;
        if history::parts_delivered(context) > before {
            remove(context, &id).await;
        }
    }
}

/// Fetches and tells a part; false when it is not to be had now.
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
                tracing::warn!(device = %context.device, "an interrupted part of the history could not be fetched");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_waits_until_its_announcement_is_stored() {
        let queue = Arc::new(HistoryQueue::default());
        let waiting = queue.wait_until_stored("3EB0AA");
        tokio::pin!(waiting);
        let early = tokio::time::timeout(Duration::from_millis(20), &mut waiting).await;
        assert!(early.is_err(), "nothing was stored yet");
        queue.record("3EB0BB");
        queue.record("3EB0AA");
        assert!(waiting.await);
    }
}
