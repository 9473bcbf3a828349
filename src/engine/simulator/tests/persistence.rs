//! The ledger and the vault across restarts, and the import of earlier versions.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use super::*;

const GROUP: &str = "120363000000000001@g.us";

#[tokio::test]
async fn sent_message_survives_restart() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    assert_eq!(running.send(CONTACT, "A1", "x").await, SENT);
    running.stop().await;

    let daemon = daemon.restart(dir.path()).await;
    assert_eq!(daemon.network().await["sent"][0]["networkId"], "A1");
    let running = daemon.connect(json!({ "ackServerMs": 0 })).await;
    daemon.recorder.until_opened().await;
    assert_eq!(running.send(CONTACT, "A1", "x").await, SENT);
    let sent = daemon.network().await["sent"].clone();
    assert_eq!((&sent[0]["arrivals"], &sent[0]["shown"]), (&json!(2), &json!(1)));
    running.stop().await;
}

#[tokio::test]
async fn torn_last_line_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    running.send(CONTACT, "A1", "x").await;
    running.stop().await;
    daemon.driver.flush().await.unwrap();
    let path = dir.path().join("simulator/ledger.jsonl");
    let torn = br#"{"device":"shop-1","kind":"sent","networkId":"A2","to":"155501"#;
    OpenOptions::new().append(true).open(&path).unwrap().write_all(torn).unwrap();

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({ "ackServerMs": 0 })).await;
    daemon.recorder.until_opened().await;
    running.send(CONTACT, "A3", "y").await;
    let sent = daemon.network().await["sent"].clone();
    let ids: Vec<&str> = sent.as_array().unwrap().iter().map(|m| m["networkId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["A1", "A3"]);
    running.stop().await;
}

#[tokio::test]
async fn ledger_files_stay_below_limit() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::with(dir.path(), 4_096, Arc::default(), 0);
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    for n in 0..120 {
        assert_eq!(running.send(CONTACT, &format!("A{n}"), &"x".repeat(50)).await, SENT);
    }
    for name in ["ledger.jsonl", "ledger.1.jsonl"] {
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
async fn oversized_line_is_kept_alone() {
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
async fn cleared_record_keeps_undelivered_message() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    running.send(CONTACT, "A1", "x").await;
    daemon.recorder.held.send_replace(true);
    let waiting = daemon.posting("incoming", json!({ "from": "15550110001", "body": "waits" }));
    tokio::time::sleep(SHORT_WAIT).await;
    daemon.driver.control(daemon.context(), ControlVerb::Delete("network"), Value::Null).await.unwrap();
    let empty = json!({ "sent": [], "acknowledged": [], "typing": [], "read": [], "changes": [] });
    assert_eq!(daemon.network().await, empty);
    drop((waiting, running));

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until("what waited", |recorder| recorder.bodies() == ["waits"]).await;
    running.stop().await;
}

#[tokio::test]
async fn deleted_device_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    running.send(CONTACT, "A1", "x").await;
    daemon.recorder.held.send_replace(true);
    let waiting = daemon.posting("incoming", json!({ "from": "15550110001", "body": "waits" }));
    tokio::time::sleep(SHORT_WAIT).await;
    running.stop().await;
    // The daemon clears the vault before it calls the driver.
    daemon.vault.0.lock().clear();
    daemon.driver.forget(&device()).await;
    drop(waiting);
    assert_eq!(daemon.network().await["sent"], json!([]));
    assert_eq!(code_of(daemon.say("hello").await.unwrap_err()), "not_linked");

    let daemon = daemon.restart(dir.path()).await;
    assert_eq!(code_of(daemon.say("hello").await.unwrap_err()), "not_linked");
    assert!(daemon.vault.0.lock().is_empty());
}

#[tokio::test]
async fn delivered_message_leaves_the_vault() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    daemon.recorder.held.send_replace(true);
    let mut call = daemon.posting("incoming", json!({ "from": CONTACT, "body": "hi" }));
    daemon.until_stored(1).await;
    daemon.recorder.held.send_replace(false);
    call.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(daemon.stored_messages(), 0);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stopped_device_accepts_message_after_restart() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    daemon.connect_linked(json!({})).await.stop().await;
    let daemon = daemon.restart(dir.path()).await;
    assert_eq!(code_of(daemon.say("later").await.unwrap_err()), "not_acknowledged");
    assert_eq!(daemon.stored_messages(), 1);
    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until("the message", |recorder| recorder.bodies() == ["later"]).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn remains_of_ended_link_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    daemon.connect_linked(json!({})).await.stop().await;
    daemon.post("incoming", json!({ "from": CONTACT, "groupId": GROUP, "body": "hi" })).await.unwrap_err();
    // The daemon removed the credentials of a stopped device after a request for it.
    daemon.vault.0.lock().remove("simulator/session");
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until("a code", |recorder| recorder.codes().len() == 2).await;
    assert!(daemon.vault.0.lock().is_empty());
    running.stop().await;

    daemon.vault.0.lock().insert("simulator/group/x@g.us".into(), b"remains".to_vec());
    let daemon = daemon.restart(dir.path()).await;
    let network = daemon.say("hello").await;
    assert_eq!(code_of(network.unwrap_err()), "not_linked");
}

/// A data directory as version 0.1 wrote it: link in the vault, everything else in files.
fn write_earlier_version(dir: &std::path::Path) {
    let dir = dir.join("simulator");
    for name in ["", "groups", "files"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    let older = [
        r#"{"device":"shop-1","kind":"linked","phoneNumber":"15550100001","clientName":"Till"}"#,
        r#"{"device":"shop-1","kind":"sent","networkId":"A1","to":"15550110001@c.us","body":"x","at":5}"#,
        r#"{"device":"shop-1","kind":"incoming","no":1,"networkId":"N1","chat":"15550110001@c.us","from":"15550110001@c.us","body":"done","timestamp":6}"#,
    ];
    let newer = [
        r#"{"device":"shop-1","kind":"acknowledged","no":1,"networkId":"N1"}"#,
        r#"{"device":"shop-1","kind":"incoming","no":3,"networkId":"N3","chat":"15550110001@c.us","from":"15550110001@c.us","body":"text","timestamp":6}"#,
        r#"{"device":"shop-1","kind":"incoming","no":4,"networkId":"N4","chat":"15550110001@c.us","from":"15550110001@c.us","body":"kept","file":{"kind":"image","filename":"a.png","bytes":{"from":"kept","file":171,"size":4}},"timestamp":6}"#,
        r#"{"device":"shop-1","kind":"incoming","no":5,"networkId":"N5","chat":"15550110001@c.us","from":"15550110001@c.us","body":"fake","file":{"bytes":{"from":"made_up","mimetype":"image/png","seed":7,"size":90}},"quoted":{"id":"true_15550110001@c.us_A1","author":"15550100001@c.us","body":"x"},"timestamp":6}"#,
        r#"{"device":"other","kind":"incoming","no":6,"networkId":"N6","chat":"15550110001@c.us","from":"15550110001@c.us","body":"other","timestamp":6}"#,
        r#"{"device":"other","kind":"unlinked"}"#,
        r#"{"device":"shop-1","kind":"inco"#,
    ];
    fs::write(dir.join("network.1.jsonl"), older.join("\n") + "\n").unwrap();
    fs::write(dir.join("network.jsonl"), newer.join("\n")).unwrap();
    fs::write(dir.join("files/00000000000000ab"), b"\x89PNG").unwrap();
    let groups = json!([{ "group": {
        "id": GROUP, "subject": "Road", "description": null, "owner": null, "createdAt": null,
        "participants": [{ "id": "15550100001@c.us", "role": "admin" }],
    } }]);
    fs::write(dir.join("groups/shop-1.json"), groups.to_string()).unwrap();
}

#[tokio::test]
async fn files_of_earlier_version_are_imported_once() {
    let dir = tempfile::tempdir().unwrap();
    write_earlier_version(dir.path());
    let daemon = Daemon::start(dir.path());
    let credentials = br#"{"phoneNumber":"15550100001","clientName":"Till","synchronised":true}"#;
    daemon.vault.0.lock().insert("simulator/session".into(), credentials.to_vec());

    let running = daemon.connect(json!({})).await;

    daemon.recorder.until("all", |recorder| recorder.bodies() == ["text", "kept", "fake"]).await;
    assert!(daemon.recorder.codes().is_empty(), "the device is still linked");
    let files = daemon.recorder.all().into_iter().filter_map(|event| match event {
        EngineEvent::Message(message) => message.content.file().cloned(),
        _ => None,
    });
    let files: Vec<_> = files.collect();
    assert_eq!(daemon.files.get(&files[0]).as_deref(), Some(&b"\x89PNG"[..]));
    assert_eq!(daemon.files.get(&files[1]).unwrap().len(), 90);
    let subject = daemon.recorder.all().into_iter().find_map(|event| match event {
        EngineEvent::Groups { groups, .. } => Some(groups[0].subject.clone()),
        _ => None,
    });
    assert_eq!(subject.as_deref(), Some("Road"));
    daemon.say("new").await.unwrap();
    let network = daemon.network().await;
    assert_eq!(
        (&network["sent"][0]["networkId"], &network["sent"][0]["type"]),
        (&json!("A1"), &json!("chat"))
    );
    assert_eq!(network["acknowledged"].as_array().unwrap().len(), 5);
    running.stop().await;

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;
    daemon.say("again").await.unwrap();
    assert_eq!(daemon.recorder.bodies(), ["again"]);
    running.stop().await;
    let mut left: Vec<_> =
        fs::read_dir(dir.path().join("simulator")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["ledger.1.jsonl", "ledger.jsonl"]);
}
