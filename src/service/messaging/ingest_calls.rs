//! Calls and the first synchronisation: what a network tells and nobody here decides.

use crate::domain::event::{CallEvent, Event, HistoryProgressEvent};
use crate::domain::ids::DeviceId;
use crate::service::Messaging;
use crate::store::StoreError;

/// So far back a call is looked for that is told once more.
const LOOK_BACK: i64 = 256;

impl Messaging {
    /// Somebody calls, or it ended. Told once, although the network may tell it again.
    pub(in crate::service) async fn ingest_call(
        &self,
        device: &DeviceId,
        call: CallEvent,
    ) -> Result<(), StoreError> {
        let (id, now) = (device.clone(), self.clock.now());
        self.store
            .write_patiently(move |tx| {
                let from = tx.log_range(&id)?.newest.saturating_sub(LOOK_BACK);
                if !tx.call_was_told(&id, &call, from)? {
                    tx.append(&id, &Event::Call(call), now)?;
                }
                Ok(())
            })
            .await
    }

    /// How far the first synchronisation is.
    pub(in crate::service) async fn ingest_history_progress(
        &self,
        device: &DeviceId,
        progress: HistoryProgressEvent,
    ) -> Result<(), StoreError> {
        let (id, now) = (device.clone(), self.clock.now());
        self.store
            .write_patiently(move |tx| tx.append(&id, &Event::HistoryProgress(progress), now).map(|_| ()))
            .await
    }
}
