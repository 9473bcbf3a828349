//! Changes to one message come one after the other, so that the network hears of them in the order in which
//! they are stored here.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::domain::ids::{DeviceId, MessageId};

type Key = (DeviceId, MessageId);
type MessageLockEntry = Arc<tokio::sync::Mutex<()>>;

/// Messages that are being changed; there are never more than requests under way.
#[derive(Default)]
pub(in crate::service) struct MessageLocks {
    lanes: Mutex<HashMap<Key, MessageLockEntry>>,
}

/// The right to change one message, until it is dropped.
pub(super) struct MessageLockGuard<'a> {
    turns: &'a MessageLocks,
    key: Key,
    lane: MessageLockEntry,
    held: Option<OwnedMutexGuard<()>>,
}

impl MessageLocks {
    /// Waits until nobody else changes this message.
    pub(super) async fn take(&self, device: &DeviceId, id: &MessageId) -> MessageLockGuard<'_> {
        let key = (device.clone(), id.clone());
        let lane = self.lanes.lock().entry(key.clone()).or_default().clone();
        let mut turn = MessageLockGuard { turns: self, key, lane: lane.clone(), held: None };
        turn.held = Some(lane.lock_owned().await);
        turn
    }
}

impl Drop for MessageLockGuard<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut lanes = self.turns.lanes.lock();
        // The map's own and this one: nobody else waits.
        if Arc::strong_count(&self.lane) <= 2 {
            lanes.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn message_lock_is_exclusive_and_removed() {
        let turns = MessageLocks::default();
        let device: DeviceId = "shop".parse().unwrap();
        let one: MessageId = "true_15550100001@c.us_ONE".parse().unwrap();
        let two: MessageId = "true_15550100001@c.us_TWO".parse().unwrap();
        let first = turns.take(&device, &one).await;
        let other = turns.take(&device, &two).await;
        assert!(turns.take(&device, &one).now_or_never().is_none(), "it is being changed");
        drop(first);
        let second = turns.take(&device, &one).await;
        drop((second, other));
        assert!(turns.lanes.lock().is_empty());
    }

    #[tokio::test]
    async fn cancelled_waiter_leaves_no_lock_entry() {
        let turns = MessageLocks::default();
        let device: DeviceId = "shop".parse().unwrap();
        let one: MessageId = "true_15550100001@c.us_ONE".parse().unwrap();
        let first = turns.take(&device, &one).await;
        let mut waiting = Box::pin(turns.take(&device, &one));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(first);
        drop(waiting);
        assert!(turns.lanes.lock().is_empty());
    }
}
