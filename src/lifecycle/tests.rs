use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Returns one second after the soft token is cancelled.
async fn polite(soft: CancellationToken) {
    soft.cancelled().await;
    sleep(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_tasks_to_finish() {
    let (tasks, begun) = (Tasks::new(), Instant::now());
    tasks.spawn("polite", polite(tasks.soft().clone()));
    assert_eq!(tasks.running(), 1);
    assert_eq!(tasks.drain(8 * SECOND).await, Drained::Clean);
    assert_eq!(begun.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn drain_aborts_tasks_after_deadline() {
    let (tasks, begun) = (Tasks::new(), Instant::now());
    let never_ends = tasks.spawn("never ends", std::future::pending());
    tasks.spawn("polite", polite(tasks.soft().clone()));
    assert_eq!(tasks.clone().drain(8 * SECOND).await, Drained::Cut(1));
    assert_eq!(begun.elapsed(), 8 * SECOND);
    assert!(tasks.hard().is_cancelled());
    never_ends.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_reports_task_that_blocks_thread() {
    let tasks = Tasks::new();
    let (started, is_started) = oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    tasks.spawn("blocks", async move {
        started.send(()).unwrap();
        released.recv().unwrap();
    });
    is_started.await.unwrap();
    assert_eq!(tasks.drain(Duration::from_millis(1)).await, Drained::Stuck(1));
    release.send(()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn panic_stays_in_its_task() {
    let tasks = Tasks::new();
    let handle = tasks.spawn("panics", async { panic!("expected by the test") });
    assert!(handle.await.unwrap_err().is_panic());
    assert_eq!(tasks.failure(), None);
    assert_eq!(tasks.drain(SECOND).await, Drained::Clean);
}

#[tokio::test(start_paused = true)]
async fn unexpected_end_of_essential_task_is_reported() {
    let tasks = Tasks::new();
    tasks.spawn_essential("returns", sleep(SECOND));
    let expected = Failure { task: "returns", how: Ending::Returned };
    assert_eq!(tasks.failed().await, expected);
    assert_eq!(tasks.failed().await, expected, "a later call returns the same failure");
    assert_eq!(expected.to_string(), "the task returns ended unexpectedly");

    let tasks = Tasks::new();
    tasks.child().spawn_essential("panics", async { panic!("expected by the test") });
    assert_eq!(tasks.failed().await, Failure { task: "panics", how: Ending::Panicked });
}

#[tokio::test(start_paused = true)]
async fn first_failure_is_kept() {
    let tasks = Tasks::new();
    tasks.spawn_essential("first", sleep(SECOND));
    tasks.spawn_essential("second", sleep(2 * SECOND));
    sleep(3 * SECOND).await;
    assert_eq!(tasks.failure().unwrap().task, "first");
}

#[tokio::test(start_paused = true)]
async fn essential_task_may_return_but_not_panic_in_drain() {
    let tasks = Tasks::new();
    tasks.spawn_essential("polite", polite(tasks.soft().clone()));
    assert_eq!(tasks.clone().drain(8 * SECOND).await, Drained::Clean);
    assert_eq!(tasks.failure(), None);

    let tasks = Tasks::new();
    let soft = tasks.soft().clone();
    tasks.spawn_essential("panics late", async move {
        soft.cancelled().await;
        panic!("expected by the test");
    });
    tasks.clone().drain(SECOND).await;
    assert_eq!(tasks.failure(), Some(Failure { task: "panics late", how: Ending::Panicked }));
}

#[tokio::test(start_paused = true)]
async fn aborted_task_is_not_failure() {
    let tasks = Tasks::new();
    tasks.spawn_essential("never ends", std::future::pending());
    assert_eq!(tasks.clone().drain(SECOND).await, Drained::Cut(1));
    assert_eq!(tasks.failure(), None);
}

#[tokio::test(start_paused = true)]
async fn child_is_drained_alone_and_with_parent() {
    let (tasks, done) = (Tasks::new(), Arc::new(AtomicUsize::new(0)));
    let start = |part: &Tasks| {
        let (soft, done) = (part.soft().clone(), done.clone());
        part.spawn("counted", async move {
            polite(soft).await;
            done.fetch_add(1, Ordering::SeqCst);
        });
    };
    let (one, other) = (tasks.child(), tasks.child().child());
    start(&one);
    start(&other);
    assert_eq!((tasks.running(), one.running(), other.running()), (2, 1, 1));

    assert_eq!(one.drain(8 * SECOND).await, Drained::Clean);
    assert_eq!(done.load(Ordering::SeqCst), 1);
    assert!(!tasks.soft().is_cancelled() && !other.soft().is_cancelled());

    assert_eq!(tasks.drain(8 * SECOND).await, Drained::Clean);
    assert_eq!(done.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn no_task_runs_after_hard_token() {
    let tasks = Tasks::new();
    tasks.clone().drain(SECOND).await;
    let ran = Arc::new(AtomicUsize::new(0));
    let counter = ran.clone();
    let late = tasks.spawn("late", async move {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    late.await.unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[test]
fn second_stop_request_is_detected() {
    let requests = Requests { shutdown: CancellationToken::new(), reload: watch::Sender::new(0) };
    assert!(!requests.stop());
    assert!(requests.stop());
}

fn send(signal: &str) {
    let own = std::process::id().to_string();
    assert!(std::process::Command::new("kill").args([signal, &own]).status().unwrap().success());
}

#[tokio::test]
async fn system_signals_are_received() {
    let mut signals = signals().unwrap();
    for _ in 0..2 {
        send("-HUP");
        tokio::time::timeout(10 * SECOND, signals.reload()).await.unwrap();
    }
    assert!(tokio::time::timeout(Duration::from_millis(50), signals.shutdown()).await.is_err());
    send("-TERM");
    tokio::time::timeout(10 * SECOND, signals.shutdown()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn future_completes_after_its_caller_is_dropped() {
    let tasks = Tasks::new();
    let completed = Arc::new(AtomicUsize::new(0));
    let request = |completed: Arc<AtomicUsize>| async move {
        sleep(2 * SECOND).await;
        completed.fetch_add(1, Ordering::Relaxed)
    };
    let in_time = tasks.run_to_completion("request", request(completed.clone())).await;
    assert_eq!((in_time, tasks.running()), (0, 0));
    let future = tasks.run_to_completion("request", request(completed.clone()));
    assert!(tokio::time::timeout(SECOND, future).await.is_err());
    assert_eq!(tasks.running(), 1);
    assert_eq!(tasks.drain(8 * SECOND).await, Drained::Clean);
    assert_eq!(completed.load(Ordering::Relaxed), 2);
}
