//! Read-only connections, each on its own thread.
//!
//! A queued read owns its work; the caller's future only waits for the result. If futures held a connection
//! or a turn for one, a future that is not polled (in a `select!`, or in a set whose owner awaits something
//! else) would block all other reads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::{OpenError, StoreError};
use super::open;
use super::tx::Reader;

/// Maximum queued reads; beyond that callers receive [`StoreError::Busy`].
const WAITING: usize = 4_096;

type Job = Box<dyn FnOnce(&Connection) + Send>;

pub(super) struct Readers {
    queue: SyncSender<Job>,
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize) -> Result<Self, OpenError> {
        let connections = (0..count).map(|_| open::reader(path)).collect::<Result<Vec<_>, _>>()?;
        let (queue, jobs) = sync_channel(WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        for connection in connections {
            let jobs = jobs.clone();
            // The thread ends when the store is dropped.
            let serving = move || serve(&connection, &jobs);
            let thread = std::thread::Builder::new().name("store-reader".to_owned()).spawn(serving);
            thread.map_err(|source| OpenError::Directory { path: path.to_owned(), source })?;
        }
        Ok(Self { queue })
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
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        result.await.unwrap_or_else(|_| Err(StoreError::Panicked.into()))
    }
}

fn serve(connection: &Connection, jobs: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting: one thread waits for the queue, the others for the lock.
        let job = jobs.lock().recv();
        let Ok(job) = job else { return };
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
