//! For which endpoints something waits to be pushed: a hint to look, never the truth.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::webhook_endpoints::EndpointKey;

/// Bounded by the number of endpoints.
#[derive(Debug, Default)]
pub(super) struct Hints {
    waiting: Mutex<BTreeSet<EndpointKey>>,
    some: Notify,
}

impl Hints {
    pub(super) fn add(&self, keys: &BTreeSet<EndpointKey>) {
        if keys.is_empty() {
            return;
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).extend(keys);
        self.some.notify_one();
    }

    /// Waits until there are some, and takes them. For one caller at a time; dropping the future loses nothing.
    pub(super) async fn take(&self) -> BTreeSet<EndpointKey> {
        loop {
            let taken = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
            self.some.notified().await;
        }
    }
}
