//! A relay context for unit tests: everything in memory, and a clock that the test sets.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::RelayContext;
use super::client::UpstreamClient;
use crate::domain::clock::{Clock, Millis, Random};
use crate::domain::media::{MediaHash, StoredMedia};
use crate::engine::{
    ByteStream, EngineEvent, Inbound, InboundError, MediaStore, MediaStoreError, MemoryVault,
};
use crate::net::{Guard, GuardedClient};

/// A context, and access to its parts.
pub(crate) struct TestRelay {
    pub(crate) context: RelayContext,
    pub(crate) delivered: Arc<DeliveredEvents>,
    pub(crate) clock: Arc<TestClock>,
}

/// A context of the device `shop`.
pub(crate) fn relay() -> TestRelay {
    let http = GuardedClient::new(Guard::default(), Duration::from_secs(1));
    let client = UpstreamClient::new(http, "https://upstream.example.org/".parse().unwrap(), None);
    let (delivered, clock) = (Arc::<DeliveredEvents>::default(), Arc::<TestClock>::default());
    let context = RelayContext {
        device: "shop".parse().unwrap(),
        client: Arc::new(client),
        vault: Arc::new(MemoryVault::default()),
        media: Arc::new(NoMedia),
        inbound: Arc::clone(&delivered) as Arc<dyn Inbound>,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        random: Arc::new(Sevens),
        shutdown: CancellationToken::new(),
    };
    TestRelay { context, delivered, clock }
}

/// The events that were delivered.
#[derive(Default)]
pub(crate) struct DeliveredEvents(pub(crate) Mutex<Vec<EngineEvent>>);

#[async_trait]
impl Inbound for DeliveredEvents {
    async fn deliver(&self, event: EngineEvent) -> Result<(), InboundError> {
        self.0.lock().unwrap().push(event);
        Ok(())
    }
}

/// A clock that stands still.
#[derive(Default)]
pub(crate) struct TestClock(pub(crate) AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed))
    }
}

struct Sevens;

impl Random for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

struct NoMedia;

#[async_trait]
impl MediaStore for NoMedia {
    async fn save(&self, _bytes: ByteStream) -> Result<StoredMedia, MediaStoreError> {
        Err(MediaStoreError::Gone)
    }

    async fn open(&self, _hash: &MediaHash) -> Result<ByteStream, MediaStoreError> {
        Err(MediaStoreError::Gone)
    }
}
