//! Runs the library's tasks in a set that belongs to one connection. The set ends with the connection and
//! reports a panic of a task.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::task::{Id, try_id};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use whatsapp_rust::wacore::runtime::{AbortHandle, Runtime};

/// How long the library shows the first code, and each further one.
const FIRST_CODE_VALID: Duration = Duration::from_secs(60);
const NEXT_CODE_VALID: Duration = Duration::from_secs(20);

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

/// The rotation of QR codes, which can be held until the connection ends. When the library has shown all codes, it
/// ends the connection, and with it a link by passkey (`whatsapp-rust` 0.7.0, `pair.rs`).
#[derive(Clone, Default)]
pub(super) struct CodeRotation(Arc<RotationState>);

#[derive(Default)]
struct RotationState {
    held: AtomicBool,
    /// The task that shows the codes: the first one that sleeps as long as the first code is valid.
    task: OnceLock<Id>,
}

impl CodeRotation {
    /// Holds the rotation.
    pub(super) fn hold(&self) {
        self.0.held.store(true, Ordering::Relaxed);
    }

    fn is_held(&self) -> bool {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Whether a sleep of the current task shows a code. Other tasks, such as the keepalive, sleep for 20 s too.
    fn shows_code(&self, duration: Duration) -> bool {
        let Some(current) = try_id() else { return false };
        match duration {
            FIRST_CODE_VALID => *self.0.task.get_or_init(|| current) == current,
            NEXT_CODE_VALID => self.0.task.get() == Some(&current),
            _ => false,
        }
    }
}

impl Tasks {
    pub(super) fn new() -> Self {
        let ended = CancellationToken::new();
        let inner = Inner {
            tracker: TaskTracker::new(),
            ended: ended.clone(),
            panicked: CancellationToken::new(),
            rotation: CodeRotation::default(),
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
        let rotation = self.0.rotation.clone();
        if !rotation.shows_code(duration) {
            return Box::pin(tokio::time::sleep(duration));
        }
        Box::pin(async move {
            tokio::time::sleep(duration).await;
            if rotation.is_held() {
                std::future::pending::<()>().await;
            }
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
        let (shown, mut codes) = tokio::sync::mpsc::unbounded_channel();
        let runtime = tasks.runtime();
        tasks.runtime().spawn_detached(Box::pin(async move {
            for seconds in [60, 20, 20] {
                runtime.sleep(Duration::from_secs(seconds)).await;
                shown.send(seconds).unwrap();
            }
        }));
        assert_eq!(codes.recv().await, Some(60));
        assert_eq!(codes.recv().await, Some(20));
        tasks.rotation().hold();
        assert!(tokio::time::timeout(Duration::from_secs(600), codes.recv()).await.is_err());
        // The deadline of the keepalive.
        tokio::time::timeout(Duration::from_secs(21), tasks.runtime().sleep(Duration::from_secs(20)))
            .await
            .unwrap();
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
