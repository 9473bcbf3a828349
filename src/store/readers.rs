//! Read-only connections, each on its own thread.
//!
//! A queued read owns its work; the caller's future only waits for the result. If futures held a connection
//! or a turn for one, a future that is not polled (in a `select!`, or in a set whose owner awaits something
//! else) would block all other reads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::{Connection, InterruptHandle};
use tokio::sync::oneshot;

use super::error::{OpenError, StoreError};
use super::open;
use super::tx::Reader;

/// Maximum queued reads; beyond that callers receive [`StoreError::Busy`].
const WAITING: usize = 4_096;

type Job = Box<dyn FnOnce(&Connection) + Send>;

pub(super) struct Readers {
    /// `None` once closed.
    queue: Mutex<Option<SyncSender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    interrupts: Vec<InterruptHandle>,
    closed: Arc<AtomicBool>,
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize) -> Result<Self, OpenError> {
        let connections = (0..count).map(|_| open::reader(path)).collect::<Result<Vec<_>, _>>()?;
        let (queue, jobs) = sync_channel(WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        let closed = Arc::new(AtomicBool::new(false));
        let interrupts = connections.iter().map(Connection::get_interrupt_handle).collect();
        let mut threads = Vec::with_capacity(count);
        for connection in connections {
            let (jobs, closed) = (jobs.clone(), closed.clone());
            // The thread ends when the queue is closed, or dropped with the store.
            let serving = move || serve(&connection, &jobs, &closed);
            let thread = std::thread::Builder::new().name("store-reader".to_owned()).spawn(serving);
            threads.push(thread.map_err(|source| OpenError::Directory { path: path.to_owned(), source })?);
        }
        Ok(Self { queue: Mutex::new(Some(queue)), threads: Mutex::new(threads), interrupts, closed })
    }

    /// Interrupts running reads, drops queued ones, and closes the connections.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        drop(self.queue.lock().take());
        for running in &self.interrupts {
            running.interrupt();
        }
        let threads = std::mem::take(&mut *self.threads.lock());
        let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
        let _ = tokio::task::spawn_blocking(join).await;
    }

    pub(super) async fn read<T, E, F>(&self, read: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let job = Box::new(move |connection: &Connection| {
            // Skips reads whose caller no longer waits.
            if !answer.is_closed() {
                let _ = answer.send(in_snapshot(connection, read));
            }
        });
        let queue = self.queue.lock().clone().ok_or(StoreError::Closed)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        drop(queue);
        let unanswered =
            || if self.closed.load(Ordering::SeqCst) { StoreError::Closed } else { StoreError::Panicked };
        result.await.unwrap_or_else(|_| Err(unanswered().into()))
    }
}

fn serve(connection: &Connection, jobs: &Mutex<Receiver<Job>>, closed: &AtomicBool) {
    loop {
        // The lock is held while waiting: one thread waits for the queue, the others for the lock.
        let job = jobs.lock().recv();
        let Ok(job) = job else { return };
        if closed.load(Ordering::SeqCst) {
            continue;
        }
        // After a panic the caller's answer channel closes, which reports the failure.
        let _ = catch_unwind(AssertUnwindSafe(|| job(connection)));
    }
}

/// Runs a query on one snapshot of the database.
fn in_snapshot<T, E: From<StoreError>>(
    connection: &Connection,
    read: impl FnOnce(&Reader<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = connection.unchecked_transaction().map_err(StoreError::from)?;
    read(&Reader::new(&transaction))
}
