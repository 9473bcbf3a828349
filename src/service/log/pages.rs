//! The event log, a page at a time.

use crate::domain::ids::DeviceId;
use crate::service::{LogEntry, LogRange, Logs, ServiceError};

/// Entries looked at for one page of chosen types, at most.
const SCAN: usize = 5_000;

impl Logs {
    /// The newest entry's position; 0 before the first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn newest_seq(&self, device: &DeviceId) -> Result<i64, ServiceError> {
        let device = device.clone();
        self.store.read(move |store| Ok(store.log_range(&device)?.newest)).await
    }

    /// Entries with `seq > after`, in order, at most `limit`; of these types, when any are named. A page of
    /// chosen types looks at 5,000 entries at most, so it may be short: the last entry looked at is
    /// answered too, to go on from.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn events(
        &self,
        device: &DeviceId,
        after: i64,
        limit: usize,
        types: &[String],
    ) -> Result<(Vec<LogEntry>, LogRange, i64), ServiceError> {
        let (device, types) = (device.clone(), types.to_vec());
        self.store
            .read(move |store| {
                store.device(&device)?.ok_or(ServiceError::DeviceNotFound)?;
                let range = store.log_range(&device)?;
                // A position that the log never had (it was restored from an older copy) would hold its reader up for ever.
                let (mut found, mut last, mut looked) = (Vec::new(), after.min(range.newest), 0);
                while found.len() < limit && looked < SCAN {
                    let page = store.events_after(&device, last, limit.max(64))?;
                    if page.is_empty() {
                        break;
                    }
                    for entry in page {
                        if found.len() == limit {
                            break;
                        }
                        looked += 1;
                        last = entry.seq;
                        if types.is_empty() || types.contains(&entry.kind) {
                            found.push(LogEntry::from(entry));
                        }
                    }
                }
                Ok((found, range, last))
            })
            .await
    }
}
