//! The media store: encrypted files are uploaded and downloaded, whole or in part, over the network's HTTP
//! interface. Clients get its address with `w:m`: [`answer`].
//!
//! A file is stored under the SHA-256 of its encrypted bytes, which is verified. The number of files and
//! bytes is bounded; the oldest are evicted.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

pub mod cipher;
mod http;
pub mod reupload;

pub use http::router;

use crate::phone::keys;
use crate::server::dispatch::Session;
use crate::server::iq::Answer;

/// The most files in the store.
pub const MAX_FILES: usize = 4_096;
/// The most bytes of all files.
pub const MAX_BYTES: usize = 1 << 30;
/// The largest single file in bytes.
pub const MAX_FILE: usize = 256 << 20;
/// How long clients may use an answer of [`answer`], in seconds.
const TTL: u32 = 3_600;
/// Interrupted uploads whose first bytes are stored.
const MAX_BEGINNINGS: usize = 16;

/// Why bytes were not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The bytes do not match their token.
    #[error("the SHA-256 of these bytes is not the token they were uploaded under")]
    WrongHash,
    /// The file is too large.
    #[error("the file is too large for the store")]
    TooLarge,
}

/// The progress of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No bytes.
    None,
    /// This many bytes from the start.
    Begun(usize),
    /// The whole file.
    Complete,
}

/// The media store; clones share it.
#[derive(Debug, Clone)]
pub struct MediaStore {
    auth: Arc<str>,
    entries: Arc<Mutex<StoredFiles>>,
    /// Whether downloads wait.
    held: Arc<watch::Sender<bool>>,
    /// The status that downloads answer instead of the file, if any.
    failure: Arc<AtomicU16>,
}

#[derive(Debug, Default)]
struct StoredFiles {
    files: HashMap<String, Bytes>,
    /// Files that expired, which phones can upload again.
    expired: HashMap<String, Bytes>,
    /// Tokens, oldest first.
    order: VecDeque<String>,
    bytes: usize,
    beginnings: VecDeque<(String, Vec<u8>)>,
    pictures: VecDeque<(String, Bytes)>,
}

impl MediaStore {
    /// An empty store; `auth` is the token that uploads must carry.
    #[must_use]
    pub fn new(auth: &str) -> Self {
        let held = Arc::new(watch::Sender::new(false));
        Self { auth: Arc::from(auth), entries: Arc::default(), held, failure: Arc::default() }
    }

    /// The token that uploads must carry.
    #[must_use]
    pub fn auth(&self) -> &str {
        &self.auth
    }

    /// Makes downloads wait, or lets them continue.
    pub fn hold(&self, on: bool) {
        self.held.send_replace(on);
    }

    /// Makes downloads answer this HTTP status; `None` ends that.
    pub fn fail(&self, status: Option<u16>) {
        self.failure.store(status.unwrap_or(0), Ordering::SeqCst);
    }

    /// The status that downloads answer instead of the file.
    fn failure(&self) -> Option<u16> {
        Some(self.failure.load(Ordering::SeqCst)).filter(|status| *status != 0)
    }

    /// Removes all files from the network, as after some weeks; the phones keep theirs.
    pub fn expire_all(&self) {
        let mut entries = self.entries();
        let files = std::mem::take(&mut entries.files);
        entries.expired.extend(files);
        (entries.order, entries.bytes) = (VecDeque::new(), 0);
    }

    /// A phone uploads an expired file again; `false` if it does not have it.
    pub fn upload_again(&self, token: &str) -> bool {
        let mut entries = self.entries();
        let Some(bytes) = entries.expired.remove(token) else { return entries.files.contains_key(token) };
        entries.add(token, bytes);
        true
    }

    /// The phones lose the files that expired.
    pub fn forget_expired(&self) {
        self.entries().expired.clear();
    }

    /// Waits until downloads may continue.
    async fn wait_until_resumed(&self) {
        // The sender is part of this store.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
    }

    /// Stores encrypted bytes under their hash and returns it.
    ///
    /// # Errors
    /// If the file is larger than [`MAX_FILE`].
    pub fn put(&self, bytes: Bytes) -> Result<String, StoreError> {
        let token = token_of(&bytes);
        self.put_as(&token, bytes)?;
        Ok(token)
    }

    /// Stores encrypted bytes under the token of their upload.
    ///
    /// # Errors
    /// If it is not their hash, or the file is larger than [`MAX_FILE`].
    pub fn put_as(&self, token: &str, bytes: Bytes) -> Result<(), StoreError> {
        if bytes.len() > MAX_FILE {
            return Err(StoreError::TooLarge);
        }
        if token_of(&bytes) != token {
            return Err(StoreError::WrongHash);
        }
        self.entries().add(token, bytes);
        Ok(())
    }

    /// The encrypted bytes of a token.
    #[must_use]
    pub fn get(&self, token: &str) -> Option<Bytes> {
        self.entries().files.get(token).cloned()
    }

    /// Removes a file, as the network does after some weeks; `true` if it existed.
    #[must_use]
    pub fn expire(&self, token: &str) -> bool {
        self.entries().remove(token)
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().files.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The progress of an upload.
    #[must_use]
    pub fn progress(&self, token: &str) -> Progress {
        let entries = self.entries();
        if entries.files.contains_key(token) {
            return Progress::Complete;
        }
        let begun = entries.beginnings.iter().find(|(name, _)| name == token);
        begun.map_or(Progress::None, |(_, bytes)| Progress::Begun(bytes.len()))
    }

    /// Stores the first bytes of an interrupted upload.
    pub fn begin(&self, token: &str, bytes: Vec<u8>) {
        let mut entries = self.entries();
        entries.beginnings.retain(|(name, _)| name != token);
        entries.beginnings.push_back((token.to_owned(), bytes));
        if entries.beginnings.len() > MAX_BEGINNINGS {
            entries.beginnings.pop_front();
        }
    }

    /// Removes and returns the first `len` bytes of an interrupted upload.
    #[must_use]
    pub fn resume(&self, token: &str, len: usize) -> Option<Vec<u8>> {
        let mut entries = self.entries();
        let at = entries.beginnings.iter().position(|(name, bytes)| name == token && bytes.len() >= len)?;
        let (_, mut bytes) = entries.beginnings.remove(at)?;
        bytes.truncate(len);
        Some(bytes)
    }

    /// Stores a public picture under `id`.
    pub fn put_picture(&self, id: &str, bytes: Bytes) {
        let mut entries = self.entries();
        entries.pictures.retain(|(name, _)| name != id);
        entries.pictures.push_back((id.to_owned(), bytes));
        if entries.pictures.len() > MAX_FILES {
            entries.pictures.pop_front();
        }
    }

    /// A public picture.
    #[must_use]
    pub fn picture(&self, id: &str) -> Option<Bytes> {
        self.entries().pictures.iter().find(|(name, _)| name == id).map(|(_, bytes)| bytes.clone())
    }

    fn entries(&self) -> MutexGuard<'_, StoredFiles> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoredFiles {
    fn add(&mut self, token: &str, bytes: Bytes) {
        self.remove(token);
        self.beginnings.retain(|(name, _)| name != token);
        self.bytes += bytes.len();
        self.files.insert(token.to_owned(), bytes);
        self.order.push_back(token.to_owned());
        while self.files.len() > MAX_FILES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.front().cloned() else { return };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, token: &str) -> bool {
        let Some(bytes) = self.files.remove(token) else { return false };
        self.bytes -= bytes.len();
        self.order.retain(|name| name != token);
        true
    }
}

impl Default for MediaStore {
    fn default() -> Self {
        Self::new(&URL_SAFE_NO_PAD.encode(keys::bytes::<24>()))
    }
}

/// Answers `w:m` with the testbed's address and the token for uploads.
pub async fn answer(session: &Session, _iq: &Node) -> Answer {
    let host = NodeBuilder::new("host")
        .attr("hostname", session.world.address.to_string())
        .attr("type", "primary")
        .children([NodeBuilder::new("upload").build(), NodeBuilder::new("download").build()]);
    let connection = NodeBuilder::new("media_conn")
        .attr("auth", session.world.media.auth())
        .attr("ttl", TTL)
        .attr("auth_ttl", TTL)
        .attr("max_buckets", 12_u32)
        .children([host.build()]);
    Answer::Result(vec![connection.build()])
}

/// The token of encrypted bytes: their SHA-256, as in clients' URLs.
#[must_use]
pub fn token_of(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_stored_under_their_hash_only() {
        let store = MediaStore::new("secret");
        let bytes = Bytes::from_static(b"some encrypted bytes");
        assert_eq!(store.put_as("something-else", bytes.clone()), Err(StoreError::WrongHash));
        assert!(store.is_empty());
        let token = store.put(bytes.clone()).unwrap();
        assert_eq!(store.get(&token), Some(bytes));
    }

    #[test]
    fn full_store_evicts_oldest_file() {
        let store = MediaStore::new("secret");
        let first = store.put(Bytes::from_static(b"first")).unwrap();
        for at in 0..MAX_FILES {
            store.put(Bytes::from(at.to_le_bytes().to_vec())).unwrap();
        }
        assert_eq!(store.len(), MAX_FILES);
        assert_eq!(store.get(&first), None);
    }

    #[test]
    fn interrupted_upload_resumes() {
        let store = MediaStore::new("secret");
        assert_eq!(store.progress("name"), Progress::None);
        store.begin("name", vec![1, 2, 3]);
        assert_eq!(store.progress("name"), Progress::Begun(3));
        assert_eq!(store.resume("name", 4), None);
        assert_eq!(store.resume("name", 2), Some(vec![1, 2]));
        assert_eq!(store.progress("name"), Progress::None);
    }
}
