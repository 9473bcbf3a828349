//! Runs the library's tasks in a set that belongs to one connection. The set ends with the connection and
//! reports a panic of a task.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use whatsapp_rust::wacore::runtime::{AbortHandle, Runtime};

/// How long the library shows the first code, and each further one.
const CODE_VALID: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(20)];

type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// The tasks of one connection; dropping it ends them at their next await.
pub(super) struct Tasks {
    inner: Arc<Inner>,
    _end: DropGuard,
}

struct Inner {
    tracker: TaskTracker,
    ended: CancellationToken,
    panicked: CancellationToken,
    rotation: CodeRotation,
}

/// The rotation of QR codes, which can be held. When the library has shown all codes, it ends the connection, and with
/// it a link by passkey (`whatsapp-rust` 0.7.0, `pair.rs`).
#[derive(Clone)]
pub(super) struct CodeRotation(Arc<watch::Sender<bool>>);

impl CodeRotation {
    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Holds or releases the rotation.
    pub(super) fn hold(&self, held: bool) {
        self.0.send_replace(held);
    }

    async fn released(&self) {
        // The sender exists as long as `self`.
        let _ = self.0.subscribe().wait_for(|held| !held).await;
    }
}

impl Tasks {
    pub(super) fn new() -> Self {
        let ended = CancellationToken::new();
        let inner = Inner {
            tracker: TaskTracker::new(),
            ended: ended.clone(),
            panicked: CancellationToken::new(),
            rotation: CodeRotation::new(),
        };
        Self { inner: Arc::new(inner), _end: ended.drop_guard() }
    }

    /// The runtime that the library starts tasks with.
    pub(super) fn runtime(&self) -> TaskRuntime {
        TaskRuntime(Arc::clone(&self.inner))
    }

    /// The rotation of QR codes of the connection.
    pub(super) fn rotation(&self) -> &CodeRotation {
        &self.inner.rotation
    }

    /// Waits until a task panics.
    pub(super) async fn panicked(&self) {
        self.inner.panicked.cancelled().await;
    }

    pub(super) fn has_panicked(&self) -> bool {
        self.inner.panicked.is_cancelled()
    }

    /// Stops all tasks and waits for at most `patience`.
    pub(super) async fn end(self, patience: Duration) {
        self.inner.ended.cancel();
        self.inner.tracker.close();
        if tokio::time::timeout(patience, self.inner.tracker.wait()).await.is_err() {
            tracing::warn!(
                tasks = self.inner.tracker.len(),
                "tasks of the engine's library did not end in time"
            );
        }
    }
}

/// Starts the library's tasks.
pub(super) struct TaskRuntime(Arc<Inner>);

impl Inner {
    fn start(self: &Arc<Self>, task: Task, stopped: CancellationToken) {
        let inner = Arc::clone(self);
        let guarded = async move {
            let work = AssertUnwindSafe(task).catch_unwind();
            tokio::select! {
                biased;
                () = inner.ended.cancelled() => {}
                () = stopped.cancelled() => {}
                done = work => if done.is_err() {
                    inner.panicked.cancel();
                },
            }
        };
        self.tracker.spawn(guarded);
    }
}

#[async_trait]
impl Runtime for TaskRuntime {
    fn spawn(&self, future: Task) -> AbortHandle {
        let stopped = CancellationToken::new();
        self.0.start(future, stopped.clone());
        AbortHandle::new(move || stopped.cancel())
    }

    fn spawn_detached(&self, future: Task) {
        self.0.start(future, CancellationToken::new());
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        if !CODE_VALID.contains(&duration) {
            return Box::pin(tokio::time::sleep(duration));
        }
        let rotation = self.0.rotation.clone();
        Box::pin(async move {
            tokio::time::sleep(duration).await;
            rotation.released().await;
        })
    }

    fn spawn_blocking(
        &self,
        f: Box<dyn FnOnce() + Send + 'static>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let inner = Arc::clone(&self.0);
        let work = self.0.tracker.spawn_blocking(f);
        Box::pin(async move {
            if work.await.is_err_and(|error| error.is_panic()) {
                inner.panicked.cancel();
            }
        })
    }

    fn yield_now(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn task_ends_with_its_connection() {
        let tasks = Tasks::new();
        let (alive, gone) = tokio::sync::oneshot::channel::<()>();
        tasks.runtime().spawn_detached(Box::pin(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        }));
        drop(tasks);
        assert!(tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn held_rotation_waits_and_other_sleeps_do_not() {
        let tasks = Tasks::new();
        tasks.rotation().hold(true);
        let code = tasks.runtime().sleep(Duration::from_secs(20));
        tasks.runtime().sleep(Duration::from_secs(21)).await;
        let mut code = std::pin::pin!(code);
        assert!(tokio::time::timeout(Duration::from_secs(600), &mut code).await.is_err());
        tasks.rotation().hold(false);
        tokio::time::timeout(Duration::from_secs(1), code).await.unwrap();
    }

    #[tokio::test]
    async fn task_ends_when_its_handle_is_dropped() {
        let tasks = Tasks::new();
        let (alive, gone) = tokio::sync::oneshot::channel::<()>();
        drop(tasks.runtime().spawn(Box::pin(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        })));
        assert!(tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap().is_err());
        assert!(!tasks.has_panicked());
    }

    #[tokio::test]
    async fn panic_in_task_is_reported() {
        let tasks = Tasks::new();
        tasks.runtime().spawn_detached(Box::pin(async { panic!("on purpose") }));
        tokio::time::timeout(Duration::from_secs(5), tasks.panicked()).await.unwrap();
    }
}
