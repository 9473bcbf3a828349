//! The writer's guarantees: durability, isolation of failed writes and bounded queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::notifications::Notification;
use super::notify_mutes::Mute;
use super::orphan_changes::OrphanChange;
use super::{Store, StoreError, StoreOptions, Synchronous, WriterObserver};
use crate::domain::clock::Millis;
use crate::domain::event::{Event, NotificationEvent};
use crate::domain::ids::DeviceId;
use crate::domain::notify::{OperatorId, Priority};
use crate::domain::reason::Reason;

#[derive(Default)]
struct Counting {
    commits: AtomicUsize,
    refused: AtomicUsize,
}

impl WriterObserver for Counting {
    fn committed(&self, _writes: usize, _seconds: f64) {
        self.commits.fetch_add(1, Ordering::SeqCst);
    }

    fn appended(&self, _events: usize) {}

    fn refused(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }
}

fn open(write_queue: usize) -> (Store, Arc<Counting>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let counting = Arc::new(Counting::default());
    let options = StoreOptions { synchronous: Synchronous::Full, write_queue, readers: 2, vault_key: None };
    (Store::open(dir.path(), options, counting.clone()).unwrap(), counting, dir)
}

fn shop() -> DeviceId {
    "shop".parse().unwrap()
}

fn event() -> Event {
    Event::disconnected(Reason::LinkDropped)
}

async fn seqs(store: &Store) -> Vec<i64> {
    let entries = store.read(|store| store.events_after(&shop(), 0, 10_000)).await;
    entries.unwrap_or_else(|error: StoreError| panic!("{error}")).iter().map(|entry| entry.seq).collect()
}

/// Blocks the writer until the guard is dropped, so that later writes are committed in one group.
async fn hold(store: &Store) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (begin, mut began) = tokio::sync::mpsc::channel(1);
    let holder = store.clone();
    #[expect(clippy::disallowed_methods, reason = "a test has no lifecycle")]
    tokio::spawn(async move {
        let write = move |_: &super::Tx<'_>| {
            let _ = begin.try_send(());
            let _ = held.recv();
            Ok::<_, StoreError>(())
        };
        holder.write(write).await
    });
    began.recv().await.unwrap();
    release
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_writes_are_group_committed_in_order() {
    let (store, counting, _dir) = open(1_024);
    let held = hold(&store).await;
    let writes = (0..200).map(|n| {
        let store = store.clone();
        async move { store.write(move |tx| tx.append(&shop(), &event(), Millis(n))).await }
    });
    let writes = futures_util::future::join_all(writes);
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        drop(held);
    };
    let (written, ()) = tokio::join!(writes, release);
    let written: Vec<i64> = written.into_iter().map(|seq: Result<i64, StoreError>| seq.unwrap()).collect();
    assert_eq!(written, (1..=200).collect::<Vec<i64>>());
    assert_eq!(seqs(&store).await, written);
    assert!(counting.commits.load(Ordering::SeqCst) < 20, "200 writes were not grouped");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_write_does_not_affect_its_group() {
    let (store, _, _dir) = open(64);
    let held = hold(&store).await;
    let good = |n| {
        let store = store.clone();
        async move { store.write(move |tx| tx.append(&shop(), &event(), Millis(n))).await }
    };
    let bad = store.write(|tx| {
        tx.append(&shop(), &event(), Millis(0))?;
        Err::<i64, _>(StoreError::Unreadable("test"))
    });
    let panics = store.write::<i64, StoreError, _>(|tx| {
        let _ = tx.append(&shop(), &event(), Millis(0));
        panic!("a bug");
    });
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        drop(held);
    };
    let (first, bad, panics, second, ()) = tokio::join!(good(1), bad, panics, good(2), release);
    assert!(matches!(bad, Err(StoreError::Unreadable("test"))));
    assert!(matches!(panics, Err(StoreError::Panicked)));
    assert_eq!((first.unwrap_or(0), second.unwrap_or(0)), (1, 2));
    assert_eq!(seqs(&store).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn full_write_queue_refuses_and_is_counted() {
    let (store, counting, _dir) = open(2);
    let held = hold(&store).await;
    let write = || {
        let store = store.clone();
        async move { store.write(|tx| tx.append(&shop(), &event(), Millis(0))).await }
    };
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        drop(held);
    };
    let (written, ()) = tokio::join!(futures_util::future::join_all((0..5).map(|_| write())), release);
    let refused = written.iter().filter(|w| matches!(w, Err(StoreError::Busy))).count();
    assert_eq!(refused, 3);
    assert_eq!(counting.refused.load(Ordering::SeqCst), 3);
    assert_eq!(seqs(&store).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn close_commits_queued_writes_and_refuses_new() {
    let (store, _, dir) = open(64);
    let seq: Result<i64, StoreError> = store.write(|tx| tx.append(&shop(), &event(), Millis(0))).await;
    assert_eq!(seq.unwrap_or(0), 1);
    store.close().await;
    let late: Result<i64, StoreError> = store.write(|tx| tx.append(&shop(), &event(), Millis(0))).await;
    assert!(matches!(late, Err(StoreError::Closed)));
    drop(store);
    let options =
        StoreOptions { synchronous: Synchronous::Full, write_queue: 8, readers: 1, vault_key: None };
    let again = Store::open(dir.path(), options, Arc::new(Counting::default())).unwrap();
    assert_eq!(seqs(&again).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn database_file_is_complete_after_close() {
    let (store, _, dir) = open(64);
    for n in 0..50 {
        let _: Result<i64, StoreError> = store.write(move |tx| tx.append(&shop(), &event(), Millis(n))).await;
    }
    assert_eq!(seqs(&store).await.len(), 50);
    store.close().await;
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(super::database_file(dir.path()), super::database_file(copy.path())).unwrap();
    let late: Result<Vec<_>, StoreError> = store.read(|store| store.events_after(&shop(), 0, 1)).await;
    assert!(matches!(late, Err(StoreError::Closed)));
    let options =
        StoreOptions { synchronous: Synchronous::Full, write_queue: 8, readers: 1, vault_key: None };
    let again = Store::open(copy.path(), options, Arc::new(Counting::default())).unwrap();
    assert_eq!(seqs(&again).await.len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_ends_when_its_caller_leaves() {
    let (store, _, _dir) = open(64);
    let endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    let reads = (0..4).map(|_| store.read::<i64, StoreError, _>(move |store| store.number(endless, [])));
    let left =
        tokio::time::timeout(std::time::Duration::from_millis(20), futures_util::future::join_all(reads));
    assert!(left.await.is_err());
    // Every connection had an endless read.
    assert!(seqs(&store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn wakeup_follows_commit() {
    let (store, _, _dir) = open(64);
    let mut head = store.follow(&shop());
    let seq: Result<i64, StoreError> = store.write(|tx| tx.append(&shop(), &event(), Millis(0))).await;
    head.changed().await.unwrap();
    assert_eq!(head.borrow().newest, seq.unwrap_or(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn purged_log_never_reuses_seq() {
    let (store, _, _dir) = open(64);
    for n in 0..3 {
        let _: Result<i64, StoreError> = store.write(move |tx| tx.append(&shop(), &event(), Millis(n))).await;
    }
    loop {
        let more: Result<bool, StoreError> = store.write(|tx| tx.purge_some(&shop(), 2)).await;
        if !more.unwrap_or(false) {
            break;
        }
    }
    assert!(seqs(&store).await.is_empty());
    let next: Result<i64, StoreError> = store.write(|tx| tx.append(&shop(), &event(), Millis(9))).await;
    assert_eq!(next.unwrap_or(0), 4);
    let range =
        store.read(|store| store.log_range(&shop())).await.unwrap_or_else(|e: StoreError| panic!("{e}"));
    assert_eq!((range.oldest, range.newest), (4, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn unpolled_read_does_not_block_others() {
    let (store, _, _dir) = open(8);
    let read = |blocker: Option<std::sync::mpsc::Receiver<()>>| {
        store.read(move |store| {
            if let Some(blocker) = blocker {
                let _ = blocker.recv();
            }
            store.device_count()
        })
    };
    let (release, blockers): (Vec<_>, Vec<_>) = (0..2).map(|_| std::sync::mpsc::channel::<()>()).unzip();
    let mut held: Vec<_> = blockers.into_iter().map(|blocker| Box::pin(read(Some(blocker)))).collect();
    let mut waiting = Box::pin(read(None));
    for blocked in &mut held {
        assert!(futures_util::poll!(blocked.as_mut()).is_pending());
    }
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    drop(release);
    // `waiting` is next in line and is not polled; a later read must still be served.
    let later = tokio::time::timeout(std::time::Duration::from_secs(5), read(None)).await;
    assert!(later.is_ok_and(|count: Result<i64, StoreError>| count.is_ok()));
}

#[tokio::test]
async fn mutes_are_limited_per_key_over_all_labels() {
    let (store, ..) = open(16);
    let mute = |operator: OperatorId| Mute {
        operator: Some(operator),
        device: Some(shop()),
        chat: None,
        until: None,
    };
    let counts = store
        .write(move |tx| {
            for n in 0..30 {
                tx.put_notify_mute(&mute(OperatorId::of_key("k1", Some(&n.to_string()))), Millis(1))?;
            }
            for other in [OperatorId::of_key("k10", None), OperatorId::verified("anna")] {
                tx.put_notify_mute(&mute(other), Millis(1))?;
            }
            let all = [("k1", None), ("k1", Some("new")), ("k10", None), ("k2", None)];
            let of_keys = all.map(|(key, label)| tx.notify_mutes_of(&OperatorId::of_key(key, label)));
            let of_anna = tx.notify_mutes_of(&OperatorId::verified("anna"));
            of_keys.into_iter().chain([of_anna]).collect::<Result<Vec<i64>, StoreError>>()
        })
        .await
        .unwrap();
    assert_eq!(counts, [30, 30, 1, 0, 1]);
}

#[tokio::test]
async fn read_marks_are_bounded_per_key() {
    let (store, ..) = open(16);
    let notification = || {
        let (id, kind) = ("shop-1".to_owned(), "test".to_owned());
        let (title, body, priority) = (String::new(), String::new(), Priority::Normal);
        let (sound, sound_url, chat_id) = (None, None, None);
        let shown =
            NotificationEvent { id, kind, priority, title, body, sound, sound_url, chat_id, count: 1 };
        Notification { shown, burst: "test".to_owned(), last_seq: 1, at: Millis(1) }
    };
    let marks = store
        .write(move |tx| {
            tx.put_notification(&shop(), &notification())?;
            tx.read_notifications(&OperatorId::verified("anna"), &shop(), None)?;
            for n in 0..1_050 {
                tx.read_notifications(&OperatorId::of_key("k1", Some(&n.to_string())), &shop(), None)?;
            }
            let last = OperatorId::of_key("k1", Some("1049"));
            let of = |operator: &OperatorId| {
                let sql = "SELECT count(*) FROM notification_marks WHERE operator = ?1";
                tx.number(sql, [operator.as_str()])
            };
            let all = tx.number("SELECT count(*) FROM notification_marks", [])?;
            Ok::<_, StoreError>([all, of(&last)?, of(&OperatorId::verified("anna"))?])
        })
        .await
        .unwrap();
    assert_eq!(marks, [1_001, 1, 1]);
}

#[tokio::test]
async fn orphan_change_is_live_after_one_live_delivery() {
    let (store, _, _dir) = open(8);
    let orphan = |change: &str, is_live| OrphanChange { change: change.to_owned(), is_live };
    let deliveries = [orphan("a", false), orphan("b", false), orphan("b", true), orphan("b", false)];
    let (taken, later) = store
        .write(move |tx| {
            let message = "false_15550100001@c.us_3EB0AA".parse().unwrap();
            for delivery in &deliveries {
                tx.store_orphan_change(&shop(), &message, delivery, Millis(1))?;
            }
            let taken = tx.take_orphan_changes(&shop(), &message)?;
            Ok::<_, StoreError>((taken, tx.take_orphan_changes(&shop(), &message)?))
        })
        .await
        .unwrap();
    assert_eq!(taken, [orphan("a", false), orphan("b", true)]);
    assert!(later.is_empty(), "taken twice");
}
