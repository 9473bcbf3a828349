//! Queues messages that were decrypted and are not stored, for a request to their sender. At most
//! [`MAX_MISSING`] wait.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Queued missing messages; others arrive again with the next connection.
const MAX_MISSING: usize = 1_024;

/// A message that was decrypted and is not stored; addresses are in the library's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct MissingMessage {
    pub(in super::super) chat: String,
    /// The sending device.
    pub(in super::super) sender: String,
    /// The network id.
    pub(in super::super) id: String,
}

/// Missing messages that must be requested again.
#[derive(Default)]
pub(super) struct MissingMessages {
    waiting: Mutex<VecDeque<MissingMessage>>,
    more: Notify,
}

impl MissingMessages {
    /// Queues a message, unless it is queued or the queue is full.
    pub(super) fn push(&self, missing: MissingMessage) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < MAX_MISSING && !waiting.contains(&missing) {
            waiting.push_back(missing);
            self.more.notify_one();
        }
    }

    fn take(&self) -> Option<MissingMessage> {
        self.waiting.lock().pop_front()
    }

    /// Waits for the next message. Only one task may wait at a time.
    pub(super) async fn next(&self) -> MissingMessage {
        loop {
            let more = self.more.notified();
            if let Some(missing) = self.take() {
                return missing;
            }
            more.await;
        }
    }
}
