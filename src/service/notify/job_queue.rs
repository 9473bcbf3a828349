//! A bounded queue of jobs for one worker. No device can hold more than half of the places, so that one busy
//! device does not block the others.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;

/// Milliseconds between two reports of dropped jobs.
const SAY_EVERY_MS: i64 = 60_000;

/// A job queue. One device may hold at most half of its places, rounded up.
#[derive(Debug)]
pub(super) struct Queue<T> {
    room: usize,
    /// Additional places for urgent jobs, which are processed first.
    urgent: usize,
    inner: Mutex<Inner<T>>,
    grown: Notify,
}

#[derive(Debug)]
struct Inner<T> {
    waiting: VecDeque<QueuedJob<T>>,
    dropped: u64,
    said_at: Option<Millis>,
}

#[derive(Debug)]
struct QueuedJob<T> {
    device: DeviceId,
    urgent: bool,
    what: T,
}

/// The job was dropped. Holds the number of drops since the last report when the next report is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dropped(pub(super) Option<u64>);

impl<T> Queue<T> {
    /// An empty queue with `room` places and `urgent` additional places for urgent jobs.
    pub(super) fn new(room: usize, urgent: usize) -> Self {
        let inner = Inner { waiting: VecDeque::new(), dropped: 0, said_at: None };
        Self { room: room.max(1), urgent, inner: Mutex::new(inner), grown: Notify::new() }
    }

    /// Adds a job of a device.
    ///
    /// # Errors
    /// When the queue is full or the device holds its share.
    pub(super) fn offer(&self, device: &DeviceId, urgent: bool, what: T, now: Millis) -> Result<(), Dropped> {
        let mut inner = self.inner.lock();
        let urgent = urgent && self.urgent > 0;
        let room = if urgent { self.urgent } else { self.room };
        let of_sort = inner.waiting.iter().filter(|other| other.urgent == urgent);
        let (taken, own) = of_sort
            .fold((0, 0), |(taken, own), other| (taken + 1, own + usize::from(other.device == *device)));
        if taken >= room || own >= room.div_ceil(2) {
            inner.dropped += 1;
            if inner.said_at.is_some_and(|said| (0..SAY_EVERY_MS).contains(&now.since(said))) {
                return Err(Dropped(None));
            }
            inner.said_at = Some(now);
            return Err(Dropped(Some(std::mem::take(&mut inner.dropped))));
        }
        let at = match urgent {
            true => inner.waiting.iter().take_while(|other| other.urgent).count(),
            false => inner.waiting.len(),
        };
        inner.waiting.insert(at, QueuedJob { device: device.clone(), urgent, what });
        self.grown.notify_one();
        Ok(())
    }

    /// Number of waiting jobs.
    pub(super) fn len(&self) -> usize {
        self.inner.lock().waiting.len()
    }

    /// Waits for the next job. Supports one caller at a time; cancel-safe.
    pub(super) async fn next(&self) -> T {
        loop {
            let next = self.inner.lock().waiting.pop_front();
            if let Some(next) = next {
                return next.what;
            }
            self.grown.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered<T>(queue: &Queue<T>, device: &str, urgent: bool, what: T) -> bool {
        queue.offer(&device.parse().unwrap(), urgent, what, Millis(0)).is_ok()
    }

    #[tokio::test]
    async fn device_uses_at_most_half_of_queue() {
        let queue = Queue::new(4, 0);
        let asked = ["loud", "loud", "loud", "quiet", "loud", "quiet", "quiet", "third"];
        let taken = asked.map(|device| offered(&queue, device, true, device));
        assert_eq!(taken, [true, true, false, true, false, true, false, false]);
        for device in ["loud", "loud", "quiet", "quiet"] {
            assert_eq!(queue.next().await, device);
        }
    }

    #[tokio::test]
    async fn urgent_jobs_have_own_capacity_and_go_first() {
        let queue = Queue::new(2, 2);
        assert!(offered(&queue, "a", false, 1) && offered(&queue, "b", false, 2));
        assert!(!offered(&queue, "c", false, 3));
        assert!(offered(&queue, "a", true, 4) && offered(&queue, "c", true, 5));
        assert!(!offered(&queue, "d", true, 6));
        for what in [4, 5, 1, 2] {
            assert_eq!(queue.next().await, what);
        }
    }

    #[test]
    fn dropped_jobs_are_logged_once_a_minute_with_count() {
        let (queue, shop) = (Queue::new(1, 0), "shop".parse().unwrap());
        let offer = |at: i64| queue.offer(&shop, false, (), Millis(at));
        assert_eq!(offer(0), Ok(()));
        assert_eq!(offer(0), Err(Dropped(Some(1))));
        assert_eq!(offer(10_000), Err(Dropped(None)));
        assert_eq!(offer(59_999), Err(Dropped(None)));
        assert_eq!(offer(60_000), Err(Dropped(Some(3))));
    }
}
