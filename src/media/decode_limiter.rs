//! Limits the decoding of pictures: few at once, and one at a time of each owner, so that no owner delays another.
//! A picture that waits too long for its turn gets no thumbnail.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Maximum pictures that are decoded at the same time; each may use much memory.
const DECODERS: usize = 2;
/// Time limit of the wait for a permit.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct DecodeLimiter {
    decoders: Arc<Semaphore>,
    /// Owners that have a permit or wait for one.
    owners: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The permit to decode; dropping it releases the capacity.
#[derive(Debug)]
pub(super) struct DecodePermit {
    _own: OwnedSemaphorePermit,
    _decoder: OwnedSemaphorePermit,
}

impl DecodeLimiter {
    pub(super) fn new() -> Self {
        Self { decoders: Arc::new(Semaphore::new(DECODERS)), owners: Mutex::default() }
    }

    /// A permit; `None` after the time limit.
    pub(super) async fn turn(&self, owner: &str) -> Option<DecodePermit> {
        let own = self.own(owner);
        let both = async {
            let own = own.acquire_owned().await.ok()?;
            let decoder = Arc::clone(&self.decoders).acquire_owned().await.ok()?;
            Some(DecodePermit { _own: own, _decoder: decoder })
        };
        tokio::time::timeout(PATIENCE, both).await.ok()?
    }

    fn own(&self, owner: &str) -> Arc<Semaphore> {
        let mut owners = self.owners.lock();
        owners.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(owners.entry(owner.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode_limiter::*;

    #[tokio::test(start_paused = true)]
    async fn owner_gets_one_decode_permit_at_a_time() {
        let turns = DecodeLimiter::new();
        let first = turns.turn("a").await.unwrap();
        assert!(turns.turn("a").await.is_none());
        let other = turns.turn("b").await.unwrap();
        assert!(turns.turn("c").await.is_none());
        drop(first);
        assert!(turns.turn("b").await.is_none());
        drop(turns.turn("a").await.unwrap());
        drop(other);
        drop(turns.turn("c").await.unwrap());
        assert_eq!(turns.owners.lock().len(), 1, "those who are done are forgotten");
    }
}
