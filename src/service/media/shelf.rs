//! The store of files with what keeps it in step with the database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore};

use crate::domain::clock::Millis;
use crate::domain::media::MediaHash;
use crate::media::Files;

/// Clients that upload at once: each holds a buffer and a file.
const UPLOADS: usize = 64;
/// Locks that files share by their hash.
const LOCKS: usize = 64;
/// A file that was promised to somebody who never came back for it may go after this time.
const PROMISE_MS: i64 = 600_000;

/// The store of files, as use cases hold it.
pub(in crate::service) struct Shelf {
    pub(super) files: Files,
    pub(super) uploads: Semaphore,
    order: Vec<RwLock<()>>,
    promised: Mutex<HashMap<MediaHash, Promise>>,
}

/// Files that a message will refer to in a moment.
#[derive(Debug)]
struct Promise {
    count: usize,
    until: Millis,
}

impl Shelf {
    pub(in crate::service) fn new(files: Files) -> Self {
        let order = (0..LOCKS).map(|_| RwLock::default()).collect();
        Self { files, uploads: Semaphore::new(UPLOADS), order, promised: Mutex::default() }
    }

    /// Held while a file and its row come.
    pub(super) async fn adding(&self, hash: &MediaHash) -> RwLockReadGuard<'_, ()> {
        self.lock_of(hash).read().await
    }

    /// Held while a row and its file go: the same content may be on its way in.
    pub(super) async fn removing(&self, hash: &MediaHash) -> RwLockWriteGuard<'_, ()> {
        self.lock_of(hash).write().await
    }

    /// A slow backend holds up few others.
    fn lock_of(&self, hash: &MediaHash) -> &RwLock<()> {
        let number = hash.as_str().bytes().take(8).fold(0_usize, |sum, byte| sum * 31 + usize::from(byte));
        &self.order[number % LOCKS]
    }

    /// This file stays until [`Shelf::settle`], or for some minutes.
    pub(super) fn promise(&self, hash: &MediaHash, now: Millis) {
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        promised.retain(|_, promise| promise.until > now);
        let promise = promised.entry(hash.clone()).or_insert(Promise { count: 0, until: now });
        promise.count += 1;
        promise.until = now.plus(PROMISE_MS);
    }

    /// What the file was promised for is stored, or will not be.
    pub(in crate::service) fn settle(&self, hash: &MediaHash) {
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(promise) = promised.get_mut(hash) {
            promise.count = promise.count.saturating_sub(1);
            if promise.count == 0 {
                promised.remove(hash);
            }
        }
    }

    pub(super) fn is_promised(&self, hash: &MediaHash, now: Millis) -> bool {
        let promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        promised.get(hash).is_some_and(|promise| promise.until > now)
    }
}
