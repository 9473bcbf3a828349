//! Read-only connections, each on its own thread.
//!
//! A queued read owns its work; the caller's future only waits for the result. If futures held a connection
//! or a turn for one, a future that is not polled (in a `select!`, or in a set whose owner awaits something
//! else) would block all other reads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::{Connection, InterruptHandle};
use tokio::sync::oneshot;

use super::error::{OpenError, StoreError};
use super::open;
use super::tx::Reader;
use crate::domain::ids::DeviceId;

mod read_queue;

use read_queue::ReadQueue;

/// Instructions of SQLite between two checks whether a caller still waits.
const INSTRUCTIONS: i32 = 10_000;

type Job = Box<dyn FnOnce(&Connection) + Send>;

pub(super) struct Readers {
    queue: Arc<ReadQueue<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    interrupts: Vec<InterruptHandle>,
    closed: Arc<AtomicBool>,
}

/// Set when the caller of a read no longer waits.
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize) -> Result<Self, OpenError> {
        let connections = (0..count).map(|_| open::reader(path)).collect::<Result<Vec<_>, _>>()?;
        let queue = Arc::new(ReadQueue::default());
        let closed = Arc::new(AtomicBool::new(false));
        let interrupts = connections.iter().map(Connection::get_interrupt_handle).collect();
        let mut threads = Vec::with_capacity(count);
        for connection in connections {
            let jobs = queue.clone();
            // The thread ends when the queue is closed.
            let serving = move || serve(&connection, &jobs);
            let thread = std::thread::Builder::new().name("store-reader".to_owned()).spawn(serving);
            threads.push(thread.map_err(|source| OpenError::Directory { path: path.to_owned(), source })?);
        }
        Ok(Self { queue, threads: Mutex::new(threads), interrupts, closed })
    }

    /// Interrupts running reads, drops queued ones, and closes the connections.
    pub(super) async fn close(&self) {
        self.end();
        let threads = std::mem::take(&mut *self.threads.lock());
        let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
        let _ = tokio::task::spawn_blocking(join).await;
    }

    fn end(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.queue.close();
        for running in &self.interrupts {
            running.interrupt();
        }
    }

    /// Queues a read, for a device or for the daemon itself, and waits for its result. Dropping the future ends the
    /// read soon.
    pub(super) async fn read<T, E, F>(&self, device: Option<&DeviceId>, read: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let _abandoned = Abandoned(is_abandoned.clone());
        let job = Box::new(move |connection: &Connection| {
            // Skips reads whose caller no longer waits.
            if !answer.is_closed() {
                let _ = answer.send(until_abandoned(connection, is_abandoned, read));
            }
        });
        self.queue.push(device, job)?;
        let unanswered =
            || if self.closed.load(Ordering::SeqCst) { StoreError::Closed } else { StoreError::Panicked };
        result.await.unwrap_or_else(|_| Err(unanswered().into()))
    }
}

/// Without readers nothing is read; the threads end.
impl Drop for Readers {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(connection: &Connection, jobs: &ReadQueue<Job>) {
    while let Some(job) = jobs.next() {
        // After a panic the caller's answer channel closes, which reports the failure.
        let _ = catch_unwind(AssertUnwindSafe(|| job(connection)));
    }
}

/// Runs a query, and interrupts it when its caller no longer waits.
fn until_abandoned<T, E: From<StoreError>>(
    connection: &Connection,
    is_abandoned: Arc<AtomicBool>,
    read: impl FnOnce(&Reader<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let check = move || is_abandoned.load(Ordering::Relaxed);
    connection.progress_handler(INSTRUCTIONS, Some(check)).map_err(StoreError::from)?;
    in_snapshot(connection, read)
}

/// Runs a query on one snapshot of the database.
fn in_snapshot<T, E: From<StoreError>>(
    connection: &Connection,
    read: impl FnOnce(&Reader<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let _snapshot = Snapshot::begin(connection)?;
    read(&Reader::new(connection))
}

/// A transaction that reads. Its statements are prepared once for each connection.
struct Snapshot<'c>(&'c Connection);

impl<'c> Snapshot<'c> {
    fn begin(connection: &'c Connection) -> Result<Self, StoreError> {
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self(connection))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if self.0.is_autocommit() {
            return;
        }
        let ended = self.0.prepare_cached("ROLLBACK").and_then(|mut statement| statement.execute([]));
        if let Err(error) = ended {
            // The next read of this connection fails then, and says why.
            tracing::error!(%error, "a reading transaction did not end");
        }
    }
}
