//! Deliveries are written with their event, in lanes, and remain when the event or device is removed.

use std::sync::Arc;

use tempfile::TempDir;

use super::seal::VaultKey;
use super::webhook_deliveries::{AfterFailure, DueDelivery};
use super::webhook_endpoints::EndpointKey;
use super::webhook_ordering::RetryNowCause;
use super::webhook_replays::ReplayRows;
use super::{Store, StoreError, StoreOptions, Synchronous, WriterObserver};
use crate::domain::clock::{Millis, Random};
use crate::domain::event::Event;
use crate::domain::ids::DeviceId;
use crate::domain::reason::Reason;
use crate::domain::webhook::DeliveryKey;
use crate::domain::webhook::{
    DisabledReason, Endpoint, EndpointId, EndpointSecrets, Format, Ordering, Subscription,
};

struct Silent;

impl WriterObserver for Silent {
    fn committed(&self, _: usize, _: f64) {}
    fn appended(&self, _: usize) {}
    fn refused(&self) {}
}

struct Sevens;

impl Random for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

fn open(vault_key: Option<VaultKey>) -> (Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { synchronous: Synchronous::Normal, write_queue: 64, readers: 1, vault_key };
    (Store::open(dir.path(), options, Arc::new(Silent)).unwrap(), dir)
}

fn id() -> EndpointId {
    "wh_1".parse().unwrap()
}

fn shop() -> DeviceId {
    "shop".parse().unwrap()
}

fn secrets() -> EndpointSecrets {
    EndpointSecrets {
        url: "https://a.example/?token=quokka".to_owned(),
        headers: [("Authorization".to_owned(), "Bearer quokka".to_owned())].into(),
        secret: "whsec_quokka".to_owned(),
        previous: Vec::new(),
        declaration: None,
    }
}

fn endpoint(ordering: Ordering) -> Endpoint {
    Endpoint {
        id: id(),
        device: None,
        declared: None,
        name: String::new(),
        url: "https://a.example/".to_owned(),
        subscription: Subscription::default(),
        format: Format::Wharf,
        ordering,
        header_names: vec!["Authorization".to_owned()],
        timeout_ms: None,
        custom_ca: None,
        disabled: None,
        failing_since: None,
        failed_at: None,
        delivered_at: None,
        created_at: Millis(0),
    }
}

async fn with_endpoint(ordering: Ordering) -> (Store, EndpointKey, TempDir) {
    let (store, dir) = open(None);
    let sealed = store.seal_webhook(&id(), &secrets()).unwrap();
    store.write(move |tx| tx.insert_webhook(&endpoint(ordering), &sealed)).await.unwrap();
    let key = store.read(|store| store.webhook(&id())).await.unwrap().unwrap().key;
    (store, key, dir)
}

async fn append(store: &Store, at: i64) -> i64 {
    let event = Event::disconnected(Reason::LinkDropped);
    store.write(move |tx| tx.append(&shop(), &event, Millis(at))).await.unwrap()
}

async fn due(store: &Store, key: EndpointKey, now: i64) -> Vec<DueDelivery> {
    store.read(move |store| store.deliveries_due(key, Millis(now), 100)).await.unwrap()
}

async fn fail(store: &Store, delivery: DeliveryKey, after: AfterFailure, now: i64) {
    let write = move |tx: &super::Tx<'_>| tx.fail_delivery(delivery, "timeout", after, Millis(now));
    assert!(store.write(write).await.unwrap());
}

async fn enable(store: &Store) {
    let mut stored = store.read(|store| store.webhook(&id())).await.unwrap().unwrap();
    stored.endpoint.disabled = None;
    let write = move |tx: &super::Tx<'_>| tx.configure_webhook(stored.key, &stored.endpoint, &stored.secrets);
    store.write(write).await.unwrap();
}

fn seqs(due: &[DueDelivery]) -> Vec<i64> {
    due.iter().map(|delivery| delivery.seq).collect()
}

#[tokio::test]
async fn oldest_delivery_of_ordering_key_alone_is_due() {
    let (store, key, _dir) = with_endpoint(Ordering::Device).await;
    for at in 1..=3 {
        append(&store, at).await;
    }
    let first = due(&store, key, 10).await;
    assert_eq!(seqs(&first), [1]);
    let one = first[0].key;
    let later = AfterFailure::Retry(Millis(50));
    assert!(store.write(move |tx| tx.fail_delivery(one, "timeout", later, Millis(10))).await.unwrap());
    assert!(due(&store, key, 49).await.is_empty());
    let next = store.read(move |store| store.next_delivery(key, Millis(49))).await.unwrap();
    assert_eq!(next, Some(Millis(50)));
    store.write(move |tx| tx.complete_delivery(one, Millis(50))).await.unwrap();
    let second = due(&store, key, 50).await;
    assert_eq!((seqs(&second), second[0].attempts), (vec![2], 0));
    let two = second[0].key;
    let given_up = AfterFailure::DeadLetter;
    store.write(move |tx| tx.fail_delivery(two, "gone", given_up, Millis(60))).await.unwrap();
    assert_eq!(seqs(&due(&store, key, 60).await), [3]);
    let again = store
        .write(move |tx| tx.requeue_dead_letters(key, &ReplayRows::AllDead, Millis(60), Millis(60), 10))
        .await
        .unwrap();
    assert_eq!(again, 1);
    assert_eq!(seqs(&due(&store, key, 60).await), [2, 3], "a replay does not wait for new events");
}

#[tokio::test]
async fn rolled_back_event_leaves_no_delivery() {
    let (store, key, _dir) = with_endpoint(Ordering::None).await;
    let failed: Result<(), StoreError> = store
        .write(|tx| {
            tx.append(&shop(), &Event::disconnected(Reason::LinkDropped), Millis(1))?;
            Err(StoreError::Unreadable("test"))
        })
        .await;
    assert!(failed.is_err());
    assert!(due(&store, key, 10).await.is_empty());
    append(&store, 2).await;
    append(&store, 2).await;
    assert_eq!(seqs(&due(&store, key, 10).await), [1, 2]);
}

#[tokio::test]
async fn delivery_outlives_pruned_event() {
    let (store, key, _dir) = with_endpoint(Ordering::Device).await;
    for at in 1..=4 {
        append(&store, at).await;
    }
    fail(&store, due(&store, key, 10).await[0].key, AfterFailure::DeadLetter, 10).await;
    while store.write(|tx| tx.prune_events(Millis(1_000), 2)).await.unwrap() {}
    let kept = store.read(|store| store.log_range(&shop())).await.unwrap();
    assert_eq!((kept.oldest, kept.newest), (4, 4));
    store
        .write(move |tx| tx.requeue_dead_letters(key, &ReplayRows::AllDead, Millis(10), Millis(10), 10))
        .await
        .unwrap();
    let due = due(&store, key, 10).await;
    assert_eq!(seqs(&due), [1, 2]);
    assert!(due.iter().all(|delivery| delivery.payload.is_some()), "{due:?}");
}

#[tokio::test]
async fn delivery_outlives_log_of_deleted_device() {
    let (store, key, _dir) = with_endpoint(Ordering::Device).await;
    append(&store, 1).await;
    store.write(|tx| tx.delete_device(&shop(), false)).await.unwrap();
    while store.write(|tx| tx.purge_some(&shop(), 10)).await.unwrap() {}
    assert!(store.read(|store| store.events_after(&shop(), 0, 10)).await.unwrap().is_empty());
    let due = due(&store, key, 10).await;
    assert!(due[0].payload.as_ref().unwrap().get().contains("\"seq\":1"));
}

#[tokio::test]
async fn overflow_dead_letters_oldest_and_counts_by_device() {
    let (store, key, _dir) = with_endpoint(Ordering::Device).await;
    for at in 1..=7 {
        append(&store, at).await;
    }
    // The oldest row waits for a retry.
    let oldest = due(&store, key, 10).await[0].key;
    fail(&store, oldest, AfterFailure::Retry(Millis(500)), 8).await;
    let dead_letter =
        async || store.write(move |tx| tx.dead_letter_overflow(key, 2, Millis(9), 3)).await.unwrap();
    let first = dead_letter().await;
    assert_eq!(first.count, 3);
    let overflow = &first.told[&shop()];
    assert_eq!((overflow.count, overflow.seq, overflow.kind.as_str()), (3, 1, "disconnected"));
    assert_eq!((dead_letter().await.count, dead_letter().await.count), (2, 0));
    // This row was due after the first one and may have been in progress.
    assert_eq!(seqs(&due(&store, key, 10).await), [4]);
}

#[tokio::test]
async fn in_flight_delivery_is_neither_dropped_nor_overtaken() {
    let (store, key, _dir) = with_endpoint(Ordering::Device).await;
    for at in 1..=7 {
        append(&store, at).await;
    }
    let first = due(&store, key, 10).await[0].key;
    let result = store.write(move |tx| tx.dead_letter_overflow(key, 2, Millis(9), 500)).await.unwrap();
    assert_eq!((result.count, result.told[&shop()].seq), (5, 2));
    assert_eq!(seqs(&due(&store, key, 10).await), [1]);
    store.write(move |tx| tx.complete_delivery(first, Millis(10))).await.unwrap();
    assert_eq!(seqs(&due(&store, key, 10).await), [7]);
}

#[tokio::test]
async fn interrupted_dead_lettering_resumes() {
    let (store, key, _dir) = with_endpoint(Ordering::Device).await;
    for at in 1..=5 {
        append(&store, at).await;
    }
    let gone = DisabledReason::Gone;
    store.write(move |tx| tx.disable_webhook(key, gone, Millis(9))).await.unwrap();
    let dead_letter =
        async || store.write(move |tx| tx.dead_letter_batch(key, "gone", Millis(9), 2)).await.unwrap();
    assert!(dead_letter().await);
    // Simulates a crash of the daemon; the remaining deliveries are found again.
    assert_eq!(store.read(|store| store.webhooks_to_dead_letter()).await.unwrap(), [key]);
    enable(&store).await;
    append(&store, 10).await;
    assert!(!dead_letter().await, "an enabled endpoint keeps its deliveries");
    for expected in 3..=6 {
        let next = due(&store, key, 10).await;
        assert_eq!(seqs(&next), [expected]);
        let done = next[0].key;
        store.write(move |tx| tx.complete_delivery(done, Millis(10))).await.unwrap();
    }
}

#[tokio::test]
async fn retry_now_makes_waiting_delivery_due() {
    let (store, key, _dir) = with_endpoint(Ordering::None).await;
    append(&store, 1).await;
    append(&store, 2).await;
    let later = AfterFailure::Retry(Millis(5_000));
    for delivery in due(&store, key, 10).await {
        fail(&store, delivery.key, later, 10).await;
    }
    let hurry =
        async |why, batch| store.write(move |tx| tx.retry_now(key, why, Millis(20), batch)).await.unwrap();
    assert_eq!((hurry(RetryNowCause::Recovered, 1).await, hurry(RetryNowCause::Recovered, 9).await), (1, 1));
    let both = due(&store, key, 20).await;
    assert_eq!(seqs(&both), [1, 2]);
    fail(&store, both[0].key, later, 20).await;
    assert_eq!(hurry(RetryNowCause::Recovered, 9).await, 0, "each delivery is retried early only once");
    assert_eq!(hurry(RetryNowCause::Asked, 9).await, 1);
    assert_eq!(due(&store, key, 20).await.len(), 2);
}

#[tokio::test]
async fn clock_set_back_does_not_delay_retry() {
    let (store, key, _dir) = with_endpoint(Ordering::None).await;
    append(&store, 1_000_000).await;
    append(&store, 1_000_000).await;
    let first = due(&store, key, 1_000_000).await[0].key;
    fail(&store, first, AfterFailure::Retry(Millis(1_005_000)), 1_000_000).await;
    let now = Millis(1_000);
    assert_eq!(store.read(move |store| store.webhooks_scheduled_ahead(now)).await.unwrap(), [key]);
    assert_eq!(store.write(move |tx| tx.reschedule_after_pause(key, now, 9)).await.unwrap(), 2);
    assert_eq!(seqs(&due(&store, key, 1_000).await), [2]);
    assert_eq!(seqs(&due(&store, key, 6_000).await), [2, 1]);
    assert!(store.read(move |store| store.webhooks_scheduled_ahead(now)).await.unwrap().is_empty());
}

#[tokio::test]
async fn replayed_deliveries_keep_log_order() {
    let (store, key, _dir) = with_endpoint(Ordering::Device).await;
    for at in 1..=4 {
        append(&store, at).await;
    }
    // The first two and the last are delivered; the third fails and keeps its older row.
    for seq in 1..=4 {
        let next = due(&store, key, 10).await[0].key;
        match seq {
            3 => fail(&store, next, AfterFailure::DeadLetter, 10).await,
            _ => store.write(move |tx| tx.complete_delivery(next, Millis(10))).await.unwrap(),
        }
    }
    let again = store.write(move |tx| tx.redeliver(key, &shop(), (0, 9), Millis(20), 100)).await.unwrap();
    assert_eq!(again, (4, Some(4)));
    for expected in 1..=4 {
        let next = due(&store, key, 20).await;
        assert_eq!(seqs(&next), [expected]);
        let done = next[0].key;
        store.write(move |tx| tx.complete_delivery(done, Millis(20))).await.unwrap();
    }
}

#[tokio::test]
async fn replay_of_waiting_delivery_is_due_now() {
    for ordering in [Ordering::Device, Ordering::None] {
        let (store, key, _dir) = with_endpoint(ordering).await;
        append(&store, 1).await;
        fail(&store, due(&store, key, 10).await[0].key, AfterFailure::Retry(Millis(5_000)), 10).await;
        assert!(due(&store, key, 20).await.is_empty());
        let again = move |tx: &super::Tx<'_>| tx.redeliver(key, &shop(), (0, 9), Millis(20), 100);
        assert_eq!(store.write(again).await.unwrap().0, 1);
        assert_eq!(seqs(&due(&store, key, 20).await), [1]);
    }
}

#[tokio::test]
async fn disabled_or_removed_endpoint_gets_no_new_delivery() {
    let (store, key, _dir) = with_endpoint(Ordering::None).await;
    append(&store, 1).await;
    let disable = move |tx: &super::Tx<'_>| tx.disable_webhook(key, DisabledReason::Gone, Millis(2));
    assert!(store.write(disable).await.unwrap());
    assert!(!store.write(disable).await.unwrap());
    append(&store, 3).await;
    assert_eq!(store.read(|store| store.deliveries_waiting()).await.unwrap(), 1);
    assert!(store.write(|tx| tx.end_webhook(&id(), false)).await.unwrap());
    while store.write(move |tx| tx.remove_some_webhook(key, 1)).await.unwrap() {}
    assert_eq!(store.read(|store| store.deliveries_waiting()).await.unwrap(), 0);
    assert!(store.read(|store| store.webhooks_ending()).await.unwrap().is_empty());
}

#[tokio::test]
async fn endpoint_secrets_are_sealed_in_their_context() {
    let (store, dir) = open(Some(VaultKey::new(&[9; 32], Arc::new(Sevens))));
    let sealed = store.seal_webhook(&id(), &secrets()).unwrap();
    store.write(move |tx| tx.insert_webhook(&endpoint(Ordering::None), &sealed)).await.unwrap();
    let mut stored = store.read(|store| store.webhook(&id())).await.unwrap().unwrap();
    assert_eq!(store.open_webhook(&stored).unwrap(), secrets());
    stored.endpoint.id = "wh_2".parse().unwrap();
    assert!(store.open_webhook(&stored).is_err());
    store.close().await;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"quokka"));
    }
}
