//! Ingests calls and the progress of the history sync.
//!
//! A repeated call report within [`CALL_SEARCH_ENTRIES`] entries of the log emits no second event.

use crate::domain::event::{CallEvent, Event, HistoryProgressEvent};
use crate::domain::ids::DeviceId;
use crate::service::Messaging;
use crate::store::StoreError;

/// Newest log entries that are searched for an earlier report of the same call.
const CALL_SEARCH_ENTRIES: i64 = 256;

impl Messaging {
    /// Ingests an incoming or ended call. Emits one event, although the network may report it again.
    pub(in crate::service) async fn ingest_call(
        &self,
        device: &DeviceId,
        call: CallEvent,
    ) -> Result<(), StoreError> {
        let (id, now) = (device.clone(), self.clock.now());
        self.store
            .write_patiently(move |tx| {
                let from = tx.log_range(&id)?.newest.saturating_sub(CALL_SEARCH_ENTRIES);
                if !tx.has_call_event(&id, &call, from)? {
                    tx.append(&id, &Event::Call(call.clone()), now)?;
                }
                Ok(())
            })
            .await
    }

    /// Ingests the progress of the history sync.
    pub(in crate::service) async fn ingest_history_progress(
        &self,
        device: &DeviceId,
        progress: HistoryProgressEvent,
    ) -> Result<(), StoreError> {
        let (id, now) = (device.clone(), self.clock.now());
        let event = Event::HistoryProgress(progress);
        self.store.write_patiently(move |tx| tx.append(&id, &event, now).map(|_| ())).await
    }
}
