//! The liveness of a device, in memory only: when its network last responded, how fast it accepts messages, and what
//! delays its queue. It is lost at a restart.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::Mutex;

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::outbox::HeldBy;
use crate::service::Registry;

/// The weight of the newest send in the mean.
const NEWEST: i64 = 4;

/// The liveness of one device.
#[derive(Default)]
pub(in crate::service) struct Liveness {
    /// 0 before the first response.
    alive_at: AtomicI64,
    /// The mean time and the number of sends. Written by the outbox only.
    send_ms: AtomicI64,
    sends: AtomicI64,
    held: Mutex<Option<(Option<Millis>, HeldBy)>>,
    /// Whether messages wait for the limit of new chats.
    to_strangers: AtomicBool,
    /// Whether a message was removed from the outbox by another task.
    taken: AtomicBool,
}

impl Liveness {
    /// Records a response of the network.
    pub(in crate::service) fn touch(&self, now: Millis) {
        self.alive_at.store(now.0, Ordering::Relaxed);
    }

    pub(in crate::service) fn alive_at(&self) -> Option<Millis> {
        Some(self.alive_at.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Millis)
    }

    /// Records the time of a send.
    pub(in crate::service) fn answered(&self, took_ms: i64, now: Millis) {
        self.touch(now);
        let mean = self.send_ms.load(Ordering::Relaxed);
        let first = self.sends.fetch_add(1, Ordering::Relaxed) == 0;
        let mean = if first { took_ms } else { mean + (took_ms - mean) / NEWEST };
        self.send_ms.store(mean.max(0), Ordering::Relaxed);
    }

    /// The mean time and the number of sends.
    pub(in crate::service) fn speed(&self) -> (i64, i64) {
        (self.send_ms.load(Ordering::Relaxed), self.sends.load(Ordering::Relaxed))
    }

    pub(in crate::service) fn set_held(&self, held: Option<(Option<Millis>, HeldBy)>) {
        *self.held.lock() = held;
    }

    pub(in crate::service) fn held(&self) -> Option<(Option<Millis>, HeldBy)> {
        *self.held.lock()
    }

    pub(in crate::service) fn set_to_strangers(&self, waiting: bool) {
        self.to_strangers.store(waiting, Ordering::Relaxed);
    }

    /// Makes the outbox check which of its messages are still queued.
    pub(in crate::service) fn set_rows_removed(&self) {
        self.taken.store(true, Ordering::Release);
    }

    pub(in crate::service) fn rows_were_removed(&self) -> bool {
        self.taken.swap(false, Ordering::AcqRel)
    }
}

impl Registry {
    /// Records that a contact wrote, so that its chat does not count as new.
    pub(in crate::service) fn record_inbound(&self, device: &DeviceId) {
        if let Ok(live) = self.live(device)
            && live.liveness.to_strangers.load(Ordering::Relaxed)
        {
            live.outbox.notify_one();
        }
    }

    /// Records a response of a device's network.
    pub(in crate::service) fn touch(&self, device: &DeviceId) {
        if let Ok(live) = self.live(device) {
            live.liveness.touch(self.clock.now());
        }
    }
}
