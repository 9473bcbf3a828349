//! Media: [`uploads`] stores files, [`outgoing`] resolves the file of a message to be sent, [`serving`] reads files,
//! [`links`] signs their URLs, [`gc`] removes them, and [`file_store`] has locks and reservations.
//!
//! Invariant: a row exists only for a file that is in the store. A file is stored before its row and removed after
//! it, under the locks [`file_store::MediaFileStore::adding`] and [`file_store::MediaFileStore::removing`].

use std::sync::Arc;

use super::limits::Limits;
use crate::domain::clock::{Clock, Random};
use crate::lifecycle::Tasks;
use crate::net::GuardedClient;
use crate::store::Store;

pub(super) mod chat_files;
mod file_store;
mod gc;
pub(super) mod links;
mod outgoing;
pub(super) mod pictures;
pub(super) mod port;
mod serving;
mod uploads;

pub(super) use file_store::MediaFileStore;
pub use uploads::Uploaded;

/// A file to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMedia {
    /// The source of its bytes.
    pub source: MediaSource,
    /// The file name that the recipient sees.
    pub filename: Option<String>,
    /// The kind of message.
    pub as_what: SendAs,
}

/// The source of a file to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// An upload, by its `mediaId`.
    Uploaded(String),
    /// A URL, which is fetched when the message is accepted.
    Url(String),
    /// The bytes themselves.
    Inline(Vec<u8>),
}

/// The kind of message that a file is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SendAs {
    /// By its content type.
    #[default]
    Content,
    /// A voice note; audio only.
    Voice,
    /// A sticker; WebP only.
    Sticker,
    /// A document of any type.
    Document,
}

/// Uploads, links, serving and garbage collection of media.
#[derive(Clone)]
pub struct MediaService {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    tasks: Tasks,
    limits: Arc<Limits>,
    /// Fetches files from the URLs of clients.
    http: GuardedClient,
    /// The prefix of signed URLs; relative if empty.
    public_url: Arc<str>,
    files: Arc<MediaFileStore>,
}

impl MediaService {
    #[expect(clippy::too_many_arguments, reason = "one argument per field")]
    pub(super) fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        tasks: Tasks,
        limits: Arc<Limits>,
        http: GuardedClient,
        public_url: Arc<str>,
        files: crate::media::Files,
    ) -> Self {
        let files = Arc::new(MediaFileStore::new(files));
        Self { store, clock, random, tasks, limits, http, public_url, files }
    }
}
