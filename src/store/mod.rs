//! The only SQL. What is written here is durable when a call returns; nothing else is.
//!
//! [`Store::write`] runs a use case's operations ([`Tx`]) in one transaction on the writer thread, which
//! commits together whatever waits; [`Store::read`] runs queries ([`Reader`]) on connections of their own
//! that never wait for it. Operations speak of devices, messages and events, never of SQL or connections,
//! so that another database can stand behind them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::ids::DeviceId;

pub mod api_keys;
mod chat_changes;
pub mod chats;
mod column_codec;
pub mod contacts;
mod content_column;
mod daemon_secrets;
pub mod device_secrets;
pub mod devices;
mod error;
pub mod events;
pub mod groups;
pub mod history_export;
pub mod history_import;
pub mod hourly_counters;
pub mod idempotency;
pub mod identity;
pub mod media;
mod merge_duplicates;
pub mod message_changes;
pub mod messages;
pub mod notifications;
pub mod notify_mutes;
pub mod notify_rules;
mod open;
pub mod orphan_changes;
pub mod outbox;
pub mod outbox_admin;
pub mod pending_clears;
pub mod pending_sync;
pub mod push_subscriptions;
mod readers;
pub mod retention;
pub mod rewrite_jids;
mod seal;
pub mod search;
pub mod send_log;
#[cfg(test)]
mod tests;
mod tx;
pub mod vault;
mod wakeups;
pub mod webhook_attempts;
pub mod webhook_dead_letters;
pub mod webhook_deliveries;
pub mod webhook_endpoints;
pub mod webhook_ordering;
pub mod webhook_replays;
#[cfg(test)]
mod webhook_tests;
mod writer;

pub use error::{OpenError, StoreError};
pub use open::{Synchronous, database_file};
pub use seal::VaultKey;
pub use tx::{Reader, Tx};
pub use wakeups::dirty_endpoints::EndpointWakeup;
pub use writer::WriterObserver;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// When a commit counts as done.
    pub synchronous: Synchronous,
    /// How many writes may wait before callers are refused with [`StoreError::Busy`].
    pub write_queue: usize,
    /// How many reads may run at once.
    pub readers: usize,
    /// Seals what engines keep; `None` keeps it as it is.
    pub vault_key: Option<VaultKey>,
}

/// A handle to the store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: writer::Writer,
    readers: readers::Readers,
    heads: Arc<crate::store::wakeups::seq_watch::SeqWatch>,
    hints: Arc<crate::store::wakeups::dirty_endpoints::DirtyEndpoints>,
    growth: Arc<crate::store::wakeups::dirty_logs::DirtyLogs>,
    seal: Arc<seal::Seal>,
    _lock: File,
}

impl Store {
    /// Opens the data directory and takes it for this process. Blocks: call it before serving.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and what to do; a file that cannot be used is never replaced.
    pub fn open(
        data_dir: &Path,
        options: StoreOptions,
        observer: Arc<dyn WriterObserver>,
    ) -> Result<Self, OpenError> {
        let lock = open::lock(data_dir)?;
        let path = database_file(data_dir);
        let connection = open::writer(&path, options.synchronous)?;
        let seal = Arc::new(open::seal(&connection, &path, options.vault_key)?);
        let readers = readers::Readers::open(&path, options.readers)?;
        let heads = Arc::new(crate::store::wakeups::seq_watch::SeqWatch::default());
        let hints = Arc::new(crate::store::wakeups::dirty_endpoints::DirtyEndpoints::default());
        let growth = Arc::new(crate::store::wakeups::dirty_logs::DirtyLogs::default());
        let told = writer::CommitEffects {
            heads: heads.clone(),
            hints: hints.clone(),
            growth: growth.clone(),
            observer,
        };
        let writer = writer::Writer::start(connection, options.write_queue, told)
            .map_err(|source| OpenError::Directory { path: data_dir.to_owned(), source })?;
        Ok(Self { inner: Arc::new(Inner { writer, readers, heads, hints, growth, seal, _lock: lock }) })
    }

    /// Runs `write` in a transaction and returns after its commit. For requests that a client can repeat:
    /// a full queue is [`StoreError::Busy`] at once.
    ///
    /// # Errors
    /// Whatever `write` answers (and then nothing of it is kept), or why it could not be committed.
    pub async fn write<T, E, F>(&self, write: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.inner.writer.try_write(write).await
    }

    /// As [`Store::write`], but waits for a place in the queue: for the daemon's own tasks, each of which
    /// has at most a few writes under way.
    ///
    /// # Errors
    /// As [`Store::write`], without [`StoreError::Busy`].
    pub async fn write_patiently<T, E, F>(&self, write: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.inner.writer.write(write).await
    }

    /// Runs `read` on a connection of its own, off the async threads.
    ///
    /// # Errors
    /// Whatever `read` answers, or why it could not be run.
    pub async fn read<T, E, F>(&self, read: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    {
        self.inner.readers.read(read).await
    }

    /// Changes after each commit that appends to this device's log. A hint: the log is the truth.
    #[must_use]
    pub fn follow(&self, device: &DeviceId) -> watch::Receiver<i64> {
        self.inner.heads.follow(device)
    }

    /// Waits until commits call for deliveries, or change endpoints, and says of which. A hint, for one caller at a
    /// time: what waits stands in the store.
    pub async fn next_deliveries(
        &self,
    ) -> std::collections::BTreeMap<webhook_endpoints::EndpointKey, EndpointWakeup> {
        self.inner.hints.take().await
    }

    /// Waits until commits make logs longer, and says whose. A hint, for one caller at a time: the logs are the truth.
    pub async fn next_grown(&self) -> std::collections::BTreeSet<DeviceId> {
        self.inner.growth.take().await
    }

    /// How many writes wait.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.inner.writer.depth()
    }

    /// Commits what waits and closes the database. Later writes answer [`StoreError::Closed`].
    pub async fn close(&self) {
        self.inner.writer.close().await;
    }
}
