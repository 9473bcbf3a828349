//! QR codes, scans, credentials, and the ends of sessions.

use super::*;
use crate::domain::reason::Reason;

#[tokio::test(start_paused = true)]
async fn session_ends_after_six_codes() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let (session, _cancel) = daemon.open(json!({})).await;
    let began = tokio::time::Instant::now();

    assert_eq!(session.run().await, SessionEnd::CodesExhausted);

    assert_eq!(began.elapsed().as_secs(), 160);
    let codes = daemon.recorder.codes();
    let valid: Vec<i64> = codes.iter().map(|(_, valid)| *valid).collect();
    assert_eq!(valid, [60_000, 20_000, 20_000, 20_000, 20_000, 20_000]);
    for (code, _) in &codes {
        assert!((237..=241).contains(&code.len()), "{}", code.len());
        assert_eq!(code.split(',').count(), 4);
        assert_eq!(codes.iter().filter(|(other, _)| other == code).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn auto_scan_links_after_delay() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let (session, cancel) = daemon.open(json!({ "autoScanMs": 70_000 })).await;
    let began = tokio::time::Instant::now();
    let mut task = JoinSet::new();
    task.spawn(session.run());
    let mut events = daemon.recorder.events.subscribe();
    events.wait_for(|e| e.iter().any(|e| matches!(e, EngineEvent::Scanned(_)))).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 70);
    assert_eq!(daemon.recorder.codes().len(), 2);
    cancel.cancel();
    assert_eq!(task.join_next().await.unwrap().unwrap(), SessionEnd::Closed);
}

#[tokio::test]
async fn scanned_link_survives_restart() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until("a code", |recorder| !recorder.codes().is_empty()).await;

    let code = daemon.recorder.codes()[0].0.clone();
    let scan = json!({ "qr": code, "phoneNumber": "+1 555 010-0007", "clientName": "Till" });
    let account = daemon.post("scan", scan).await.unwrap();
    assert_eq!(account, json!({ "phoneNumber": "15550100007", "clientName": "Till" }));
    daemon.recorder.until_opened().await;
    let again = daemon.post("scan", json!({ "qr": code })).await;
    assert_eq!(code_of(again.unwrap_err()), "qr_expired");
    assert_eq!(running.stop().await, SessionEnd::Closed);

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until_opened().await;
    let first = daemon.recorder.all();
    let [EngineEvent::Groups { complete: true, .. }, EngineEvent::Opened(account)] = &first[..] else {
        panic!("{first:?}")
    };
    assert_eq!(account.phone_number, "15550100007");

    running.session.log_out().await.unwrap();
    assert_eq!(running.ended().await, SessionEnd::Closed);
    assert!(daemon.vault.0.lock().is_empty());
    assert_eq!(code_of(daemon.say("hello").await.unwrap_err()), "not_linked");
}

#[tokio::test(start_paused = true)]
async fn only_current_code_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    assert_eq!(code_of(daemon.post("scan", json!({})).await.unwrap_err()), "no_qr");
    let running = daemon.connect(json!({})).await;
    let mut events = daemon.recorder.events.subscribe();
    events.wait_for(|events| events.len() == 2).await.unwrap();
    let codes = daemon.recorder.codes();

    let scan = |qr: &str| daemon.post("scan", json!({ "qr": qr }));
    assert_eq!(code_of(scan(&codes[0].0).await.unwrap_err()), "qr_expired");
    assert_eq!(code_of(scan("2@never-shown").await.unwrap_err()), "qr_unknown");
    scan(&codes[1].0).await.unwrap();
    drop(running);
}

#[tokio::test]
async fn scan_without_number_uses_seeded_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let daemon = Daemon::start(&dir.path().join(format!("{}", numbers.len())));
        let _running = daemon.connect(json!({ "seed": 7 })).await;
        daemon.recorder.until("a code", |recorder| !recorder.codes().is_empty()).await;
        let account = daemon.post("scan", json!({})).await.unwrap();
        assert_eq!(account["clientName"], "Simulated phone");
        numbers.push(account["phoneNumber"].as_str().unwrap().to_owned());
    }
    assert_eq!(numbers[0], numbers[1]);
    assert!(numbers[0].starts_with("1555010") && numbers[0].len() == 11, "{numbers:?}");
}

#[tokio::test]
async fn new_link_synchronises_history_once() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let settings = json!({
        "contacts": [{ "id": CONTACT, "name": "Bakery" }, { "number": "+15550110002" }],
        "groups": [{ "id": "120363000000000001@g.us", "subject": "Street", "participants": [CONTACT] }],
        "history": 450,
    });
    let running = daemon.connect_linked(settings.clone()).await;
    let batch_sizes = |recorder: &Recorder| -> Vec<usize> {
        let length = |event| match event {
            EngineEvent::Contacts(batch) => Some(batch.len()),
            EngineEvent::History(batch) => Some(batch.len()),
            EngineEvent::Groups { groups: batch, complete: false } => Some(batch.len()),
            _ => None,
        };
        recorder.all().into_iter().filter_map(length).collect()
    };
    daemon.recorder.until("the last batch", |recorder| batch_sizes(recorder).len() == 5).await;
    assert_eq!(batch_sizes(&daemon.recorder), [2, 1, 200, 200, 50]);
    let is_synchronised = || {
        let values = daemon.vault.0.lock();
        let stored: Value = serde_json::from_slice(&values["simulator/session"]).unwrap();
        stored["synchronised"] == true
    };
    while !is_synchronised() {
        tokio::task::yield_now().await;
    }
    running.stop().await;

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(settings).await;
    daemon.recorder.until_opened().await;
    daemon.say("after").await.unwrap();
    assert_eq!(batch_sizes(&daemon.recorder), Vec::<usize>::new());
    running.stop().await;
}

#[tokio::test]
async fn fault_ends_session_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let mut running = daemon.connect_linked(json!({})).await;
    let cases = [
        (json!({ "kind": "drop_link" }), SessionEnd::LinkLost(Reason::LinkDropped)),
        (json!({ "kind": "ban", "value": "temporary" }), SessionEnd::Fatal(Reason::TemporaryBan)),
        (json!({ "kind": "ban" }), SessionEnd::Fatal(Reason::Banned)),
        (json!({ "kind": "log_out" }), SessionEnd::LoggedOut(Reason::LoggedOutOnPhone)),
    ];
    for (fault, expected) in cases {
        daemon.post("fault", fault.clone()).await.unwrap();
        assert_eq!(running.ended().await, expected, "{fault}");
        running = daemon.connect(json!({})).await;
    }
    assert!(daemon.vault.0.lock().is_empty());
    daemon.recorder.until("codes again", |recorder| recorder.codes().len() == 2).await;
    running.stop().await;
}

#[tokio::test]
async fn refuse_connect_counts_connections() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    daemon.post("fault", json!({ "kind": "refuse_connect", "count": 2 })).await.unwrap();
    for _ in 0..2 {
        let running = daemon.connect(json!({})).await;
        assert_eq!(running.ended().await, SessionEnd::LinkLost(Reason::NetworkUnreachable));
    }
    daemon.connect_linked(json!({})).await.stop().await;
}

#[tokio::test]
async fn device_works_after_panic() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let mut running = daemon.connect_linked(json!({})).await;
    daemon.post("fault", json!({ "kind": "panic" })).await.unwrap();
    let ended = running.task.join_next().await.unwrap();
    assert!(ended.unwrap_err().is_panic());
    assert!(matches!(running.send(CONTACT, "A1", "hi").await, SendOutcome::Transient(_)));

    let running = daemon.connect(json!({})).await;
    daemon.say("still here").await.unwrap();
    assert_eq!(running.send(CONTACT, "A1", "hi").await, SENT);
    running.stop().await;
}

#[tokio::test]
async fn second_session_replaces_first() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let first = daemon.connect_linked(json!({})).await;
    let second = daemon.connect(json!({})).await;
    assert_eq!(first.ended().await, SessionEnd::Fatal(Reason::StreamReplaced));
    daemon.say("to the second").await.unwrap();
    assert_eq!(second.stop().await, SessionEnd::Closed);
}
