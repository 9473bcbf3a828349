//! The only thread that writes. It commits all queued writes in one group.
//!
//! Invariants: a caller receives success only after the commit. Savepoints isolate a failed write from the
//! rest of its group; if SQLite rolls back the whole transaction, every caller of the group receives an
//! error. The queue is bounded; a write that finds it full is refused.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::StoreError;
use super::tx::{Appended, Tx};
use super::wakeups::all_logs::AllLogs;
use super::wakeups::dirty_endpoints::DirtyEndpoints;
use super::wakeups::dirty_logs::DirtyLogs;
use super::wakeups::seq_watch::SeqWatch;

/// Maximum writes per commit: large enough to amortize the fsync, small enough to answer soon.
const GROUP: usize = 256;

type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Work = Box<dyn FnOnce(&Connection) -> Option<Applied> + Send>;

/// An applied write that waits for the commit of its group.
struct Applied {
    appended: Appended,
    reply: Reply,
}

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
    pub(super) heads: Arc<SeqWatch>,
    pub(super) hints: Arc<DirtyEndpoints>,
    pub(super) growth: Arc<DirtyLogs>,
    pub(super) all_logs: Arc<AllLogs>,
    pub(super) observer: Arc<dyn WriterObserver>,
}

pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    observer: Arc<dyn WriterObserver>,
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
        let run = move || Group { connection, effects }.run(waiting);
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(run)?;
        Ok(Self { jobs, observer, thread: std::sync::Mutex::new(Some(thread)) })
    }

    /// Number of queued writes.
    pub(super) fn depth(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }

    /// Queues a write and waits for its commit; refuses it when the queue is full.
    pub(super) async fn try_write<T, E, F>(&self, write: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (work, answer) = package(write);
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
        let (work, answer) = package(write);
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

fn package<T, E, F>(write: F) -> (Work, oneshot::Receiver<Result<T, E>>)
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
{
    let (answer, wait) = oneshot::channel();
    let work: Work = Box::new(move |connection| match in_savepoint(connection, write) {
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
    });
    (work, wait)
}

fn in_savepoint<T, E, F>(connection: &Connection, write: F) -> Result<(T, Appended), E>
where
    E: From<StoreError>,
    F: FnOnce(&Tx<'_>) -> Result<T, E>,
{
    let run = |sql: &str| connection.execute_batch(sql).map_err(StoreError::from);
    run("SAVEPOINT job")?;
    let tx = Tx::new(connection);
    let outcome = catch_unwind(AssertUnwindSafe(|| write(&tx)));
    match outcome.unwrap_or_else(|_| Err(StoreError::Panicked.into())) {
        Ok(value) => {
            run("RELEASE job")?;
            Ok((value, tx.into_appended()))
        }
        Err(error) => {
            // Fails only when SQLite has already rolled back the whole transaction.
            let _ = run("ROLLBACK TO job; RELEASE job");
            Err(error)
        }
    }
}

struct Group {
    connection: Connection,
    effects: CommitEffects,
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
        if let Err(error) = self.connection.execute_batch("BEGIN IMMEDIATE") {
            tracing::error!(%error, "cannot begin a transaction");
            // Dropping a write answers `Closed`. Running it outside a transaction would break its atomicity.
            return;
        }
        let mut applied = Vec::with_capacity(count);
        for work in writes {
            if self.connection.is_autocommit() && !self.restart(&mut applied) {
                // Dropping the remaining writes answers `Closed`; outside a transaction each would commit
                // alone.
                return;
            }
            applied.extend(work(&self.connection));
        }
        let committed = self.commit();
        self.effects.observer.committed(count, started.elapsed().as_secs_f64());
        self.publish(applied, &committed);
    }

    /// Handles a transaction that SQLite ended by itself (disk full, I/O error): all applied writes are lost.
    /// Returns `false` when no new transaction can begin.
    fn restart(&self, applied: &mut Vec<Applied>) -> bool {
        for lost in applied.drain(..) {
            (lost.reply)(Err(StoreError::RolledBack));
        }
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE");
        if let Err(error) = &begun {
            tracing::error!(%error, "cannot begin a transaction");
        }
        begun.is_ok()
    }

    fn commit(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            return Err(StoreError::RolledBack);
        }
        self.connection.execute_batch("COMMIT").map_err(|error| {
            tracing::error!(%error, "commit failed");
            let _ = self.connection.execute_batch("ROLLBACK");
            StoreError::from(error)
        })
    }

    fn publish(&self, applied: Vec<Applied>, committed: &Result<(), StoreError>) {
        let mut events = 0;
        for done in applied {
            if committed.is_ok() {
                events += done.appended.events;
                for (device, seq) in &done.appended.heads {
                    self.effects.heads.advance(device, *seq);
                }
                self.effects.growth.add(done.appended.heads.iter().map(|(device, _)| device));
                self.effects.all_logs.add(done.appended.heads.iter().map(|(device, _)| device));
                self.effects.hints.add(&done.appended.deliveries);
            }
            (done.reply)(committed.clone());
        }
        self.effects.observer.appended(events);
    }
}
