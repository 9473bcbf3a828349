//! Files: taking them in, giving them out, and letting go of those that nothing refers to.
//!
//! [`shelf`] holds the store of files and what keeps it in step with the database; [`intake`] takes files in,
//! [`outgoing`] makes sure that a file to be sent is there, [`serving`] gives files out, [`letting_go`] removes.
//!
//! Invariants: a row in the database stands only for a file that is in the store, so files are kept before
//! their rows and removed after them; between both nothing else touches the store ([`file_store::Shelf::adding`],
//! [`file_store::Shelf::removing`]).

use std::sync::Arc;

use super::limits::Limits;
use crate::domain::clock::{Clock, Random};
use crate::lifecycle::Tasks;
use crate::net::GuardedClient;
use crate::store::Store;

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
    /// Where it comes from.
    pub source: MediaSource,
    /// What the recipient sees it called.
    pub filename: Option<String>,
    /// As what it is sent.
    pub as_what: SendAs,
}

/// Where a file to be sent comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// It was uploaded before; this is its `mediaId`.
    Uploaded(String),
    /// It is fetched from there, when the message is accepted.
    Url(String),
    /// These are its bytes.
    Inline(Vec<u8>),
}

/// As what a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SendAs {
    /// As its content suggests.
    #[default]
    Content,
    /// A voice note; for sound only.
    Voice,
    /// A sticker; for WebP pictures only.
    Sticker,
    /// A document, whatever it is.
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
    /// Fetches media that a client names by its URL.
    http: GuardedClient,
    /// The start of media links; links are relative when it is empty.
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
