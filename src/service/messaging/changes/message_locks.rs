//! Serializes the changes to one message, so that the network receives them in the order in which they are
//! stored here.
//!
//! An entry exists only while a request holds or waits for its lock.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::domain::ids::{DeviceId, MessageId};

type Key = (DeviceId, MessageId);
type MessageLockEntry = Arc<tokio::sync::Mutex<()>>;

/// Locks of the messages that are being changed; at most one entry for each request in progress.
#[derive(Default)]
pub(in crate::service) struct MessageLocks {
    lanes: Mutex<HashMap<Key, MessageLockEntry>>,
}

/// Exclusive right to change one message, until it is dropped.
pub(super) struct MessageLockGuard<'a> {
    turns: &'a MessageLocks,
    key: Key,
    lane: MessageLockEntry,
    held: Option<OwnedMutexGuard<()>>,
}

impl MessageLocks {
    /// Waits until no other request changes this message.
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
        // Two references are left, the map's and this one: no other request waits.
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
        assert!(turns.take(&device, &one).now_or_never().is_none(), "the first change holds the lock");
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
