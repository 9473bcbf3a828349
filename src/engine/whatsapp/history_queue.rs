//! Lets a message wait until the history announcement in it is stored. At most [`MAX_STORED`] announcements
//! are recorded; when the limit is reached, all are dropped and their messages time out.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// Recorded announcements; more wait with the next connection.
const MAX_STORED: usize = 256;
/// How long a message waits until its announcement is stored.
const PATIENCE: Duration = Duration::from_secs(20);

/// Stored announcements of this connection whose message was not acknowledged yet.
#[derive(Default)]
pub(super) struct HistoryQueue {
    stored: Mutex<HashSet<String>>,
    stored_signal: Notify,
}

impl HistoryQueue {
    /// Waits until the announcement in this message is stored; `false` after a timeout.
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

    /// Records that the announcement in this message is stored.
    pub(super) fn record(&self, message: &str) {
        let mut stored = self.lock();
        // An entry stays if its message was not passed to the durability hook.
        if stored.len() >= MAX_STORED {
            stored.clear();
        }
        stored.insert(message.to_owned());
        drop(stored);
        self.stored_signal.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.stored.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn message_waits_until_announcement_is_stored() {
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
