//! The liveness of a device, in memory only: when its network last showed a sign
//! of life, how fast it takes messages, and what holds its queue back.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::Mutex;

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::outbox::HeldBy;
use crate::service::Registry;

/// Of the newest send, this share counts in the mean.
const NEWEST: i64 = 4;

/// One device's.
#[derive(Default)]
pub(in crate::service) struct Liveness {
    /// 0 before the first sign.
    alive_at: AtomicI64,
    /// The mean time of a send, and how many there were. Written by the outbox alone.
    send_ms: AtomicI64,
    sends: AtomicI64,
    held: Mutex<Option<(Option<Millis>, HeldBy)>>,
    /// Messages wait to open a chat.
    to_strangers: AtomicBool,
    /// Something was taken out of the outbox from outside.
    taken: AtomicBool,
}

impl Liveness {
    /// The network showed that it is there.
    pub(in crate::service) fn touch(&self, now: Millis) {
        self.alive_at.store(now.0, Ordering::Relaxed);
    }

    pub(in crate::service) fn alive_at(&self) -> Option<Millis> {
        Some(self.alive_at.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Millis)
    }

    /// The network answered to a send, which took so long.
    pub(in crate::service) fn answered(&self, took_ms: i64, now: Millis) {
        self.touch(now);
        let mean = self.send_ms.load(Ordering::Relaxed);
        let first = self.sends.fetch_add(1, Ordering::Relaxed) == 0;
        let mean = if first { took_ms } else { mean + (took_ms - mean) / NEWEST };
        self.send_ms.store(mean.max(0), Ordering::Relaxed);
    }

    /// The mean time of a send, and of how many.
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

    /// The outbox must check which of its messages still wait.
    pub(in crate::service) fn set_rows_removed(&self) {
        self.taken.store(true, Ordering::Release);
    }

    pub(in crate::service) fn rows_were_removed(&self) -> bool {
        self.taken.swap(false, Ordering::AcqRel)
    }
}

impl Registry {
    /// A contact wrote: a message that waited to open that chat now goes to an existing chat.
    pub(in crate::service) fn record_inbound(&self, device: &DeviceId) {
        if let Ok(live) = self.live(device)
            && live.liveness.to_strangers.load(Ordering::Relaxed)
        {
            live.outbox.notify_one();
        }
    }

    /// A device's network showed that it is there.
    pub(in crate::service) fn touch(&self, device: &DeviceId) {
        if let Ok(live) = self.live(device) {
            live.liveness.touch(self.clock.now());
        }
    }
}
