//! The only thread that writes. It commits all queued writes in one group.
//!
//! Invariants: a caller receives success only after the commit. Savepoints isolate a failed write from the
//! rest of its group; if SQLite rolls back the whole transaction, every caller of the group receives an
//! error. The queue is bounded; a write that finds it full is refused.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::error::StoreError;
use super::tx::{Appended, Tx};
use super::wakeups::all_logs::AllLogs;
use super::wakeups::dirty_endpoints::DirtyEndpoints;
use super::wakeups::dirty_logs::DirtyLogs;
use super::wakeups::log_heads::LogHeads;

/// Maximum writes per commit: large enough to amortize the fsync, small enough to answer soon.
const GROUP: usize = 256;

type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Work = Box<dyn FnOnce(&Connection, Isolation) -> Option<Applied> + Send>;

/// An applied write that waits for the commit of its group.
struct Applied {
    appended: Appended,
    reply: Reply,
}

/// The error of the last group, `None` if it was committed.
type LastFailure = Arc<parking_lot::Mutex<Option<StoreError>>>;

enum Job {
    Write(Work),
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
}

/// Effects of a commit outside the database: metrics and wake-ups.
pub(super) struct CommitEffects {
    pub(super) heads: Arc<LogHeads>,
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
    operator_chat: Arc<AtomicBool>,
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
    pub(super) fn enable_operator_chat(&self) {
        self.operator_chat.store(true, Ordering::Release);
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
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
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
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
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

fn package<T, E, F>(write: F, operator_chat: Arc<AtomicBool>) -> (Work, oneshot::Receiver<Result<T, E>>)
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
{
    let (answer, wait) = oneshot::channel();
    let work: Work = Box::new(move |connection, isolation| {
        let tx = Tx::new(connection, operator_chat.load(Ordering::Acquire));
        apply(tx, connection, isolation, write, answer)
    });
    (work, wait)
}

fn apply<T, E, F>(
    tx: Tx<'_>,
    connection: &Connection,
    isolation: Isolation,
    write: F,
    answer: oneshot::Sender<Result<T, E>>,
) -> Option<Applied>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: FnOnce(&Tx<'_>) -> Result<T, E>,
{
    match isolated(tx, connection, isolation, write) {
        Ok((value, appended)) => {
            let reply: Reply = Box::new(move |committed| {
                let _ = answer.send(committed.map(|()| value).map_err(E::from));
            });
            Some(Applied { appended, reply })
        }
        Err(error) => {
            let _ = answer.send(Err(error));
            None
        }
    }
}

/// How a failed write is taken back without the others of its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    /// It is the only write of its commit: the transaction ends with it.
    Transaction,
    /// It has a savepoint of its own. SQLite keeps a copy of each page that changes within one.
    Savepoint,
}

impl Isolation {
    fn of(writes: usize) -> Self {
        if writes == 1 { Self::Transaction } else { Self::Savepoint }
    }

    fn begin(self, connection: &Connection) -> Result<(), StoreError> {
        match self {
            Self::Transaction => Ok(()),
            Self::Savepoint => run(connection, "SAVEPOINT job"),
        }
    }

    fn keep(self, connection: &Connection) -> Result<(), StoreError> {
        match self {
            Self::Transaction => Ok(()),
            Self::Savepoint => run(connection, "RELEASE job"),
        }
    }

    /// Takes the write back; a whole transaction is rolled back by [`Group`]. Fails only when SQLite has already
    /// rolled back the transaction.
    fn undo(self, connection: &Connection) {
        if self == Self::Savepoint {
            let _ = run(connection, "ROLLBACK TO job").and_then(|()| run(connection, "RELEASE job"));
        }
    }
}

/// Runs a statement without rows; it is prepared once.
fn run(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

fn isolated<T, E, F>(
    tx: Tx<'_>,
    connection: &Connection,
    isolation: Isolation,
    write: F,
) -> Result<(T, Appended), E>
where
    E: From<StoreError>,
    F: FnOnce(&Tx<'_>) -> Result<T, E>,
{
    isolation.begin(connection)?;
    let outcome = catch_unwind(AssertUnwindSafe(|| write(&tx)));
    match outcome.unwrap_or_else(|_| Err(StoreError::Panicked.into())) {
        Ok(value) => {
            isolation.keep(connection)?;
            Ok((value, tx.into_appended()))
        }
        Err(error) => {
            isolation.undo(connection);
            Err(error)
        }
    }
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

    fn group_commit(&self, writes: Vec<Work>) {
        if writes.is_empty() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "measures a duration for a metric; decides nothing")]
        let started = std::time::Instant::now();
        let count = writes.len();
        if !self.begin() {
            // Dropping a write answers `Closed`. Running it outside a transaction would break its atomicity.
            return;
        }
        let isolation = Isolation::of(count);
        let mut applied = Vec::with_capacity(count);
        for work in writes {
            if self.connection.is_autocommit() && !self.restart(&mut applied) {
                // Dropping the remaining writes answers `Closed`; outside a transaction each would commit
                // alone.
                return;
            }
            applied.extend(work(&self.connection, isolation));
        }
        if isolation == Isolation::Transaction && applied.is_empty() {
            return self.roll_back();
        }
        let committed = self.commit();
        *self.last_failure.lock() = committed.clone().err();
        self.effects.observer.committed(count, started.elapsed().as_secs_f64());
        self.publish(applied, &committed);
    }

    /// Ends the transaction of a lone write that failed and was answered.
    fn roll_back(&self) {
        if self.connection.is_autocommit() {
            // SQLite ended the transaction by itself: the disk is full, or an I/O error occurred.
            *self.last_failure.lock() = Some(StoreError::RolledBack);
            return;
        }
        if let Err(error) = run(&self.connection, "ROLLBACK") {
            tracing::error!(%error, "a failed write could not be rolled back");
        }
    }

    /// Handles a transaction that SQLite ended by itself (disk full, I/O error): all applied writes are lost.
    /// Returns `false` when no new transaction can begin.
    fn restart(&self, applied: &mut Vec<Applied>) -> bool {
        for lost in applied.drain(..) {
            (lost.reply)(Err(StoreError::RolledBack));
        }
        self.begin()
    }

    fn begin(&self) -> bool {
        let Err(error) = run(&self.connection, "BEGIN IMMEDIATE") else { return true };
        tracing::error!(%error, "cannot begin a transaction");
        *self.last_failure.lock() = Some(error);
        false
    }

    fn commit(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            return Err(StoreError::RolledBack);
        }
        run(&self.connection, "COMMIT").inspect_err(|error| {
            tracing::error!(%error, "commit failed");
            let _ = run(&self.connection, "ROLLBACK");
        })
    }

    fn publish(&self, applied: Vec<Applied>, committed: &Result<(), StoreError>) {
        let mut events = 0;
        for mut done in applied {
            if committed.is_ok() {
                events += done.appended.events;
                let grown = done.appended.heads.iter().filter(|change| !change.entries.is_empty());
                self.effects.growth.add(grown.clone().map(|change| &change.device));
                self.effects.all_logs.add(grown.map(|change| &change.device));
                for change in &mut done.appended.heads {
                    self.effects.heads.advance(change);
                }
                self.effects.hints.add(&done.appended.deliveries);
                if let Some(seq) = done.appended.chat_seq {
                    self.effects.chat.send_replace(seq);
                }
            }
            (done.reply)(committed.clone());
        }
        self.effects.observer.appended(events);
    }
}
