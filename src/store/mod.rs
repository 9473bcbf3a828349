//! The only module with SQL. Data is durable when a write call returns.
//!
//! [`Store::write`] runs a use case's operations ([`Tx`]) in one transaction on the writer thread, which
//! commits all queued writes in one group. [`Store::read`] runs queries ([`Reader`]) on separate connections
//! that never wait for writes. The operations expose devices, messages and events, not SQL or connections, so
//! that another database can replace SQLite.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::domain::device::Device;
use crate::domain::ids::DeviceId;

pub mod api_keys;
pub mod backup;
mod chat_changes;
pub mod chat_events;
pub mod chat_files;
pub mod chat_messages;
pub mod chat_notifications;
pub mod chat_receipt_ranges;
pub mod chat_send_dedup;
pub mod chat_sessions;
pub mod chats;
mod column_codec;
pub mod contacts;
mod content_column;
mod conversation_members;
pub mod conversations;
mod daemon_secrets;
pub mod dashboard_sessions;
mod data_files;
pub mod device_contacts;
#[cfg(test)]
mod device_conversation_tests;
pub mod device_conversations;
mod device_records;
pub mod device_secrets;
pub mod devices;
mod disk_reserve;
mod earlier_data;
mod error;
pub mod events;
pub mod groups;
pub mod history_export;
pub mod history_import;
pub mod hourly_counters;
pub mod idempotency;
pub mod identity;
pub mod inbox_grants;
pub mod inbox_metrics;
pub mod inbox_workflow;
mod log_identity;
pub mod media;
#[cfg(test)]
mod media_tests;
mod merge_duplicates;
pub mod message_changes;
mod message_responses;
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
#[cfg(test)]
mod read_tests;
mod readers;
pub mod retention;
pub mod rewrite_jids;
#[cfg(test)]
mod room_tests;
pub mod rooms;
mod seal;
pub mod search;
pub mod send_log;
#[cfg(test)]
mod tests;
mod tx;
pub mod users;
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

pub use disk_reserve::DiskReserve;
pub use earlier_data::earlier_data;
pub use error::{OpenError, StoreError};
pub use open::{Synchronous, database_file};
pub use seal::VaultKey;
pub use tx::{InboxContext, Reader, Tx};
pub use wakeups::dirty_endpoints::EndpointWakeup;
pub use wakeups::log_heads::{LogHead, RecentEntries};
pub use writer::WriterObserver;

/// Options for opening a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// When a commit counts as durable.
    pub synchronous: Synchronous,
    /// Maximum queued writes; beyond that callers receive [`StoreError::Busy`].
    pub write_queue: usize,
    /// Number of read connections.
    pub readers: usize,
    /// Seals engine state; `None` stores it in plain form.
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
    heads: Arc<crate::store::wakeups::log_heads::LogHeads>,
    device_records: Arc<device_records::DeviceRecords>,
    hints: Arc<crate::store::wakeups::dirty_endpoints::DirtyEndpoints>,
    growth: Arc<crate::store::wakeups::dirty_logs::DirtyLogs>,
    chat: watch::Sender<i64>,
    all_logs: Arc<crate::store::wakeups::all_logs::AllLogs>,
    log_identity: Arc<log_identity::LogIdentity>,
    seal: Arc<seal::Seal>,
    data_files: data_files::DataFiles,
    /// Held until the store is closed: handlers of closed sockets may keep the store longer.
    lock: Mutex<Option<File>>,
}

impl Store {
    /// Opens the data directory and locks it for this process. Blocks: call it before serving.
    ///
    /// # Errors
    /// An [`OpenError`] names the problem and its remedy; an unusable file is never replaced.
    pub fn open(
        data_dir: &Path,
        options: StoreOptions,
        observer: Arc<dyn WriterObserver>,
    ) -> Result<Self, OpenError> {
        Self::open_files(data_dir, options, observer).map_err(|error| {
            if error.needs_space() && disk_reserve::is_disk_full(data_dir) {
                return OpenError::DiskFull { path: data_dir.to_owned(), source: Box::new(error) };
            }
            error
        })
    }

    fn open_files(
        data_dir: &Path,
        options: StoreOptions,
        observer: Arc<dyn WriterObserver>,
    ) -> Result<Self, OpenError> {
        let lock = open::lock(data_dir)?;
        let path = database_file(data_dir);
        let earlier = earlier_data(data_dir);
        if !earlier.is_empty() {
            let found = earlier.join(", ");
            tracing::warn!(
                path = %path.display(),
                found,
                "the database is new, but other data is there; stop the daemon and restore wharf.db if it is missing"
            );
        }
        let connection = open::writer(&path, options.synchronous)?;
        let seal = Arc::new(open::seal(&connection, &path, options.vault_key)?);
        let log_identity = log_identity::LogIdentity::open(&connection, data_dir)
            .map_err(|source| OpenError::LogIdentity { path: path.clone(), source })?;
        let readers = readers::Readers::open(&path, options.readers)?;
        let data_files = data_files::DataFiles::new(&[path, open::lock_file(data_dir)])
            .map_err(|source| OpenError::Directory { path: data_dir.to_owned(), source })?;
        let heads = Arc::new(crate::store::wakeups::log_heads::LogHeads::default());
        let device_records = Arc::<device_records::DeviceRecords>::default();
        let hints = Arc::new(crate::store::wakeups::dirty_endpoints::DirtyEndpoints::default());
        let growth = Arc::new(crate::store::wakeups::dirty_logs::DirtyLogs::default());
        let chat = watch::Sender::new(0);
        let all_logs = Arc::new(crate::store::wakeups::all_logs::AllLogs::default());
        let effects = writer::CommitEffects {
            heads: heads.clone(),
            device_records: device_records.clone(),
            hints: hints.clone(),
            growth: growth.clone(),
            chat: chat.clone(),
            all_logs: all_logs.clone(),
            observer,
        };
        let writer = writer::Writer::start(connection, options.write_queue, effects)
            .map_err(|source| OpenError::Directory { path: data_dir.to_owned(), source })?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer,
                readers,
                heads,
                device_records,
                hints,
                growth,
                chat,
                all_logs,
                log_identity: Arc::new(log_identity),
                seal,
                data_files,
                lock: Mutex::new(Some(lock)),
            }),
        })
    }

    /// Runs `write` in a transaction and returns after its commit. For requests that a client can repeat: a
    /// full queue returns [`StoreError::Busy`] at once.
    ///
    /// # Errors
    /// The error of `write`, or of the commit; nothing is stored then.
    pub async fn write<T, E, F>(&self, write: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.inner.writer.try_write(write).await
    }

    /// Like [`Store::write`], but waits for capacity in the queue. For the daemon's own tasks, each of which
    /// has at most a few writes in progress.
    ///
    /// # Errors
    /// Like [`Store::write`], without [`StoreError::Busy`].
    pub async fn write_patiently<T, E, F>(&self, write: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.inner.writer.write(write).await
    }

    /// Runs `read` on a separate connection, off the async threads.
    ///
    /// # Errors
    /// The error of `read`, or of running it.
    pub async fn read<T, E, F>(&self, read: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    {
        self.inner.readers.read(None, read).await
    }

    /// Like [`Store::read`], for a request about one device: devices take turns.
    ///
    /// # Errors
    /// Like [`Store::read`]; [`StoreError::Busy`] when too many reads of the device are waiting.
    pub async fn read_of<T, E, F>(&self, device: &DeviceId, read: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    {
        self.inner.readers.read(Some(device), read).await
    }

    /// A device's record, from memory if it did not change since the last call.
    ///
    /// # Errors
    /// Like [`Store::read_of`].
    pub async fn device_record(&self, id: &DeviceId) -> Result<Option<Arc<Device>>, StoreError> {
        let began = match self.inner.device_records.get(id) {
            Ok(record) => return Ok(Some(record)),
            Err(began) => began,
        };
        let of = id.clone();
        let read = self.read_of(id, move |store| store.device(&of)).await?;
        let record = read.map(Arc::new);
        if let Some(record) = &record {
            self.inner.device_records.keep(began, record);
        }
        Ok(record)
    }

    /// The id of a device's event log. It changes when the database is replaced by an older copy.
    #[must_use]
    pub fn log_id(&self, device: &DeviceId) -> String {
        self.inner.log_identity.of(device)
    }

    /// Records the positions of the logs beside the database, so that the next start detects an older copy of it. A
    /// file that cannot be written is logged.
    ///
    /// # Errors
    /// Like [`Store::read`].
    pub async fn record_log_positions(&self) -> Result<(), StoreError> {
        let identity = self.inner.log_identity.clone();
        self.read(move |store| {
            identity.record(store.log_positions()?);
            Ok(())
        })
        .await
    }

    /// Changes after each commit that appends to this device's log or changes its state. A hint: the log is the
    /// truth.
    #[must_use]
    pub fn follow(&self, device: &DeviceId) -> watch::Receiver<LogHead> {
        self.inner.heads.follow(device)
    }

    /// Like [`Store::follow`], with the committed entries; for the log's only tail.
    #[must_use]
    pub fn follow_entries(&self, device: &DeviceId) -> (watch::Receiver<LogHead>, Arc<RecentEntries>) {
        self.inner.heads.follow_entries(device)
    }

    /// Waits for commits that add deliveries or change endpoints, and returns these endpoints. A hint for one
    /// caller at a time: the deliveries are in the store.
    pub async fn next_deliveries(
        &self,
    ) -> std::collections::BTreeMap<webhook_endpoints::EndpointKey, EndpointWakeup> {
        self.inner.hints.take().await
    }

    /// Waits for commits that append to logs, and returns their devices. A hint for one caller at a time.
    pub async fn next_grown(&self) -> std::collections::BTreeSet<DeviceId> {
        self.inner.growth.take().await
    }

    /// The database or lock file, if it was deleted or replaced since the start.
    #[must_use]
    pub fn replaced_file(&self) -> Option<&Path> {
        self.inner.data_files.replaced()
    }

    /// The error of the last group of writes, if it could not be committed.
    #[must_use]
    pub fn write_failure(&self) -> Option<StoreError> {
        self.inner.writer.failure()
    }

    /// Makes later transactions maintain device conversations.
    pub fn enable_operator_chat(&self, inboxes: InboxContext) {
        self.inner.writer.enable_operator_chat(inboxes);
    }

    /// Changes after each commit that appends to the log of operator chat. A hint: the log is the truth.
    #[must_use]
    pub fn follow_chat(&self) -> watch::Receiver<i64> {
        self.inner.chat.subscribe()
    }

    /// Starts or stops collecting the devices for [`Store::next_of_all_logs`].
    pub fn follow_all_logs(&self, is_followed: bool) {
        self.inner.all_logs.set_followed(is_followed);
    }

    /// Waits for commits that append to logs while these are followed, and returns their devices. A hint for one
    /// caller at a time.
    pub async fn next_of_all_logs(&self) -> std::collections::BTreeSet<DeviceId> {
        self.inner.all_logs.take().await
    }

    /// Number of queued writes.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.inner.writer.depth()
    }

    /// Commits queued writes and closes the database, whose file is complete then. Later reads and writes
    /// return [`StoreError::Closed`].
    pub async fn close(&self) {
        if let Err(error) = self.record_log_positions().await {
            tracing::warn!(%error, "the positions of the event logs were not recorded");
        }
        // A reader would keep the write-ahead log.
        self.inner.readers.close().await;
        self.inner.writer.close().await;
        self.inner.lock.lock().take();
    }
}
