//! The reading of all groups of a new connection. Changes meanwhile make a list outdated.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

/// The reading of all groups of a new connection, and the changes meanwhile.
#[derive(Default)]
pub(super) struct GroupReading {
    /// Notified when the connection has logged in.
    pub(super) logged_in: Notify,
    /// Cancelled when the groups were read, or could not be.
    pub(super) done: CancellationToken,
    /// Group requests and group events so far.
    pub(super) changes: AtomicU64,
    /// Held while the groups are delivered, so that no change is delivered before an older list.
    pub(super) delivering: Mutex<()>,
}

impl GroupReading {
    pub(super) async fn record_change(&self) {
        let _delivering = self.delivering.lock().await;
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}
