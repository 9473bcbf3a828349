//! The head of each followed log: its newest `seq`, the device's state, and the entries that its tail has not taken.
//! All of it is a hint: the log is the truth, and a tail that lacks an entry here reads it there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::domain::ids::DeviceId;
use crate::domain::state::State;
use crate::store::events::LogRow;

/// Entries kept for one tail; beyond this number it reads them from the log.
const RECENT_ENTRIES: usize = 256;

/// The end of a log at one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogHead {
    /// The newest entry; 0 when nothing was appended since the log is followed.
    pub newest: i64,
    /// The device's state; `None` when it did not change since the log is followed.
    pub state: Option<Arc<State>>,
}

/// The change of a log's head by one transaction.
#[derive(Debug)]
pub(in crate::store) struct HeadChange {
    pub(in crate::store) device: DeviceId,
    /// The appended entries, in order.
    pub(in crate::store) entries: Vec<LogRow>,
    pub(in crate::store) state: Option<Arc<State>>,
}

impl HeadChange {
    fn newest(&self) -> Option<i64> {
        self.entries.last().map(|entry| entry.seq)
    }
}

/// The entries that were committed since a log's tail last took them.
#[derive(Debug, Default)]
pub struct RecentEntries {
    entries: Mutex<VecDeque<LogRow>>,
}

impl RecentEntries {
    /// Takes the entries after `last`, in order. Empty when the entry after `last` is not in memory.
    #[must_use]
    pub fn take_after(&self, last: i64) -> VecDeque<LogRow> {
        let mut entries = std::mem::take(&mut *self.entries.lock());
        while entries.front().is_some_and(|entry| entry.seq <= last) {
            entries.pop_front();
        }
        if entries.front().is_some_and(|entry| entry.seq > last + 1) {
            entries.clear();
        }
        entries
    }

    fn extend(&self, new: &mut Vec<LogRow>) {
        let mut entries = self.entries.lock();
        if entries.len() + new.len() > RECENT_ENTRIES {
            entries.clear();
            return;
        }
        entries.extend(new.drain(..));
    }
}

#[derive(Debug, Default)]
struct FollowedLog {
    head: watch::Sender<LogHead>,
    /// Those of the log's tail, while there is one.
    recent: Weak<RecentEntries>,
}

#[derive(Debug, Default)]
pub(in crate::store) struct LogHeads {
    followed: Mutex<HashMap<DeviceId, FollowedLog>>,
}

impl LogHeads {
    /// Changes after each commit that appends to this device's log or changes its state.
    pub(in crate::store) fn follow(&self, device: &DeviceId) -> watch::Receiver<LogHead> {
        self.followed.lock().entry(device.clone()).or_default().head.subscribe()
    }

    /// Like [`Self::follow`], with the entries; for the log's only tail.
    pub(in crate::store) fn follow_entries(
        &self,
        device: &DeviceId,
    ) -> (watch::Receiver<LogHead>, Arc<RecentEntries>) {
        let recent = Arc::default();
        let mut followed = self.followed.lock();
        let log = followed.entry(device.clone()).or_default();
        log.recent = Arc::downgrade(&recent);
        (log.head.subscribe(), recent)
    }

    pub(in crate::store) fn advance(&self, change: &mut HeadChange) {
        let mut followed = self.followed.lock();
        let Some(log) = followed.get(&change.device) else { return };
        if log.head.receiver_count() == 0 {
            followed.remove(&change.device);
            return;
        }
        let newest = change.newest();
        if let Some(recent) = log.recent.upgrade() {
            recent.extend(&mut change.entries);
        }
        log.head.send_if_modified(|head| {
            let is_newer = newest.is_some_and(|seq| seq > head.newest);
            if let Some(seq) = newest {
                head.newest = seq.max(head.newest);
            }
            if let Some(state) = &change.state {
                head.state = Some(state.clone());
            }
            is_newer || change.state.is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::value::RawValue;

    use super::*;
    use crate::domain::clock::Millis;

    fn shop() -> DeviceId {
        "shop".parse().unwrap()
    }

    fn entry(seq: i64) -> LogRow {
        let payload = RawValue::from_string("{}".to_owned()).unwrap();
        LogRow { seq, kind: Cow::Borrowed("message"), at: Millis(seq), payload }
    }

    fn committed(seqs: std::ops::RangeInclusive<i64>) -> HeadChange {
        HeadChange { device: shop(), entries: seqs.map(entry).collect(), state: None }
    }

    fn seqs(entries: VecDeque<LogRow>) -> Vec<i64> {
        entries.into_iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn tail_takes_each_committed_entry_once() {
        let heads = LogHeads::default();
        let (head, recent) = heads.follow_entries(&shop());
        heads.advance(&mut committed(4..=5));
        heads.advance(&mut committed(6..=6));
        assert_eq!(head.borrow().newest, 6);
        assert_eq!(seqs(recent.take_after(4)), [5, 6]);
        assert!(recent.take_after(6).is_empty());
    }

    #[test]
    fn tail_gets_nothing_after_a_gap() {
        let heads = LogHeads::default();
        let (_head, recent) = heads.follow_entries(&shop());
        heads.advance(&mut committed(7..=8));
        assert!(recent.take_after(4).is_empty());
    }

    #[test]
    fn entries_beyond_the_bound_are_dropped() {
        let heads = LogHeads::default();
        let (head, recent) = heads.follow_entries(&shop());
        heads.advance(&mut committed(1..=256));
        heads.advance(&mut committed(257..=257));
        assert_eq!(head.borrow().newest, 257);
        assert!(recent.take_after(0).is_empty());
    }

    #[test]
    fn state_is_visible_after_its_commit() {
        let heads = LogHeads::default();
        let head = heads.follow(&shop());
        let state = Some(Arc::new(State::Created));
        heads.advance(&mut HeadChange { device: shop(), entries: Vec::new(), state: state.clone() });
        assert_eq!(*head.borrow(), LogHead { newest: 0, state });
    }
}
