//! Export and import of chats. Both stream; a whole chat is never held in memory.

use std::sync::Arc;

use super::limits::Limits;
use super::media::MediaService;
use super::messaging::Messaging;
use crate::domain::clock::Clock;
use crate::lifecycle::Tasks;
use crate::store::Store;

pub(super) mod export;
pub(super) mod import;

/// Export and import of chats.
#[derive(Clone)]
pub struct History {
    store: Store,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    limits: Arc<Limits>,
    media: Arc<MediaService>,
    messaging: Arc<Messaging>,
    imports: Arc<import::Imports>,
}

impl History {
    pub(super) fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        limits: Arc<Limits>,
        media: Arc<MediaService>,
        messaging: Arc<Messaging>,
    ) -> Self {
        Self { store, clock, tasks, limits, media, messaging, imports: Arc::default() }
    }
}
