//! Sent messages: the four outcomes, copies, and receipts.

use super::*;
use crate::domain::event::TypingKind;
use crate::domain::jid::Jid;
use crate::engine::{Answer, Query, SessionError};

const GROUP: &str = "120363000000000001@g.us";

/// `(networkId, arrivals, shown)` of each message in the ledger.
async fn copies(daemon: &Daemon) -> Vec<(String, u64, u64)> {
    let network = daemon.network().await;
    let copy = |m: &Value| {
        let id = m["networkId"].as_str().unwrap().to_owned();
        (id, m["arrivals"].as_u64().unwrap(), m["shown"].as_u64().unwrap())
    };
    network["sent"].as_array().unwrap().iter().map(copy).collect()
}

#[tokio::test]
async fn sent_message_gets_both_receipts() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    assert_eq!(running.send(CONTACT, "A1", "hello").await, SENT);
    daemon.recorder.until("both receipts", |recorder| recorder.acks().len() == 2).await;
    assert_eq!(daemon.recorder.acks(), [2, 3]);
    let sent = daemon.network().await["sent"].clone();
    assert_eq!(sent[0]["to"], CONTACT);
    assert_eq!(sent[0]["body"], "hello");
    assert!(sent[0]["at"].as_i64().unwrap() >= 1_700_000_000_000);
    running.stop().await;
}

#[tokio::test]
async fn second_copy_is_counted_but_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    daemon.post("fault", json!({ "kind": "send_unknown" })).await.unwrap();
    assert_eq!(outcome(&running.send(CONTACT, "A1", "x").await), ("unknown", "link_lost_while_sending"));
    assert_eq!(copies(&daemon).await, [("A1".to_owned(), 1, 1)]);
    assert_eq!(running.send(CONTACT, "A1", "x").await, SENT);
    daemon.post("fault", json!({ "kind": "send_unknown", "value": "lost" })).await.unwrap();
    assert_eq!(outcome(&running.send(CONTACT, "A2", "y").await).0, "unknown");
    assert_eq!(copies(&daemon).await, [("A1".to_owned(), 2, 1)]);

    daemon.recorder.until("the receipts", |recorder| recorder.acks().len() == 2).await;
    tokio::time::sleep(SHORT_WAIT).await;
    assert_eq!(daemon.recorder.acks(), [2, 3], "a second copy brings no second receipts");
    running.stop().await;
}

#[tokio::test]
async fn refused_message_leaves_no_copy() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    daemon.post("fault", json!({ "kind": "send_transient", "count": 2 })).await.unwrap();
    for _ in 0..2 {
        assert_eq!(outcome(&running.send(CONTACT, "A1", "x").await), ("transient", "recipient_unavailable"));
    }
    daemon.post("fault", json!({ "kind": "send_permanent" })).await.unwrap();
    assert_eq!(outcome(&running.send(CONTACT, "A1", "x").await), ("permanent", "not_on_network"));
    assert_eq!(outcome(&running.send("15550190001@c.us", "A1", "x").await), ("permanent", "not_on_network"));
    let long = "x".repeat(65_537);
    assert_eq!(outcome(&running.send(CONTACT, "A1", &long).await), ("permanent", "message_too_large"));
    let status = running.send("status@broadcast", "A1", "x").await;
    assert_eq!(outcome(&status), ("permanent", "recipient_not_supported"));
    assert_eq!(copies(&daemon).await, []);
    assert_eq!(running.send(CONTACT, "A1", "x").await, SENT);

    let session = Arc::clone(&running.session);
    running.stop().await;
    let late = session.send(outgoing(CONTACT, "A2", "x")).await;
    assert_eq!(outcome(&late), ("transient", "not_connected"));
}

#[tokio::test]
async fn link_lost_before_answer_is_unknown_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": null })).await;
    let session = Arc::clone(&running.session);
    let mut sending = JoinSet::new();
    sending.spawn(async move { session.send(outgoing(CONTACT, "A1", "x")).await });
    while copies(&daemon).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    daemon.post("fault", json!({ "kind": "drop_link" })).await.unwrap();
    assert_eq!(outcome(&sending.join_next().await.unwrap().unwrap()).0, "unknown");
    running.ended().await;
}

#[tokio::test]
async fn reorder_fault_swaps_receipts() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    daemon.post("fault", json!({ "kind": "reorder_receipts" })).await.unwrap();
    running.send(CONTACT, "A1", "x").await;
    daemon.recorder.until("both receipts", |recorder| recorder.acks().len() == 2).await;
    assert_eq!(daemon.recorder.acks(), [3, 2]);
    running.stop().await;
}

#[tokio::test]
async fn receipts_wait_for_disconnected_device() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0, "ackDeviceMs": 100 })).await;
    assert_eq!(running.send(CONTACT, "A1", "x").await, SENT);
    running.stop().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(daemon.recorder.acks(), Vec::<i8>::new());
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until("both receipts", |recorder| recorder.acks().len() == 2).await;
    running.stop().await;
}

#[tokio::test]
async fn group_message_gets_receipt_of_each_member() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let people: Vec<Jid> = ["15550110001", "15550110002"].iter().map(|n| n.parse().unwrap()).collect();
    let settings = json!({
        "groups": [{ "id": GROUP, "subject": "Street", "participants": people }],
        "ackReadMs": null,
    });
    let running = daemon.connect_linked(settings).await;
    let outcome = running.send(GROUP, "A1", "x").await;
    assert_eq!(outcome, SendOutcome::Sent { participants: people.clone() });
    daemon.recorder.until("two receipts", |recorder| recorder.acks().len() == 2).await;
    let participants: Vec<Option<Jid>> = daemon
        .recorder
        .all()
        .into_iter()
        .filter_map(|e| if let EngineEvent::Receipt(r) = e { Some(r.participant) } else { None })
        .collect();
    assert_eq!(participants, people.into_iter().map(Some).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test]
async fn echo_follows_read_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "echo": true, "ackReadMs": 100 })).await;
    running.send(CONTACT, "A1", "ping").await;
    daemon.recorder.until("the answer", |recorder| recorder.bodies() == ["echo: ping"]).await;
    assert_eq!(daemon.recorder.acks(), [2, 3]);
    while daemon.network().await["acknowledged"].as_array().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn slow_send_fault_delays_send() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    daemon.post("fault", json!({ "kind": "slow_send", "value": 200 })).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(running.send(CONTACT, "A1", "x").await, SENT);
    assert!(began.elapsed() >= Duration::from_millis(200));
    running.stop().await;
}

#[tokio::test]
async fn typing_and_reads_are_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    let chat: Jid = CONTACT.parse().unwrap();
    let id: MessageId = format!("false_{CONTACT}_N1").parse().unwrap();
    running.session.typing(&chat, TypingKind::Audio, true).await.unwrap();
    running.session.mark_read(&chat, &[id]).await.unwrap();
    let network = daemon.network().await;
    assert_eq!(network["typing"][0]["to"], CONTACT);
    assert_eq!(network["typing"][0]["kind"], "audio");
    assert_eq!(network["read"][0]["messageIds"], json!([format!("false_{CONTACT}_N1")]));
    running.session.subscribe_presence(&chat).await.unwrap();

    let exists = |number: &str| running.session.query(Query::Exists(number.parse().unwrap()));
    let (registered, unregistered) = (exists("15550110001").await, exists("15550190001").await);
    assert_eq!((registered, unregistered), (Ok(Answer::Exists(true)), Ok(Answer::Exists(false))));

    let session = Arc::clone(&running.session);
    running.stop().await;
    assert_eq!(session.typing(&chat, TypingKind::Text, true).await, Err(SessionError::Offline));
}
