//! Reads the event log in pages.
//!
//! One page examines at most [`SCAN`] entries.

use crate::domain::ids::DeviceId;
use crate::service::error::require_device;
use crate::service::{LogEntry, LogRange, Logs, ServiceError};

/// Maximum number of entries examined for one page.
const SCAN: usize = 5_000;

impl Logs {
    /// The position of the newest entry; 0 if there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn newest_seq(&self, device: &DeviceId) -> Result<i64, ServiceError> {
        if let Some(head) = self.head(device) {
            return Ok(head.newest);
        }
        let of = device.clone();
        self.store.read_of(device, move |store| Ok(store.log_range(&of)?.newest)).await
    }

    /// At most `limit` entries with `seq > after`, in order; only of the given types, if any. A page
    /// may be short, because it examines at most 5,000 entries. The last number is the position of the last
    /// examined entry; the next page continues there.
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
        let (of, types) = (device.clone(), types.to_vec());
        self.store
            .read_of(device, move |store| {
                require_device(store, &of)?;
                let range = store.log_range(&of)?;
                // After a restore from a backup, a position beyond the newest entry would block its reader.
                let (mut found, mut last, mut examined) = (Vec::new(), after.min(range.newest), 0);
                while found.len() < limit && examined < SCAN {
                    let page = store.events_after(&of, last, limit.max(64))?;
                    if page.is_empty() {
                        break;
                    }
                    for entry in page {
                        if found.len() == limit {
                            break;
                        }
                        examined += 1;
                        last = entry.seq;
                        if types.is_empty() || types.iter().any(|kind| *kind == entry.kind) {
                            found.push(LogEntry::from(entry));
                        }
                    }
                }
                Ok((found, range, last))
            })
            .await
    }
}
