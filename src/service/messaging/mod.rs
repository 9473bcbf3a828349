//! Messages, chats, contacts and groups of a device.
//!
//! Every change and its events are one transaction.

use std::sync::Arc;

use super::limits::Limits;
use super::log::Logs;
use super::media::MediaService;
use super::registry::Registry;
use crate::domain::clock::{Clock, Random};
use crate::lifecycle::Tasks;
use crate::store::Store;
use crate::telemetry::Metrics;

pub(super) mod changes;
pub(super) mod chat_changes;
pub(super) mod chat_updates;
pub(super) mod chats;
pub(super) mod clear_chat;
pub(super) mod contacts;
pub(super) mod fetch_media;
pub(super) mod group_changes;
pub(super) mod groups;
pub(super) mod identity;
pub(super) mod ingest;
pub(super) mod ingest_calls;
pub(super) mod mark_read;
pub(super) mod messages;
pub(super) mod outbox;
pub(super) mod own_changes;
pub(super) mod pending_sync;
mod pictures;
pub(super) mod send;
pub(super) mod typing;

/// Dependencies of [`Messaging`].
pub(super) struct MessagingParts {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
    pub(super) limits: Arc<Limits>,
    pub(super) registry: Arc<Registry>,
    pub(super) logs: Arc<Logs>,
    pub(super) media: Arc<MediaService>,
}

/// Sending, ingest and changes of messages, chats, contacts and groups.
#[derive(Clone)]
pub struct Messaging {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    tasks: Tasks,
    metrics: Metrics,
    limits: Arc<Limits>,
    registry: Arc<Registry>,
    logs: Arc<Logs>,
    media: Arc<MediaService>,
    chat_updates: Arc<chat_updates::ChatUpdates>,
    message_locks: Arc<changes::MessageLocks>,
    typing: Arc<typing::Typing>,
    own_changes: Arc<own_changes::OwnChangeTracker>,
    pictures: Arc<pictures::Pictures>,
}

impl Messaging {
    pub(super) fn new(parts: MessagingParts) -> Self {
        Self {
            store: parts.store,
            clock: parts.clock,
            random: parts.random,
            tasks: parts.tasks,
            metrics: parts.metrics,
            limits: parts.limits,
            registry: parts.registry,
            logs: parts.logs,
            media: parts.media,
            chat_updates: Arc::default(),
            message_locks: Arc::default(),
            typing: Arc::default(),
            own_changes: Arc::default(),
            pictures: Arc::default(),
        }
    }
}

/// Whether ingest publishes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum IngestMode {
    /// Events are published and unread counters grow.
    Live,
    /// History from before the link: no events, nothing unread.
    History,
}
