//! The queue of reads: each device has its own, and they take turns.
//!
//! A device that asks for many reads delays its own and hardly those of others. Bounded in all and for each device.

use std::collections::{HashMap, VecDeque};

use parking_lot::{Condvar, Mutex};

use crate::domain::ids::DeviceId;
use crate::store::StoreError;

/// Maximum queued reads; beyond that callers receive [`StoreError::Busy`].
const WAITING: usize = 4_096;
/// Maximum queued reads of one device.
const WAITING_OF_DEVICE: usize = 1_024;

/// Reads of one device, or of the daemon itself.
type Owner = Option<DeviceId>;

/// Jobs in the order in which threads take them.
pub(super) struct ReadQueue<J> {
    state: Mutex<State<J>>,
    ready: Condvar,
}

struct State<J> {
    /// Owners with queued jobs. No queue is empty.
    queues: HashMap<Owner, VecDeque<J>>,
    /// The same owners, in the order of their turns.
    turns: VecDeque<Owner>,
    len: usize,
    idle_threads: usize,
    is_closed: bool,
}

impl<J> Default for ReadQueue<J> {
    fn default() -> Self {
        let state = State {
            queues: HashMap::new(),
            turns: VecDeque::new(),
            len: 0,
            idle_threads: 0,
            is_closed: false,
        };
        Self { state: Mutex::new(state), ready: Condvar::new() }
    }
}

impl<J> ReadQueue<J> {
    /// Adds a job.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the queue of the owner, or of all, is full; [`StoreError::Closed`] after the end.
    pub(super) fn push(&self, device: Option<&DeviceId>, job: J) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(StoreError::Closed);
        }
        let owner = device.cloned();
        let waiting = state.queues.get(&owner).map_or(0, VecDeque::len);
        if state.len >= WAITING || (owner.is_some() && waiting >= WAITING_OF_DEVICE) {
            return Err(StoreError::Busy);
        }
        if waiting == 0 {
            state.turns.push_back(owner.clone());
        }
        state.queues.entry(owner).or_default().push_back(job);
        state.len += 1;
        if state.idle_threads > 0 {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Waits for the next job; `None` after the end.
    pub(super) fn next(&self) -> Option<J> {
        let mut state = self.state.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(job) = state.take() {
                return Some(job);
            }
            state.idle_threads += 1;
            self.ready.wait(&mut state);
            state.idle_threads -= 1;
        }
    }

    /// Ends all threads and drops the queued jobs.
    pub(super) fn close(&self) {
        let dropped = {
            let mut state = self.state.lock();
            state.is_closed = true;
            state.turns.clear();
            std::mem::take(&mut state.queues)
        };
        drop(dropped);
        self.ready.notify_all();
    }
}

impl<J> State<J> {
    /// The next job of the owner whose turn it is.
    fn take(&mut self) -> Option<J> {
        let owner = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&owner)?;
        let job = queue.pop_front()?;
        self.len -= 1;
        if queue.is_empty() {
            self.queues.remove(&owner);
        } else {
            self.turns.push_back(owner);
        }
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str) -> DeviceId {
        id.parse().unwrap()
    }

    #[test]
    fn owners_take_turns() {
        let queue = ReadQueue::default();
        let (first, second) = (device("first"), device("second"));
        (0..3).for_each(|n| queue.push(Some(&first), n).unwrap());
        queue.push(Some(&second), 10).unwrap();
        queue.push(None, 20).unwrap();
        let order: Vec<i32> = (0..5).filter_map(|_| queue.next()).collect();
        assert_eq!(order, [0, 10, 20, 1, 2]);
    }

    #[test]
    fn full_device_is_refused_and_others_are_not() {
        let queue = ReadQueue::default();
        let (first, second) = (device("first"), device("second"));
        (0..WAITING_OF_DEVICE).for_each(|n| queue.push(Some(&first), n).unwrap());
        assert!(matches!(queue.push(Some(&first), 0), Err(StoreError::Busy)));
        queue.push(Some(&second), 0).unwrap();
        queue.close();
        assert!(queue.next().is_none());
        assert!(matches!(queue.push(None, 0), Err(StoreError::Closed)));
    }
}
