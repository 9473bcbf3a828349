//! Dirty set of webhook endpoints with new deliveries or changes; a hint, never the truth.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::store::webhook_endpoints::EndpointKey;

/// Why an endpoint is in the dirty set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndpointWakeup {
    /// It has new deliveries.
    Waiting,
    /// Its configuration changed.
    Changed,
}

/// Bounded by the number of endpoints.
#[derive(Debug, Default)]
pub(in crate::store) struct DirtyEndpoints {
    waiting: Mutex<BTreeMap<EndpointKey, EndpointWakeup>>,
    some: Notify,
}

impl DirtyEndpoints {
    pub(in crate::store) fn add(&self, hints: &BTreeMap<EndpointKey, EndpointWakeup>) {
        if hints.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        for (key, hint) in hints {
            let stored = waiting.entry(*key).or_insert(*hint);
            *stored = (*stored).max(*hint);
        }
        drop(waiting);
        self.some.notify_one();
    }

    /// Waits until the set is not empty and takes it. For one caller at a time; dropping the future loses
    /// nothing.
    pub(in crate::store) async fn take(&self) -> BTreeMap<EndpointKey, EndpointWakeup> {
        loop {
            let taken = std::mem::take(&mut *self.waiting.lock());
            if !taken.is_empty() {
                return taken;
            }
            self.some.notified().await;
        }
    }
}
