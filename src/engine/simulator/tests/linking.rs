//! Codes, scans, credentials, and what a fresh link synchronises.

use super::*;
use crate::domain::reason::Reason;

#[tokio::test(start_paused = true)]
async fn six_codes_are_shown_then_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let (session, _cancel) = daemon.open(json!({})).await;
    let began = tokio::time::Instant::now();

    assert_eq!(session.run().await, SessionEnd::CodesExhausted);

    assert_eq!(began.elapsed().as_secs(), 160);
    let codes = daemon.told.codes();
    let valid: Vec<i64> = codes.iter().map(|(_, valid)| *valid).collect();
    assert_eq!(valid, [60_000, 20_000, 20_000, 20_000, 20_000, 20_000]);
    for (code, _) in &codes {
        assert!((237..=241).contains(&code.len()), "{}", code.len());
        assert_eq!(code.split(',').count(), 4);
        assert_eq!(codes.iter().filter(|(other, _)| other == code).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_phone_scans_by_itself_when_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let (session, cancel) = daemon.open(json!({ "autoScanMs": 70_000 })).await;
    let began = tokio::time::Instant::now();
    let mut task = JoinSet::new();
    task.spawn(session.run());
    let mut events = daemon.told.events.subscribe();
    events.wait_for(|e| e.iter().any(|e| matches!(e, EngineEvent::Scanned(_)))).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 70);
    assert_eq!(daemon.told.codes().len(), 2);
    cancel.cancel();
    assert_eq!(task.join_next().await.unwrap().unwrap(), SessionEnd::Closed);
}

#[tokio::test]
async fn a_scan_links_and_the_link_outlives_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect(json!({})).await;
    daemon.told.until("a code", |told| !told.codes().is_empty()).await;

    let code = daemon.told.codes()[0].0.clone();
    let scan = json!({ "qr": code, "phoneNumber": "+1 555 010-0007", "clientName": "Till" });
    let account = daemon.post("scan", scan).await.unwrap();
    assert_eq!(account, json!({ "phoneNumber": "15550100007", "clientName": "Till" }));
    daemon.told.until_opened().await;
    let again = daemon.post("scan", json!({ "qr": code })).await;
    assert_eq!(code_of(again.unwrap_err()), "qr_expired");
    assert_eq!(running.stop().await, SessionEnd::Closed);

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;
    daemon.told.until_opened().await;
    let first = daemon.told.all();
    let [EngineEvent::Groups { complete: true, .. }, EngineEvent::Opened(account)] = &first[..] else {
        panic!("{first:?}")
    };
    assert_eq!(account.phone_number, "15550100007");

    running.session.log_out().await.unwrap();
    assert_eq!(running.ended().await, SessionEnd::Closed);
    assert!(daemon.vault.0.lock().unwrap().is_empty());
    assert_eq!(code_of(daemon.say("hello").await.unwrap_err()), "not_linked");
}

#[tokio::test(start_paused = true)]
async fn only_the_current_code_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    assert_eq!(code_of(daemon.post("scan", json!({})).await.unwrap_err()), "no_qr");
    let running = daemon.connect(json!({})).await;
    let mut events = daemon.told.events.subscribe();
    events.wait_for(|events| events.len() == 2).await.unwrap();
    let codes = daemon.told.codes();

    let scan = |qr: &str| daemon.post("scan", json!({ "qr": qr }));
    assert_eq!(code_of(scan(&codes[0].0).await.unwrap_err()), "qr_expired");
    assert_eq!(code_of(scan("2@nobody-showed-this").await.unwrap_err()), "qr_unknown");
    scan(&codes[1].0).await.unwrap();
    drop(running);
}

#[tokio::test]
async fn without_a_number_the_phone_has_one_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let daemon = Daemon::start(&dir.path().join(format!("{}", numbers.len())));
        let _running = daemon.connect(json!({ "seed": 7 })).await;
        daemon.told.until("a code", |told| !told.codes().is_empty()).await;
        let account = daemon.post("scan", json!({})).await.unwrap();
        assert_eq!(account["clientName"], "Simulated phone");
        numbers.push(account["phoneNumber"].as_str().unwrap().to_owned());
    }
    assert_eq!(numbers[0], numbers[1]);
    assert!(numbers[0].starts_with("1555010") && numbers[0].len() == 11, "{numbers:?}");
}

#[tokio::test]
async fn a_fresh_link_tells_contacts_groups_and_history_once() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let settings = json!({
        "contacts": [{ "id": CONTACT, "name": "Bakery" }, { "number": "+15550110002" }],
        "groups": [{ "id": "120363000000000001@g.us", "subject": "Street", "participants": [CONTACT] }],
        "history": 450,
    });
    let running = daemon.connect_linked(settings.clone()).await;
    let past = |told: &Recorder| -> Vec<usize> {
        let length = |event| match event {
            EngineEvent::Contacts(batch) => Some(batch.len()),
            EngineEvent::History(batch) => Some(batch.len()),
            EngineEvent::Groups { groups: batch, complete: false } => Some(batch.len()),
            _ => None,
        };
        told.all().into_iter().filter_map(length).collect()
    };
    daemon.told.until("the last batch", |told| past(told).len() == 5).await;
    assert_eq!(past(&daemon.told), [2, 1, 200, 200, 50]);
    let is_synchronised = || {
        let values = daemon.vault.0.lock().unwrap();
        let stored: Value = serde_json::from_slice(&values["simulator/session"]).unwrap();
        stored["synchronised"] == true
    };
    while !is_synchronised() {
        tokio::task::yield_now().await;
    }
    running.stop().await;

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(settings).await;
    daemon.told.until_opened().await;
    daemon.say("after").await.unwrap();
    assert_eq!(past(&daemon.told), Vec::<usize>::new());
    running.stop().await;
}

#[tokio::test]
async fn faults_end_a_session_as_they_should() {
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
    assert!(daemon.vault.0.lock().unwrap().is_empty());
    daemon.told.until("codes again", |told| told.codes().len() == 2).await;
    running.stop().await;
}

#[tokio::test]
async fn refused_connections_are_counted() {
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
async fn a_panic_leaves_the_device_usable() {
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
async fn a_second_session_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let first = daemon.connect_linked(json!({})).await;
    let second = daemon.connect(json!({})).await;
    assert_eq!(first.ended().await, SessionEnd::Fatal(Reason::StreamReplaced));
    daemon.say("to the second").await.unwrap();
    assert_eq!(second.stop().await, SessionEnd::Closed);
}
