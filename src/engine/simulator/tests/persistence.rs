//! The journal: what survives, what is forgotten, what a crash tears.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use super::*;

#[tokio::test]
async fn what_was_sent_is_still_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    assert_eq!(running.send(CONTACT, "A1", "x").await, SENT);
    running.stop().await;

    let daemon = daemon.restart(dir.path()).await;
    assert_eq!(daemon.network().await["sent"][0]["networkId"], "A1");
    let running = daemon.connect(json!({ "ackServerMs": 0 })).await;
    daemon.told.until_opened().await;
    assert_eq!(running.send(CONTACT, "A1", "x").await, SENT);
    let sent = daemon.network().await["sent"].clone();
    assert_eq!((&sent[0]["arrivals"], &sent[0]["shown"]), (&json!(2), &json!(1)));
    running.stop().await;
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    running.send(CONTACT, "A1", "x").await;
    running.stop().await;
    daemon.driver.flush().await.unwrap();
    let path = dir.path().join("simulator/network.jsonl");
    let torn = br#"{"device":"shop-1","kind":"sent","networkId":"A2","to":"155501"#;
    OpenOptions::new().append(true).open(&path).unwrap().write_all(torn).unwrap();

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({ "ackServerMs": 0 })).await;
    daemon.told.until_opened().await;
    running.send(CONTACT, "A3", "y").await;
    let sent = daemon.network().await["sent"].clone();
    let ids: Vec<&str> = sent.as_array().unwrap().iter().map(|m| m["networkId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["A1", "A3"]);
    for line in fs::read_to_string(&path).unwrap().lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    running.stop().await;
}

#[tokio::test]
async fn the_files_stay_below_their_limit() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::with(dir.path(), 4_096, Arc::default(), 0);
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    for n in 0..120 {
        assert_eq!(running.send(CONTACT, &format!("A{n}"), &"x".repeat(50)).await, SENT);
    }
    for name in ["network.jsonl", "network.1.jsonl"] {
        let len = fs::metadata(dir.path().join("simulator").join(name)).unwrap().len();
        assert!((1..=4_096).contains(&len), "{name}: {len}");
    }
    let sent = daemon.network().await["sent"].clone();
    let sent = sent.as_array().unwrap();
    assert!((20..120).contains(&sent.len()), "{}", sent.len());
    assert_eq!(sent.last().unwrap()["networkId"], "A119");
    running.stop().await;
}

#[tokio::test]
async fn a_line_longer_than_the_limit_is_kept_alone() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::with(dir.path(), 4_096, Arc::default(), 0);
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    let long = "\u{1}".repeat(60_000);
    for id in ["A1", "A2"] {
        assert_eq!(running.send(CONTACT, id, &long).await, SENT);
    }
    let sent = daemon.network().await["sent"].clone();
    assert_eq!(sent.as_array().unwrap().len(), 2);
    assert_eq!(sent[1]["body"], long);
    running.stop().await;
}

#[tokio::test]
async fn forgetting_the_network_keeps_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    running.send(CONTACT, "A1", "x").await;
    daemon.told.held.send_replace(true);
    let waiting = daemon.posting("incoming", json!({ "from": "15550110001", "body": "waits" }));
    tokio::time::sleep(MOMENT).await;
    daemon.driver.control(&device(), ControlVerb::Delete("network"), Value::Null).await.unwrap();
    let empty = json!({ "sent": [], "acknowledged": [], "typing": [], "read": [], "changes": [] });
    assert_eq!(daemon.network().await, empty);
    drop((waiting, running));

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;
    daemon.told.until("what waited", |told| told.bodies() == ["waits"]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_deleted_device_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    running.send(CONTACT, "A1", "x").await;
    daemon.told.held.send_replace(true);
    let waiting = daemon.posting("incoming", json!({ "from": "15550110001", "body": "waits" }));
    tokio::time::sleep(MOMENT).await;
    running.stop().await;
    daemon.driver.forget(&device()).await;
    drop(waiting);
    assert_eq!(daemon.network().await["sent"], json!([]));

    let daemon = daemon.restart(dir.path()).await;
    assert_eq!(code_of(daemon.say("hello").await.unwrap_err()), "not_linked");
    let running = daemon.connect(json!({})).await;
    daemon.told.until_opened().await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(daemon.told.bodies(), Vec::<String>::new());
    running.stop().await;
}
