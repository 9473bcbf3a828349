//! Limits how fast and how many devices connect, at start-up and after an outage, to avoid a thundering herd. It
//! applies after each device's own backoff.
//!
//! Invariants: at most `start_ramp_per_second` devices start per second, and at most `max_connecting` connect at the
//! same time; a connection that takes too long releases its permit.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Time after which a connecting device does not count any more.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
/// The delay before the next attempt to get a permit, plus up to the same delay as jitter.
const PAUSE: Duration = Duration::from_millis(250);

/// The limiter that all devices share.
pub(in crate::service::fleet) struct StartLimiter {
    apart: Duration,
    next: Mutex<Option<Instant>>,
    room: Arc<Semaphore>,
}

/// The answer of the limiter.
pub(super) enum ConnectPermit {
    /// The device may connect, and holds this permit meanwhile.
    Now(OwnedSemaphorePermit),
    /// The device must ask again at this time.
    At(Instant),
}

impl StartLimiter {
    /// A limiter for this number of starts per second and of concurrent connections.
    pub(in crate::service::fleet) fn new(per_second: u32, at_once: usize) -> Self {
        Self {
            apart: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::default(),
            room: Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// Asks for a permit. `turn` is the time of an earlier answer, after which the device asks again; `unit` (0 … 1)
    /// is the jitter of devices that wait for capacity.
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
