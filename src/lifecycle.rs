//! Tasks and how they end.
//!
//! [`Tasks`] is the only way to start a task. Two tokens end them: *soft* asks a task to finish what
//! it holds and return; *hard* drops it at its next await. [`Tasks::drain`] gives the first, waits,
//! then the second.
//!
//! Invariants: no task outlives a drain, except one that blocks its thread, which drain reports; the
//! unexpected end of an essential task is never silent.

use std::any::Any;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long drain waits for tasks to be dropped after the hard token.
const HARD_GRACE: Duration = Duration::from_millis(500);
/// Exit code of a second SIGINT or SIGTERM, as shells give it for an interrupt.
const EXIT_INTERRUPTED: i32 = 130;

/// A handle to start tasks and to end them. Clones are the same; see [`Tasks::child`] for a part.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    /// Trackers of the tasks above, which wait for this one's tasks too.
    ancestors: Vec<TaskTracker>,
    soft: CancellationToken,
    hard: CancellationToken,
    /// The first failure, shared with all children.
    failure: watch::Sender<Option<Failure>>,
}

/// An essential task ended without a request to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the task {task} {how}")]
pub struct Failure {
    /// The task's name.
    pub task: &'static str,
    /// How it ended.
    pub how: Ending,
}

/// How an essential task ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Ending {
    /// It returned before the soft token.
    #[error("ended unexpectedly")]
    Returned,
    /// It panicked, before or after the soft token.
    #[error("panicked")]
    Panicked,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Drained {
    /// All tasks returned in time.
    Clean,
    /// So many had to be dropped.
    Cut(usize),
    /// So many block their thread and run on.
    Stuck(usize),
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// A root without tasks.
    pub fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            ancestors: Vec::new(),
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            failure: watch::Sender::new(None),
        }
    }

    /// A part that can be drained by itself; draining the whole drains it too.
    #[must_use]
    pub fn child(&self) -> Self {
        let mut ancestors = self.ancestors.clone();
        ancestors.push(self.tracker.clone());
        Self {
            tracker: TaskTracker::new(),
            ancestors,
            soft: self.soft.child_token(),
            hard: self.hard.child_token(),
            failure: self.failure.clone(),
        }
    }

    /// Cancelled when tasks should finish what they hold and return.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when tasks are dropped at their next await.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Starts a task. A panic is logged under `name` and is in the handle's result; after the hard
    /// token the handle ends with `Ok` although the task was dropped.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.launch(name, task, |_| {})
    }

    /// Runs a future in its caller, and to completion in a task of its own if the caller is dropped.
    pub fn run_to_completion<F>(&self, name: &'static str, future: F) -> RunToCompletion<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        RunToCompletion { name, tasks: self.clone(), future: Some(Box::pin(future)) }
    }

    /// Starts a task without which the process is of no use: if it panics, or returns before the
    /// soft token, [`Tasks::failed`] says so. Other tasks are not touched.
    pub fn spawn_essential<F>(&self, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (soft, failure) = (self.soft.clone(), self.failure.clone());
        self.launch(name, task, move |panicked| {
            let how = match panicked {
                true => Ending::Panicked,
                false if soft.is_cancelled() => return,
                false => Ending::Returned,
            };
            report(&failure, Failure { task: name, how });
        })
    }

    /// Runs a task until it ends or the hard token falls, tracked here and above.
    fn launch<F>(
        &self,
        name: &'static str,
        task: F,
        at_end: impl FnOnce(bool) + Send + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tracked: Vec<_> = self.ancestors.iter().map(TaskTracker::token).collect();
        let hard = self.hard.clone();
        spawn_untracked(self.tracker.track_future(async move {
            let _tracked = tracked;
            let guarded = AssertUnwindSafe(task).catch_unwind();
            match hard.run_until_cancelled_owned(guarded).await {
                Some(Ok(())) => at_end(false),
                Some(Err(panic)) => {
                    at_end(true);
                    pass_on(name, panic);
                }
                None => tracing::debug!(task = name, "task dropped by the hard token"),
            }
        }))
    }

    /// Waits for the first unexpected end of an essential task; for ever if there is none. The
    /// process should then drain and end with a failing code.
    pub async fn failed(&self) -> Failure {
        let mut changes = self.failure.subscribe();
        match changes.wait_for(Option::is_some).await.map(|failure| *failure) {
            Ok(Some(failure)) => failure,
            // Not reached while `self` holds the sender.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// The first unexpected end of an essential task so far.
    pub fn failure(&self) -> Option<Failure> {
        *self.failure.borrow()
    }

    /// Tasks that run, those of children included.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Ends all tasks: soft token, up to `timeout` for them to return, hard token.
    pub async fn drain(self, timeout: Duration) -> Drained {
        self.soft.cancel();
        self.tracker.close();
        if tokio::time::timeout(timeout, self.tracker.wait()).await.is_ok() {
            self.hard.cancel();
            return Drained::Clean;
        }
        let cut = self.running();
        self.hard.cancel();
        match tokio::time::timeout(HARD_GRACE, self.tracker.wait()).await {
            Ok(()) => Drained::Cut(cut),
            Err(_) => Drained::Stuck(self.running()),
        }
    }
}

/// Keeps the first failure only: what follows is mostly its consequence.
fn report(first: &watch::Sender<Option<Failure>>, failure: Failure) {
    tracing::error!(task = failure.task, "essential task {}", failure.how);
    first.send_if_modified(|kept| {
        let is_first = kept.is_none();
        if is_first {
            *kept = Some(failure);
        }
        is_first
    });
}

/// Logs a panic by its task's name (its text may hold anything) and lets the handle see it.
fn pass_on(name: &'static str, panic: Box<dyn Any + Send>) {
    tracing::error!(task = name, "task panicked");
    std::panic::resume_unwind(panic);
}

/// See [`Tasks::run_to_completion`].
pub struct RunToCompletion<F: Future<Output: Send> + Send + 'static> {
    name: &'static str,
    tasks: Tasks,
    /// Absent after its end.
    future: Option<Pin<Box<F>>>,
}

impl<F: Future<Output: Send> + Send + 'static> Future for RunToCompletion<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // A future that panics is gone, and does not run on.
        let Some(mut future) = self.future.take() else { return Poll::Pending };
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            self.future = Some(future);
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for RunToCompletion<F> {
    fn drop(&mut self) {
        // Without a runtime the process ends, and the future with it.
        if let Some(future) = self.future.take()
            && Handle::try_current().is_ok()
        {
            self.tasks.spawn(self.name, async move {
                future.await;
            });
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where tasks start; all callers are in this module"
)]
fn spawn_untracked<F>(task: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(task)
}

/// The requests that the process received by signals. Clones share them.
#[derive(Clone, Debug)]
pub struct Signals {
    shutdown: CancellationToken,
    reloads: watch::Receiver<u64>,
}

impl Signals {
    /// Waits for the first SIGTERM or SIGINT. The second ends the process at once with code 130.
    pub async fn shutdown(&self) {
        self.shutdown.cancelled().await;
    }

    /// Waits for a SIGHUP that this handle has not seen yet; several in the meantime count as one.
    pub async fn reload(&mut self) {
        if self.reloads.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Listens for signals until the process ends: also while draining, for the second signal. So this
/// task is no part of any [`Tasks`]. Call it once, inside the runtime.
///
/// # Errors
/// If a handler cannot be installed.
pub fn signals() -> io::Result<Signals> {
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let hangup = signal(SignalKind::hangup())?;
    let shutdown = CancellationToken::new();
    let (reload, reloads) = watch::channel(0);
    spawn_untracked(listen(terminate, interrupt, hangup, Requests { shutdown: shutdown.clone(), reload }));
    Ok(Signals { shutdown, reloads })
}

struct Requests {
    shutdown: CancellationToken,
    reload: watch::Sender<u64>,
}

impl Requests {
    /// Records a request to stop; `true` if it is not the first.
    fn stop(&self) -> bool {
        let again = self.shutdown.is_cancelled();
        self.shutdown.cancel();
        again
    }

    fn reload(&self) {
        self.reload.send_modify(|count| *count += 1);
    }
}

async fn listen(mut terminate: Signal, mut interrupt: Signal, mut hangup: Signal, requests: Requests) {
    loop {
        tokio::select! {
            _ = terminate.recv() => stop(&requests, "SIGTERM"),
            _ = interrupt.recv() => stop(&requests, "SIGINT"),
            _ = hangup.recv() => {
                tracing::info!(signal = "SIGHUP", "reload requested");
                requests.reload();
            }
        }
    }
}

fn stop(requests: &Requests, signal: &'static str) {
    if requests.stop() {
        tracing::warn!(signal, "second signal: exiting at once");
        std::process::exit(EXIT_INTERRUPTED);
    }
    tracing::info!(signal, "shutting down; a second signal exits at once");
}

#[cfg(test)]
mod tests;
