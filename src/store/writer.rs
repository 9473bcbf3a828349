//! The only thread that writes. It commits all queued writes in one group.
//!
//! Invariants: a caller receives success only after the commit. A failed write changes nothing, and fails no other
//! write of its group, except where SQLite rolls back the whole transaction. The queue is bounded; a write that finds
//! it full is refused.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::device_records::DeviceRecords;
use super::error::StoreError;
use super::tx::{Appended, InboxContext, Tx};
use super::wakeups::all_logs::AllLogs;
use super::wakeups::dirty_endpoints::DirtyEndpoints;
use super::wakeups::dirty_logs::DirtyLogs;
use super::wakeups::log_heads::LogHeads;

/// Maximum writes per commit: large enough to amortize the fsync, small enough to answer soon.
const GROUP: usize = 256;

type Writes = Vec<Box<dyn Work>>;

/// The error of the last group, `None` if it was committed.
type LastFailure = Arc<parking_lot::Mutex<Option<StoreError>>>;

enum Job {
    Write(Box<dyn Work>),
    Close,
}

/// Receives the writer's metrics.
pub trait WriterObserver: Send + Sync + 'static {
    /// A group was committed; `seconds` is the duration of the commit.
    fn committed(&self, writes: usize, seconds: f64);
    /// Events were appended to logs.
    fn appended(&self, events: usize);
    /// A write was refused because the queue is full.
    fn refused(&self);
    /// This statement of a group failed, as all do on a full disk.
    fn failed(&self, statement: &'static str, error: &StoreError) {
        tracing::error!(statement, %error, "writing to the database failed");
    }
}

/// Effects of a commit outside the database: metrics and wake-ups.
pub(super) struct CommitEffects {
    pub(super) heads: Arc<LogHeads>,
    pub(super) device_records: Arc<DeviceRecords>,
    pub(super) hints: Arc<DirtyEndpoints>,
    pub(super) growth: Arc<DirtyLogs>,
    pub(super) chat: watch::Sender<i64>,
    pub(super) all_logs: Arc<AllLogs>,
    pub(super) observer: Arc<dyn WriterObserver>,
}

pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    observer: Arc<dyn WriterObserver>,
    failure: LastFailure,
    /// Whether transactions maintain device conversations.
    operator_chat: Arc<OnceLock<InboxContext>>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        queue: usize,
        effects: CommitEffects,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(queue);
        let observer = effects.observer.clone();
        let failure = LastFailure::default();
        let last_failure = failure.clone();
        let run = move || Group { connection, effects, last_failure }.run(waiting);
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(run)?;
        let thread = std::sync::Mutex::new(Some(thread));
        Ok(Self { jobs, observer, failure, operator_chat: Arc::default(), thread })
    }

    /// Makes later transactions maintain device conversations.
    pub(super) fn enable_operator_chat(&self, inboxes: InboxContext) {
        // Set once, before the first transaction of chat.
        let _ = self.operator_chat.set(inboxes);
    }

    /// Number of queued writes.
    pub(super) fn depth(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }

    /// The error of the last group of writes, if it could not be committed.
    pub(super) fn failure(&self) -> Option<StoreError> {
        self.failure.lock().clone()
    }

    /// Queues a write and waits for its commit; refuses it when the queue is full.
    pub(super) async fn try_write<T, E, F>(&self, write: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (work, answer) = package(write, self.operator_chat.clone());
        self.jobs.try_send(Job::Write(work)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.observer.refused();
                StoreError::Busy
            }
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Waits for capacity in the queue, then writes like [`Self::try_write`].
    pub(super) async fn write<T, E, F>(&self, write: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (work, answer) = package(write, self.operator_chat.clone());
        self.jobs.send(Job::Write(work)).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Commits the queued writes, then ends the thread.
    pub(super) async fn close(&self) {
        let _ = self.jobs.send(Job::Close).await;
        let thread = self.thread.lock().map_or(None, |mut slot| slot.take());
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

fn package<T, E, F>(
    write: F,
    operator_chat: Arc<OnceLock<InboxContext>>,
) -> (Box<dyn Work>, oneshot::Receiver<Result<T, E>>)
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: Fn(&Tx<'_>) -> Result<T, E> + Send + 'static,
{
    let (answer, wait) = oneshot::channel();
    let queued = QueuedWrite { write, operator_chat, result: None, appended: Appended::default(), answer };
    (Box::new(queued), wait)
}

/// A queued write of any type.
trait Work: Send {
    /// Runs the write and keeps its result. `false` when it failed.
    fn run(&mut self, connection: &Connection) -> bool;

    /// The result of a write that could not run, or whose changes SQLite took back.
    fn fail(&mut self, error: StoreError);

    /// The entries that the write appended, if it succeeded.
    fn appended(&mut self) -> Option<&mut Appended>;

    /// Answers the caller: with its own error, or with the result of the commit.
    fn answer(self: Box<Self>, committed: &Result<(), StoreError>);
}

/// A write with its result, until it is committed.
struct QueuedWrite<T, E, F> {
    write: F,
    operator_chat: Arc<OnceLock<InboxContext>>,
    result: Option<Result<T, E>>,
    appended: Appended,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Work for QueuedWrite<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: Fn(&Tx<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let tx = Tx::new(connection, self.operator_chat.get().cloned());
        let result = catch_unwind(AssertUnwindSafe(|| (self.write)(&tx)));
        let result = result.unwrap_or_else(|_| Err(StoreError::Panicked.into()));
        self.appended = tx.into_appended();
        self.result.insert(result).is_ok()
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(error.into()));
    }

    fn appended(&mut self) -> Option<&mut Appended> {
        matches!(self.result, Some(Ok(_))).then_some(&mut self.appended)
    }

    fn answer(self: Box<Self>, committed: &Result<(), StoreError>) {
        let result = match (self.result, committed) {
            (Some(Ok(_)), Err(error)) => Err(error.clone().into()),
            (Some(result), _) => result,
            (None, Err(error)) => Err(error.clone().into()),
            (None, Ok(())) => Err(StoreError::Closed.into()),
        };
        let _ = self.answer.send(result);
    }
}

/// Runs a statement without rows; it is prepared once.
fn run(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

struct Group {
    connection: Connection,
    effects: CommitEffects,
    last_failure: LastFailure,
}

impl Group {
    fn run(self, mut waiting: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(GROUP);
        loop {
            if waiting.blocking_recv_many(&mut jobs, GROUP) == 0 {
                break;
            }
            let mut writes = Vec::with_capacity(jobs.len());
            let mut closing = false;
            for job in jobs.drain(..) {
                match job {
                    Job::Write(work) => writes.push(work),
                    Job::Close => closing = true,
                }
            }
            self.group_commit(writes);
            if closing {
                waiting.close();
            }
        }
        match self.checkpoint() {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                "another program reads the database: wharf.db is incomplete without wharf.db-wal"
            ),
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be moved into wharf.db"),
        }
        if let Err(error) = self.connection.close() {
            tracing::warn!(error = %error.1, "the database did not close cleanly; it recovers at the next start");
        }
    }

    /// Moves all commits from the write-ahead log into the database file; `false` if a reader prevents it.
    fn checkpoint(&self) -> rusqlite::Result<bool> {
        let busy: i64 = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(busy == 0)
    }

    fn group_commit(&self, mut writes: Writes) {
        if writes.is_empty() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "measures a duration for a metric; decides nothing")]
        let started = std::time::Instant::now();
        let committed = self.write_together(&mut writes).unwrap_or_else(|| self.write_apart(&mut writes));
        *self.last_failure.lock() = committed.clone().err();
        self.effects.observer.committed(writes.len(), started.elapsed().as_secs_f64());
        self.publish(writes, &committed);
    }

    /// Runs all writes and commits. A savepoint for each would make SQLite copy every page that several of them
    /// change. `None`, and nothing is changed, when a write failed after it had changed something.
    fn write_together(&self, writes: &mut Writes) -> Option<Result<(), StoreError>> {
        if let Err(error) = self.begin() {
            return Some(Err(error));
        }
        let changes_before = self.connection.total_changes();
        let is_alone = writes.len() == 1;
        for write in writes.iter_mut() {
            let before = self.connection.total_changes();
            if write.run(&self.connection) {
                continue;
            }
            if self.connection.is_autocommit() {
                // SQLite ended the transaction by itself: the disk is full, or an I/O error occurred.
                return is_alone.then_some(Err(StoreError::RolledBack));
            }
            if self.connection.total_changes() != before {
                self.roll_back();
                return is_alone.then_some(Ok(()));
            }
        }
        if self.connection.total_changes() == changes_before {
            // There is nothing to write to the disk.
            self.roll_back();
            return Some(Ok(()));
        }
        Some(self.commit())
    }

    /// Runs the writes again, each in a savepoint of its own, and commits those that succeed.
    fn write_apart(&self, writes: &mut Writes) -> Result<(), StoreError> {
        self.begin()?;
        let mut since_begin = 0;
        for index in 0..writes.len() {
            self.write_in_savepoint(&mut writes[index]);
            if self.connection.is_autocommit() {
                // SQLite ended the transaction by itself (disk full, I/O error): the writes since then are lost.
                writes[since_begin..=index].iter_mut().for_each(|lost| lost.fail(StoreError::RolledBack));
                since_begin = index + 1;
                self.begin()?;
            }
        }
        self.commit()
    }

    fn write_in_savepoint(&self, write: &mut Box<dyn Work>) {
        if let Err(error) = run(&self.connection, "SAVEPOINT job") {
            return write.fail(error);
        }
        if !write.run(&self.connection) {
            // Fails only when SQLite has already rolled back the transaction.
            let _ =
                run(&self.connection, "ROLLBACK TO job").and_then(|()| run(&self.connection, "RELEASE job"));
        } else if let Err(error) = run(&self.connection, "RELEASE job") {
            write.fail(error);
        }
    }

    /// Takes all changes back. SQLite may have done so by itself.
    fn roll_back(&self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = run(&self.connection, "ROLLBACK") {
            self.effects.observer.failed("ROLLBACK", &error);
        }
    }

    fn begin(&self) -> Result<(), StoreError> {
        run(&self.connection, "BEGIN IMMEDIATE")
            .inspect_err(|error| self.effects.observer.failed("BEGIN", error))
    }

    fn commit(&self) -> Result<(), StoreError> {
        run(&self.connection, "COMMIT").inspect_err(|error| {
            self.effects.observer.failed("COMMIT", error);
            self.roll_back();
        })
    }

    fn publish(&self, mut writes: Writes, committed: &Result<(), StoreError>) {
        let mut events = 0;
        if committed.is_ok() {
            for appended in writes.iter_mut().filter_map(|write| write.appended()) {
                events += appended.events;
                self.wake(appended);
            }
        }
        writes.into_iter().for_each(|write| write.answer(committed));
        self.effects.observer.appended(events);
    }

    /// Removes outdated copies, and wakes the readers of the logs that grew.
    fn wake(&self, appended: &mut Appended) {
        self.effects.device_records.remove(&appended.devices);
        let grown = appended.heads.iter().filter(|change| !change.entries.is_empty());
        self.effects.growth.add(grown.clone().map(|change| &change.device));
        self.effects.all_logs.add(grown.map(|change| &change.device));
        for change in &mut appended.heads {
            self.effects.heads.advance(change);
        }
        self.effects.hints.add(&appended.deliveries);
        if let Some(seq) = appended.chat_seq {
            self.effects.chat.send_replace(seq);
        }
    }
}
