//! How fast devices may begin to connect, all of them together: when the daemon starts, and when a network was
//! lost to all at once. Each device's own backoff says when it may try; this says when its turn is.
//!
//! Invariants: no more begin in a second than the ramp lets, and no more are connecting at once than there is
//! room for; a connection that takes too long gives its room to others, so that none can hold up the rest.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// A device that is connecting for so long does not count any more.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
/// The delay before the next attempt to get a place, plus up to the same delay as jitter.
const PAUSE: Duration = Duration::from_millis(250);

/// What all devices share.
pub(in crate::service::fleet) struct StartLimiter {
    apart: Duration,
    next: Mutex<Option<Instant>>,
    room: Arc<Semaphore>,
}

/// Whether a device may begin now.
pub(super) enum ConnectPermit {
    /// It may, and holds this while it connects.
    Now(OwnedSemaphorePermit),
    /// Its turn is then.
    At(Instant),
}

impl StartLimiter {
    /// At most so many in a second, and at once.
    pub(in crate::service::fleet) fn new(per_second: u32, at_once: usize) -> Self {
        Self {
            apart: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::default(),
            room: Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// A device's turn. One whose `turn` was given before comes again when it is reached; `unit` (0 … 1) spreads
    /// those who wait for room.
    pub(super) fn acquire(&self, turn: Option<Instant>, now: Instant, unit: f64) -> ConnectPermit {
        let turn = turn.unwrap_or_else(|| self.take_turn(now));
        if turn > now {
            return ConnectPermit::At(turn);
        }
        match self.room.clone().try_acquire_owned() {
            Ok(room) => ConnectPermit::Now(room),
            Err(_) => ConnectPermit::At(now + PAUSE.mul_f64(1.0 + unit.clamp(0.0, 1.0))),
        }
    }

    fn take_turn(&self, now: Instant) -> Instant {
        let mut next = self.next.lock();
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + self.apart);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn thousand_devices_reconnect_at_limited_rate() {
        let ramp = StartLimiter::new(200, 10_000);
        let now = Instant::now();
        let mut turns: Vec<Instant> = Vec::new();
        let mut held = Vec::new();
        for _ in 0..1_000 {
            match ramp.acquire(None, now, 0.5) {
                ConnectPermit::Now(room) => {
                    held.push(room);
                    turns.push(now);
                }
                ConnectPermit::At(turn) => turns.push(turn),
            }
        }
        for second in 0..5 {
            let from = now + Duration::from_secs(second);
            let within = turns.iter().filter(|turn| **turn >= from && **turn < from + Duration::from_secs(1));
            assert_eq!(within.count(), 200, "in second {second}");
        }
        // A start that has its place does not queue again.
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(matches!(ramp.acquire(turns.last().copied(), Instant::now(), 0.5), ConnectPermit::Now(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_connects_are_limited() {
        let ramp = StartLimiter::new(1_000_000, 2);
        let now = Instant::now();
        let ConnectPermit::Now(first) = ramp.acquire(Some(now), now, 0.0) else { panic!("there is room") };
        let ConnectPermit::Now(_second) = ramp.acquire(Some(now), now, 0.0) else { panic!("there is room") };
        let ConnectPermit::At(later) = ramp.acquire(Some(now), now, 1.0) else { panic!("there is none") };
        assert_eq!(later - now, 2 * PAUSE);
        drop(first);
        assert!(matches!(ramp.acquire(Some(now), now, 0.0), ConnectPermit::Now(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn single_device_connects_at_once() {
        let ramp = StartLimiter::new(1, 1);
        assert!(matches!(ramp.acquire(None, Instant::now(), 0.5), ConnectPermit::Now(_)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(matches!(ramp.acquire(None, Instant::now(), 0.5), ConnectPermit::Now(_)));
    }
}
