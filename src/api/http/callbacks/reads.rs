//! Limits the memory and the time of callbacks whose signature is not verified yet.
//!
//! Invariants: memory is reserved as bytes arrive, never for an announced length; a new read is not refused because of
//! unfinished ones, the slowest of which ends instead.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::auth::network_of;
use crate::api::http::error::ApiError;
use crate::api::http::input::read_body;
use crate::domain::ids::DeviceId;
use crate::service::ServiceError;

/// Bytes of all callbacks that are read or ingested.
const IN_ALL: usize = 64 * 1024 * 1024;
/// Bytes of one device's callbacks, so that one device does not block the others.
const OF_ONE: usize = 24 * 1024 * 1024;
/// Bytes that are reserved at a time.
const STEP: usize = 64 * 1024;
/// A body that arrives within this time is not limited by address: upstreams send several callbacks at once.
const PROMPT: Duration = Duration::from_millis(100);
/// The time limit for reading a callback.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Limits of unfinished reads.
#[derive(Debug, Clone, Copy)]
pub struct CallbackLimits {
    /// The time until the first byte of a body, and the delay that a body may have.
    pub first_byte: Duration,
    /// The rate of a body, in bytes per second.
    pub min_bytes_per_second: u64,
    /// Unfinished reads of one address.
    pub max_per_address: usize,
}

/// The callbacks that are read or ingested.
#[derive(Debug)]
pub struct CallbackReads {
    limits: CallbackLimits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    reads: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    device: DeviceId,
    /// `None` for a trusted proxy.
    address: Option<IpAddr>,
    reserved: usize,
    received: usize,
    since: Instant,
    is_finished: bool,
    evicted: CancellationToken,
}

/// Why a read ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
enum ReadError {
    #[error("the body arrives too slowly")]
    TooSlow,
    #[error("another callback needs the room")]
    Evicted,
    #[error("there is no room")]
    Full,
    #[error("the body ended early")]
    Broken,
}

/// A callback's place and memory, until it is ingested.
#[derive(Debug)]
pub(super) struct CallbackRead {
    reads: Arc<CallbackReads>,
    id: u64,
    since: Instant,
    evicted: CancellationToken,
    ended: Mutex<Option<ReadError>>,
}

impl CallbackReads {
    /// Without a read.
    #[must_use]
    pub fn new(limits: CallbackLimits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    /// Begins a read. With too many unfinished ones of its address, the slowest of them ends.
    pub(super) fn begin(self: &Arc<Self>, device: &DeviceId, address: Option<IpAddr>) -> Arc<CallbackRead> {
        let (address, since) = (address.map(network_of), Instant::now());
        let mut table = self.table.lock();
        if address.is_some() {
            let is_of = |_, entry: &Entry| entry.address == address && since - entry.since > PROMPT;
            while table.unfinished(is_of).count() >= self.limits.max_per_address
                && table.evict_slowest(since, is_of)
            {}
        }
        let id = table.next_id;
        table.next_id += 1;
        let evicted = CancellationToken::new();
        let entry = Entry {
            device: device.clone(),
            address,
            reserved: 0,
            received: 0,
            since,
            is_finished: false,
            evicted: evicted.clone(),
        };
        table.reads.insert(id, entry);
        drop(table);
        Arc::new(CallbackRead { reads: self.clone(), id, since, evicted, ended: Mutex::new(None) })
    }

    /// The latest time of the next byte: the first within the limit, the others at the least rate.
    fn deadline(&self, since: Instant, received: usize) -> Instant {
        let received = u64::try_from(received).unwrap_or(u64::MAX);
        let earned_ms = received.saturating_mul(1_000) / self.limits.min_bytes_per_second.max(1);
        let earned = Duration::from_millis(earned_ms).min(READ_WITHIN);
        (since + self.limits.first_byte + earned).min(since + READ_WITHIN)
    }

    /// Adds received bytes. Reserves memory for them, which the slowest unfinished read releases if there is none.
    fn receive(&self, id: u64, bytes: usize) -> Result<usize, ReadError> {
        let now = Instant::now();
        let mut table = self.table.lock();
        loop {
            let entry = table.reads.get(&id).filter(|entry| !entry.evicted.is_cancelled());
            let entry = entry.ok_or(ReadError::Evicted)?;
            let (device, received) = (entry.device.clone(), entry.received + bytes);
            let needed = received.div_ceil(STEP) * STEP;
            let more = needed.saturating_sub(entry.reserved);
            let of_device: usize = table.of_device(&device).map(|entry| entry.reserved).sum();
            let in_all: usize = table.reads.values().map(|entry| entry.reserved).sum();
            let found = if more > 0 && of_device + more > OF_ONE {
                table.evict_slowest(now, |other, entry| other != id && entry.device == device)
            } else if more > 0 && in_all + more > IN_ALL {
                table.evict_slowest(now, |other, _| other != id)
            } else {
                if let Some(entry) = table.reads.get_mut(&id) {
                    entry.received = received;
                    entry.reserved = entry.reserved.max(needed);
                }
                return Ok(received);
            };
            if !found {
                return Err(ReadError::Full);
            }
        }
    }
}

impl Table {
    fn of_device(&self, device: &DeviceId) -> impl Iterator<Item = &Entry> {
        self.reads.values().filter(move |entry| entry.device == *device)
    }

    fn unfinished(&self, matches: impl Fn(u64, &Entry) -> bool) -> impl Iterator<Item = (u64, &Entry)> {
        let is_open = |entry: &Entry| !entry.is_finished && !entry.evicted.is_cancelled();
        let reads = self.reads.iter().map(|(id, entry)| (*id, entry));
        reads.filter(move |(id, entry)| is_open(entry) && matches(*id, entry))
    }

    /// Ends the unfinished read with the lowest rate, the oldest of equal ones; `false` if there is none.
    fn evict_slowest(&mut self, now: Instant, matches: impl Fn(u64, &Entry) -> bool) -> bool {
        let rate = |entry: &Entry| {
            let elapsed_ms = (now - entry.since).as_millis().max(1);
            u128::try_from(entry.received).unwrap_or(u128::MAX).saturating_mul(1_000) / elapsed_ms
        };
        let slowest = self.unfinished(matches).min_by_key(|(id, entry)| (rate(entry), *id)).map(|(id, _)| id);
        let Some(entry) = slowest.and_then(|id| self.reads.get_mut(&id)) else { return false };
        entry.evicted.cancel();
        entry.reserved = 0;
        true
    }
}

impl CallbackRead {
    /// Reads the body, of at most `limit` bytes.
    pub(super) async fn body(self: &Arc<Self>, request: Request, limit: usize) -> Result<Vec<u8>, ApiError> {
        let (parts, body) = request.into_parts();
        let chunks = futures_util::stream::try_unfold(
            (self.clone(), body.into_data_stream()),
            |(read, mut chunks)| async move {
                let chunk = read.next_chunk(&mut chunks).await?;
                Ok::<_, ReadError>(chunk.map(|chunk| (chunk, (read, chunks))))
            },
        );
        let request = Request::from_parts(parts, Body::from_stream(chunks));
        let read = read_body(request, limit).await;
        if let Some(entry) = self.reads.table.lock().reads.get_mut(&self.id) {
            entry.is_finished = true;
        }
        read.map_err(|error| match *self.ended.lock() {
            Some(ReadError::TooSlow) => ApiError::Timeout,
            Some(ReadError::Evicted | ReadError::Full) => {
                ServiceError::CallbackNotNow("too many callbacks are being read; try again soon".to_owned())
                    .into()
            }
            Some(ReadError::Broken) | None => error,
        })
    }

    async fn next_chunk(&self, chunks: &mut BodyDataStream) -> Result<Option<Bytes>, ReadError> {
        let next = self.wait_for_chunk(chunks).await;
        if let Err(error) = next {
            *self.ended.lock() = Some(error);
        }
        next
    }

    async fn wait_for_chunk(&self, chunks: &mut BodyDataStream) -> Result<Option<Bytes>, ReadError> {
        let received = self.reads.receive(self.id, 0)?;
        let deadline = self.reads.deadline(self.since, received);
        let chunk = tokio::select! {
            biased;
            () = self.evicted.cancelled() => return Err(ReadError::Evicted),
            chunk = tokio::time::timeout_at(deadline, chunks.next()) => chunk.map_err(|_| ReadError::TooSlow)?,
        };
        let Some(chunk) = chunk.transpose().map_err(|_| ReadError::Broken)? else { return Ok(None) };
        self.reads.receive(self.id, chunk.len())?;
        Ok(Some(chunk))
    }
}

impl Drop for CallbackRead {
    fn drop(&mut self) {
        self.reads.table.lock().reads.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(max_per_address: usize) -> Arc<CallbackReads> {
        CallbackReads::new(CallbackLimits {
            first_byte: Duration::from_secs(2),
            min_bytes_per_second: 1_000,
            max_per_address,
        })
    }

    fn device(id: &str) -> DeviceId {
        id.parse().unwrap()
    }

    fn reserved(all: &CallbackReads) -> usize {
        all.table.lock().reads.values().map(|entry| entry.reserved).sum()
    }

    #[test]
    fn memory_is_reserved_in_steps_and_released() {
        let all = reads(2);
        let read = all.begin(&device("shop"), None);
        assert_eq!(reserved(&all), 0);
        all.receive(read.id, 1).unwrap();
        assert_eq!(reserved(&all), STEP);
        all.receive(read.id, STEP).unwrap();
        assert_eq!(reserved(&all), 2 * STEP);
        drop(read);
        assert!(all.table.lock().reads.is_empty());
    }

    #[test]
    fn slowest_read_of_a_device_makes_room() {
        let all = reads(2);
        let other = all.begin(&device("till"), None);
        all.receive(other.id, 1).unwrap();
        let slow = all.begin(&device("shop"), None);
        all.receive(slow.id, STEP).unwrap();
        let fast = all.begin(&device("shop"), None);
        all.receive(fast.id, OF_ONE - STEP).unwrap();
        assert!(!slow.evicted.is_cancelled());
        let new = all.begin(&device("shop"), None);
        all.receive(new.id, STEP).unwrap();
        assert!(slow.evicted.is_cancelled() && !fast.evicted.is_cancelled() && !other.evicted.is_cancelled());
    }

    #[test]
    fn finished_reads_are_not_evicted() {
        let all = reads(2);
        let ingesting = all.begin(&device("shop"), None);
        all.receive(ingesting.id, OF_ONE).unwrap();
        all.table.lock().reads.get_mut(&ingesting.id).unwrap().is_finished = true;
        let new = all.begin(&device("shop"), None);
        assert_eq!(all.receive(new.id, 1), Err(ReadError::Full));
        assert!(!ingesting.evicted.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn slow_reads_of_an_address_are_limited() {
        let all = reads(2);
        let address = Some("192.0.2.1".parse().unwrap());
        let prompt: Vec<_> = (0..9).map(|_| all.begin(&device("shop"), address)).collect();
        assert!(prompt.iter().all(|read| !read.evicted.is_cancelled()));
        tokio::time::advance(PROMPT * 2).await;
        let proxied = all.begin(&device("shop"), None);
        assert!(prompt.iter().all(|read| !read.evicted.is_cancelled()), "a trusted proxy has no limit");
        all.begin(&device("shop"), address);
        assert_eq!(prompt.iter().filter(|read| !read.evicted.is_cancelled()).count(), 1);
        assert!(!proxied.evicted.is_cancelled());
    }

    #[test]
    fn deadline_grows_with_received_bytes() {
        let (all, since) = (reads(2), Instant::now());
        assert_eq!(all.deadline(since, 0), since + Duration::from_secs(2));
        assert_eq!(all.deadline(since, 3_000), since + Duration::from_secs(5));
        assert_eq!(all.deadline(since, 1_000_000), since + READ_WITHIN);
    }
}
