//! The media store: encrypted files go up, and come down whole or in part, over the HTTP that clients speak.
//!
//! Invariants: a file is stored under the SHA-256 of its encrypted bytes, and only when they have that hash;
//! the store has a bound in files and in bytes, and gives up the oldest.
//! Clients learn of it by `w:m`: [`answer`].

use std::collections::{HashMap, VecDeque};
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

pub use http::router;

use crate::phone::keys;
use crate::server::dispatch::Session;
use crate::server::iq::Answer;

/// How many files are kept.
pub const MAX_FILES: usize = 4_096;
/// How many bytes they have in all.
pub const MAX_BYTES: usize = 1 << 30;
/// The largest single file in bytes.
pub const MAX_FILE: usize = 256 << 20;
/// How long clients may use what [`answer`] says, in seconds.
const TTL: u32 = 3_600;
/// Uploads that broke off, of which the beginning is kept.
const MAX_BEGINNINGS: usize = 16;

/// Why bytes were not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The bytes are not what their name says.
    #[error("the SHA-256 of these bytes is not the token they were uploaded under")]
    WrongHash,
    /// There are too many.
    #[error("the file is larger than the store takes")]
    TooLarge,
}

/// What is there of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing.
    None,
    /// So many bytes from its start.
    Begun(usize),
    /// All of it.
    Complete,
}

/// See the module. Cheap to clone: all clones are the same store.
#[derive(Debug, Clone)]
pub struct MediaStore {
    auth: Arc<str>,
    entries: Arc<Mutex<StoredFiles>>,
    /// Whether who asks for a file waits.
    held: Arc<watch::Sender<bool>>,
}

#[derive(Debug, Default)]
struct StoredFiles {
    files: HashMap<String, Bytes>,
    /// From the oldest to the newest.
    order: VecDeque<String>,
    bytes: usize,
    beginnings: VecDeque<(String, Vec<u8>)>,
    pictures: VecDeque<(String, Bytes)>,
}

impl MediaStore {
    /// An empty store; `auth` is the token that uploads must carry.
    #[must_use]
    pub fn new(auth: &str) -> Self {
        Self { auth: Arc::from(auth), entries: Arc::default(), held: Arc::new(watch::Sender::new(false)) }
    }

    /// The token that uploads must carry.
    #[must_use]
    pub fn auth(&self) -> &str {
        &self.auth
    }

    /// Lets everybody wait who asks for a file, until it is let go.
    pub fn hold(&self, on: bool) {
        self.held.send_replace(on);
    }

    /// Waits until files are let go.
    async fn wait_until_resumed(&self) {
        // The sender is this store's own.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
    }

    /// Stores encrypted bytes under their own hash, which it gives back as a name.
    ///
    /// # Errors
    /// When the file is larger than [`MAX_FILE`].
    pub fn put(&self, bytes: Bytes) -> Result<String, StoreError> {
        let token = token_of(&bytes);
        self.put_as(&token, bytes)?;
        Ok(token)
    }

    /// Stores encrypted bytes under the name that they were uploaded as.
    ///
    /// # Errors
    /// When it is not their hash, or the file is larger than [`MAX_FILE`].
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

    /// The encrypted bytes of a name.
    #[must_use]
    pub fn get(&self, token: &str) -> Option<Bytes> {
        self.entries().files.get(token).cloned()
    }

    /// Forgets a file, as the network does after some weeks; whether there was one.
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

    /// How far an upload came.
    #[must_use]
    pub fn progress(&self, token: &str) -> Progress {
        let entries = self.entries();
        if entries.files.contains_key(token) {
            return Progress::Complete;
        }
        let begun = entries.beginnings.iter().find(|(name, _)| name == token);
        begun.map_or(Progress::None, |(_, bytes)| Progress::Begun(bytes.len()))
    }

    /// Keeps what came of an upload that broke off.
    pub fn begin(&self, token: &str, bytes: Vec<u8>) {
        let mut entries = self.entries();
        entries.beginnings.retain(|(name, _)| name != token);
        entries.beginnings.push_back((token.to_owned(), bytes));
        if entries.beginnings.len() > MAX_BEGINNINGS {
            entries.beginnings.pop_front();
        }
    }

    /// Takes the first `len` bytes of an upload that broke off, to go on from there.
    #[must_use]
    pub fn resume(&self, token: &str, len: usize) -> Option<Vec<u8>> {
        let mut entries = self.entries();
        let at = entries.beginnings.iter().position(|(name, bytes)| name == token && bytes.len() >= len)?;
        let (_, mut bytes) = entries.beginnings.remove(at)?;
        bytes.truncate(len);
        Some(bytes)
    }

    /// Keeps a picture that everybody may see, under `id`.
    pub fn put_picture(&self, id: &str, bytes: Bytes) {
        let mut entries = self.entries();
        entries.pictures.retain(|(name, _)| name != id);
        entries.pictures.push_back((id.to_owned(), bytes));
        if entries.pictures.len() > MAX_FILES {
            entries.pictures.pop_front();
        }
    }

    /// A picture.
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

/// Answers `w:m`: the testbed's own address, and the token that uploads carry.
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

/// The name of encrypted bytes: their SHA-256, as clients write it into addresses.
#[must_use]
pub fn token_of(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_stored_only_under_their_own_hash() {
        let store = MediaStore::new("secret");
        let bytes = Bytes::from_static(b"some encrypted bytes");
        assert_eq!(store.put_as("something-else", bytes.clone()), Err(StoreError::WrongHash));
        assert!(store.is_empty());
        let token = store.put(bytes.clone()).unwrap();
        assert_eq!(store.get(&token), Some(bytes));
    }

    #[test]
    fn the_oldest_file_makes_room_for_the_newest() {
        let store = MediaStore::new("secret");
        let first = store.put(Bytes::from_static(b"first")).unwrap();
        for at in 0..MAX_FILES {
            store.put(Bytes::from(at.to_le_bytes().to_vec())).unwrap();
        }
        assert_eq!(store.len(), MAX_FILES);
        assert_eq!(store.get(&first), None);
    }

    #[test]
    fn an_upload_that_broke_off_goes_on_where_it_stopped() {
        let store = MediaStore::new("secret");
        assert_eq!(store.progress("name"), Progress::None);
        store.begin("name", vec![1, 2, 3]);
        assert_eq!(store.progress("name"), Progress::Begun(3));
        assert_eq!(store.resume("name", 4), None);
        assert_eq!(store.resume("name", 2), Some(vec![1, 2]));
        assert_eq!(store.progress("name"), Progress::None);
    }
}
