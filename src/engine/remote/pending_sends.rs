//! Tracks sends until their result arrives, and own changes until their event arrives.

use std::collections::{HashMap, VecDeque};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::convert::event_in::{RemoteUpdate, SendStep};
use crate::domain::clock::Millis;
use crate::domain::ids::NetworkId;
use crate::domain::jid::Jid;
use crate::engine::ChatChange;

/// Own changes that are tracked at once; the oldest is dropped.
const MAX_OWN_CHANGES: usize = 256;
/// The time limit for the event of an own change: a later event is from another client.
const OWN_CHANGE_MS: i64 = 120_000;

/// Waiting sends, by our message id.
#[derive(Default)]
pub(super) struct PendingSends(Mutex<HashMap<NetworkId, oneshot::Sender<SendStep>>>);

/// A registered send; dropping it removes it.
pub(super) struct PendingSend<'a> {
    all: &'a PendingSends,
    id: NetworkId,
    step: oneshot::Receiver<SendStep>,
}

impl PendingSends {
    /// Registers a send, before its message is sent.
    pub(super) fn register(&self, id: &NetworkId) -> PendingSend<'_> {
        let (sender, step) = oneshot::channel();
        self.lock().insert(id.clone(), sender);
        PendingSend { all: self, id: id.clone(), step }
    }

    pub(super) fn contains(&self, id: &NetworkId) -> bool {
        self.lock().contains_key(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Passes the result to its send; `false` when none waits.
    pub(super) fn resolve(&self, id: &NetworkId, step: SendStep) -> bool {
        let sender = self.lock().remove(id);
        sender.is_some_and(|sender| sender.send(step).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NetworkId, oneshot::Sender<SendStep>>> {
        self.0.lock()
    }
}

impl PendingSend<'_> {
    /// The result; `None` when a later registration replaced this one.
    pub(super) async fn step(&mut self) -> Option<SendStep> {
        (&mut self.step).await.ok()
    }
}

impl Drop for PendingSend<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

/// A change that this session requested.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum OwnChange {
    /// By the upstream's id of the message.
    Message(NetworkId, RemoteUpdate),
    Chat(Jid, ChatChange),
}

/// Suppresses the events of our own changes.
#[derive(Default)]
pub(super) struct OwnChangeTracker(Mutex<VecDeque<(Millis, OwnChange)>>);

impl OwnChangeTracker {
    /// Tracks a change, before it is requested.
    pub(super) fn expect(&self, change: OwnChange, now: Millis) {
        let mut all = self.lock();
        if all.len() == MAX_OWN_CHANGES {
            all.pop_front();
        }
        all.push_back((now, change));
    }

    /// Stops tracking a change whose event arrived, or that was refused; `false` if it is not tracked.
    pub(super) fn take(&self, change: &OwnChange, now: Millis) -> bool {
        let mut all = self.lock();
        all.retain(|(at, _)| now.since(*at) < OWN_CHANGE_MS);
        let found = all.iter().position(|(_, tracked)| tracked == change);
        found.and_then(|at| all.remove(at)).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Millis, OwnChange)>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn send_is_resolved_once_and_leaves_nothing_behind() {
        let pending = PendingSends::default();
        let id: NetworkId = "3EB0".parse().unwrap();
        let mut send = pending.register(&id);
        assert!(pending.contains(&id) && pending.resolve(&id, SendStep::Sent));
        assert!(!pending.resolve(&id, SendStep::Sent));
        assert_eq!(send.step().await, Some(SendStep::Sent));
        drop(pending.register(&id));
        assert!(pending.is_empty());
    }

    fn starred(id: &str) -> OwnChange {
        OwnChange::Message(id.parse().unwrap(), RemoteUpdate::Starred(true))
    }

    #[test]
    fn own_change_is_suppressed_once_and_tracking_is_bounded() {
        let tracker = OwnChangeTracker::default();
        for n in 0..=MAX_OWN_CHANGES {
            tracker.expect(starred(&format!("A{n}")), Millis(0));
        }
        let take = |id| tracker.take(&starred(id), Millis(1));
        assert!(!take("A0") && take("A1") && !take("A1"));
    }

    #[test]
    fn late_event_is_another_clients() {
        let tracker = OwnChangeTracker::default();
        tracker.expect(starred("A"), Millis(0));
        assert!(!tracker.take(&starred("A"), Millis(OWN_CHANGE_MS)));
    }
}
