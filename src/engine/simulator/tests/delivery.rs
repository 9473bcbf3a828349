//! Delivery to the daemon: acknowledged when ingested, repeated until then.

use super::*;

#[tokio::test]
async fn incoming_answers_after_daemon_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let _running = daemon.connect_linked(json!({})).await;
    daemon.recorder.held.send_replace(true);
    let mut call =
        daemon.posting("incoming", json!({ "from": "15550110001", "body": "hi", "networkId": "N1" }));

    assert!(tokio::time::timeout(SHORT_WAIT, call.join_next()).await.is_err());
    assert_eq!(daemon.network().await["acknowledged"], json!([]));

    daemon.recorder.held.send_replace(false);
    let answer = call.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(answer, json!({ "messageId": "false_15550110001@c.us_N1" }));
    assert_eq!(daemon.recorder.bodies(), ["hi"]);
    assert_eq!(daemon.network().await["acknowledged"], json!(["N1"]));
}

#[tokio::test]
async fn unacknowledged_message_is_redelivered_after_kill() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    daemon.say("one").await.unwrap();
    daemon.recorder.held.send_replace(true);
    let two = daemon.posting("incoming", json!({ "from": "15550110001", "body": "two" }));
    let three = daemon.posting("incoming", json!({ "from": "15550110001", "body": "three" }));
    tokio::time::sleep(SHORT_WAIT).await;
    drop((two, three, running));

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until("both", |recorder| recorder.bodies().len() == 2).await;
    let mut bodies = daemon.recorder.bodies();
    bodies.sort();
    assert_eq!(bodies, ["three", "two"]);
    daemon.say("four").await.unwrap();
    assert_eq!(daemon.network().await["acknowledged"].as_array().unwrap().len(), 4);
    running.stop().await;

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;
    daemon.say("five").await.unwrap();
    assert_eq!(daemon.recorder.bodies(), ["five"]);
    running.stop().await;
}

#[tokio::test]
async fn message_is_redelivered_after_store_failure() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    daemon.recorder.refuses.store(true, Ordering::Relaxed);
    let mut call = daemon.posting("incoming", json!({ "from": "15550110001", "body": "hi" }));
    assert_eq!(running.ended().await, SessionEnd::LinkLost(crate::domain::reason::Reason::EngineError));

    daemon.recorder.refuses.store(false, Ordering::Relaxed);
    let _running = daemon.connect(json!({})).await;
    assert!(call.join_next().await.unwrap().unwrap().is_ok());
    assert_eq!(daemon.recorder.bodies(), ["hi"]);
}

#[tokio::test]
async fn repeated_network_id_is_delivered_twice() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let _running = daemon.connect_linked(json!({})).await;
    for _ in 0..2 {
        daemon
            .post("incoming", json!({ "from": "15550110001", "body": "hi", "networkId": "N1" }))
            .await
            .unwrap();
    }
    assert_eq!(daemon.recorder.bodies(), ["hi", "hi"]);
    assert_eq!(daemon.network().await["acknowledged"], json!(["N1"]));

    daemon.post("fault", json!({ "kind": "duplicate_incoming" })).await.unwrap();
    daemon.say("twice").await.unwrap();
    daemon.say("once").await.unwrap();
    assert_eq!(daemon.recorder.bodies()[2..], ["twice", "twice", "once"]);
}

#[tokio::test]
async fn group_message_has_member_as_sender() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let _running = daemon.connect_linked(json!({ "contacts": [{ "id": CONTACT, "name": "Bakery" }] })).await;
    let group = "120363000000000001@g.us";
    let bodies = [
        json!({ "from": CONTACT, "groupId": group, "body": "a", "networkId": "G1", "timestamp": 5 }),
        json!({ "from": group, "author": CONTACT, "body": "a", "networkId": "G1", "timestamp": 5 }),
    ];
    for body in bodies {
        let answer = daemon.post("incoming", body).await.unwrap();
        assert_eq!(answer["messageId"], format!("false_{group}_G1_{CONTACT}"));
        let last = daemon.recorder.all().pop().unwrap();
        let EngineEvent::Message(message) = last else { panic!("{last:?}") };
        assert_eq!(
            (message.chat.to_string(), message.from.to_string()),
            (group.to_owned(), CONTACT.to_owned())
        );
        assert_eq!((message.timestamp, message.notify_name.as_deref()), (Millis(5), Some("Bakery")));
    }
}

#[tokio::test]
async fn stalled_network_is_silent_until_stall_ends() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    daemon.post("fault", json!({ "kind": "stall", "durationMs": 60_000 })).await.unwrap();
    let mut call = daemon.posting("incoming", json!({ "from": "15550110001", "body": "hi" }));
    let mut sending = JoinSet::new();
    let session = Arc::clone(&running.session);
    sending.spawn(async move { session.send(outgoing(CONTACT, "A1", "out")).await });
    assert!(tokio::time::timeout(SHORT_WAIT, call.join_next()).await.is_err());
    assert!(tokio::time::timeout(SHORT_WAIT, sending.join_next()).await.is_err());
    assert_eq!(daemon.network().await["sent"], json!([]));

    daemon.post("fault", json!({ "kind": "stall", "count": 0 })).await.unwrap();
    assert!(call.join_next().await.unwrap().unwrap().is_ok());
    assert_eq!(sending.join_next().await.unwrap().unwrap(), SENT);
}

#[tokio::test]
async fn typing_presence_and_receipts_are_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let typing = json!({ "from": "15550110001", "kind": "audio", "on": true });
    assert_eq!(code_of(daemon.post("typing", typing.clone()).await.unwrap_err()), "not_connected");
    let _running = daemon.connect_linked(json!({})).await;

    daemon.post("typing", typing).await.unwrap();
    daemon.post("presence", json!({ "from": "15550110001", "online": false, "lastSeen": 9 })).await.unwrap();
    for ack in [3, 2, -1] {
        let body = json!({ "messageId": format!("true_{CONTACT}_A1"), "ack": ack });
        daemon.post("receipt", body).await.unwrap();
    }
    assert_eq!(daemon.recorder.acks(), [3, 2, -1]);
    let events = daemon.recorder.all();
    assert!(events.iter().any(|e| matches!(e, EngineEvent::Typing { on: true, .. })));
    assert!(events.iter().any(|e| matches!(e, EngineEvent::Presence { last_seen: Some(Millis(9)), .. })));
}

#[tokio::test(start_paused = true)]
async fn message_for_stopped_device_waits() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let mut events = daemon.recorder.events.subscribe();
    let running = daemon.connect(json!({ "autoScanMs": 0 })).await;
    events.wait_for(|e| e.iter().any(|e| matches!(e, EngineEvent::Opened(_)))).await.unwrap();
    running.stop().await;

    assert_eq!(code_of(daemon.say("later").await.unwrap_err()), "not_acknowledged");

    let running = daemon.connect(json!({})).await;
    events.wait_for(|e| e.iter().any(|e| matches!(e, EngineEvent::Message(_)))).await.unwrap();
    assert_eq!(daemon.recorder.bodies(), ["later"]);
    running.stop().await;
}
