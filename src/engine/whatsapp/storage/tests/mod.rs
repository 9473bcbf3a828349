//! The library's storage on a real store, compared with the library's own in memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tempfile::TempDir;

use super::VaultBackend;
use crate::domain::clock::{Clock, Millis, Random};
use crate::domain::ids::DeviceId;
use crate::service::VaultPort;
use crate::store::{Store, StoreOptions, Synchronous, VaultKey, WriterObserver};

mod account;
mod concurrency;
mod model;
mod operation;
mod sender_keys;

/// The clock of the library's storage in memory.
struct LibraryClock;

impl Clock for LibraryClock {
    fn now(&self) -> Millis {
        Millis(wacore::time::now_millis())
    }
}

#[derive(Default)]
struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

#[derive(Default)]
struct Commits(AtomicUsize);

impl WriterObserver for Commits {
    fn committed(&self, _writes: usize, _seconds: f64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn appended(&self, _events: usize) {}

    fn refused(&self) {}
}

/// A device with an encrypted vault in its own database.
struct Fixture {
    dir: TempDir,
    store: Option<Store>,
    commits: Arc<Commits>,
    backend: VaultBackend,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let commits = Arc::new(Commits::default());
        let store = open(dir.path(), commits.clone());
        let backend = backend(&store);
        Self { dir, store: Some(store), commits, backend }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Closes the store and opens it again, like a restart.
    async fn reopen(&mut self) {
        let store = self.store.take().unwrap();
        store.close().await;
        self.backend = nowhere(&store);
        drop(store);
        let store = open(self.dir.path(), self.commits.clone());
        self.backend = backend(&store);
        self.store = Some(store);
    }

    fn commits(&self) -> usize {
        self.commits.0.load(Ordering::SeqCst)
    }
}

fn open(dir: &Path, commits: Arc<Commits>) -> Store {
    let vault_key = Some(VaultKey::new(&[7; 32], Arc::new(Counting::default())));
    let options = StoreOptions { synchronous: Synchronous::Full, write_queue: 4_096, readers: 2, vault_key };
    Store::open(dir, options, commits).unwrap()
}

fn backend(store: &Store) -> VaultBackend {
    backend_of(store, "shop")
}

fn backend_of(store: &Store, device: &str) -> VaultBackend {
    let device: DeviceId = device.parse().unwrap();
    VaultBackend::new(Arc::new(VaultPort::new(store.clone(), device)), Arc::new(LibraryClock))
}

/// A placeholder while the store is closed.
fn nowhere(_: &Store) -> VaultBackend {
    VaultBackend::new(Arc::new(crate::engine::MemoryVault::default()), Arc::new(LibraryClock))
}
