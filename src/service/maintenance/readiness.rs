//! Readiness of the daemon, and the check of its data files. Each failure has a code and a cause.

use std::time::Duration;

use tokio::time::Instant;

use crate::service::{Maintenance, ServiceError};
use crate::store::StoreError;

/// Time for which a successful check is reused, so that clients without a key cause few commits.
const HOLDS: Duration = Duration::from_secs(1);

impl Maintenance {
    /// Checks that the daemon can serve: its data files are in place, a file descriptor is free, the store
    /// reads and commits, and no shutdown has begun.
    ///
    /// # Errors
    /// The reason why the daemon cannot serve.
    pub async fn readiness(&self) -> Result<(), ServiceError> {
        if self.tasks.soft().is_cancelled() {
            return Err(ServiceError::ShuttingDown);
        }
        self.check_files()?;
        // `/dev/null` needs a descriptor and nothing else.
        std::fs::File::open("/dev/null")
            .map_err(|error| not_ready("no_file_descriptor", format!("no file can be opened: {error}")))?;
        if self.last_commit.lock().is_some_and(|at| at.elapsed() < HOLDS) {
            return Ok(());
        }
        self.store.read(|store| store.device_count()).await.map_err(|error| self.cause(error))?;
        let now = self.clock.now();
        self.store.write(move |tx| tx.record_readiness(now)).await.map_err(|error| self.cause(error))?;
        *self.last_commit.lock() = Some(Instant::now());
        Ok(())
    }

    fn check_files(&self) -> Result<(), ServiceError> {
        let Some(path) = self.store.replaced_file() else { return Ok(()) };
        let message = format!(
            "{} was deleted or replaced while the daemon runs; the daemon stops, and the next start uses the file that is there then",
            path.display()
        );
        Err(not_ready("data_file_replaced", message))
    }

    /// Returns the cause of a failed read or write. A write that could not begin reports no cause itself.
    fn cause(&self, error: StoreError) -> ServiceError {
        match self.store.write_failure().unwrap_or(error) {
            error if error.is_damage() => not_ready(
                "database_damaged",
                "the database is damaged: stop the daemon and restore a backup".to_owned(),
            ),
            StoreError::Database(source) => {
                not_ready("store_failed", format!("the database failed: {source}"))
            }
            error => error.into(),
        }
    }

    /// Writes the space for a start on a full disk, if it was used and there is space again.
    async fn restore_disk_reserve(&self) {
        let reserve = self.limits.disk_reserve.clone();
        match tokio::task::spawn_blocking(move || reserve.restore()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "no space of the disk could be reserved for the next start");
            }
            Err(error) => tracing::warn!(%error, "the task that reserves space of the disk failed"),
        }
    }

    /// Stops the daemon when one of its data files was replaced: commits would be lost at the next start.
    pub(in crate::service) fn start_file_check(&self) {
        let (maintenance, every) = (self.clone(), self.limits.file_check);
        self.tasks.spawn_essential("data-files", async move {
            let soft = maintenance.tasks.soft().clone();
            maintenance.restore_disk_reserve().await;
            while tokio::time::timeout(every, soft.cancelled()).await.is_err() {
                if let Err(error) = maintenance.check_files() {
                    tracing::error!(%error, "data file replaced");
                    return;
                }
                maintenance.restore_disk_reserve().await;
            }
        });
    }
}

fn not_ready(code: &'static str, message: String) -> ServiceError {
    ServiceError::NotReady { code, message }
}
