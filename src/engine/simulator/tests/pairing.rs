//! Pairing codes.

use super::*;
use crate::engine::{PairingCode, SessionError};

async fn shown(daemon: &Daemon, number: usize) {
    let mut events = daemon.recorder.events.subscribe();
    events.wait_for(|events| events.len() == number).await.unwrap();
}

#[tokio::test]
async fn pairing_code_links_its_phone() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until("a code", |recorder| !recorder.codes().is_empty()).await;
    let code = running.session.pairing_code("15550100007").await.unwrap().code;
    let (first, last) = code.split_once('-').unwrap();
    for half in [first, last] {
        assert_eq!(half.len(), 4);
        assert!(half.chars().all(|c| "123456789ABCDEFGHJKLMNPQRSTVWXYZ".contains(c)), "{code}");
    }
    let typed = format!("{} {}", first.to_lowercase(), last);

    let account = daemon.post("pair", json!({ "code": typed, "clientName": "Till" })).await.unwrap();

    assert_eq!(account, json!({ "phoneNumber": "15550100007", "clientName": "Till" }));
    daemon.recorder.until_opened().await;
    let again = daemon.post("pair", json!({ "code": code })).await;
    assert_eq!(code_of(again.unwrap_err()), "pairing_code_expired");
    let late = running.session.pairing_code("15550100007").await;
    assert!(matches!(late, Err(SessionError::Refused(_))), "{late:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_newest_pairing_code_is_accepted_while_linking() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let (session, cancel) = daemon.open(json!({})).await;
    let early = session.pairing_code("15550100007").await;
    assert!(matches!(early, Err(SessionError::Refused(_))), "{early:?}");
    let mut task = JoinSet::new();
    task.spawn(Arc::clone(&session).run());
    shown(&daemon, 1).await;
    let wrong = session.pairing_code("12").await;
    assert!(matches!(wrong, Err(SessionError::Refused(_))), "{wrong:?}");
    let old = session.pairing_code("15550100007").await.unwrap().code;
    let PairingCode { code: new, valid_ms } = session.pairing_code("15550100008").await.unwrap();
    assert_eq!(valid_ms, 160_000, "until the last code to scan expires");
    let pair = async |code: &str| code_of(daemon.post("pair", json!({ "code": code })).await.unwrap_err());
    assert_eq!(pair(&old).await, "pairing_code_expired");
    assert_eq!(pair("AAAA-AAAA").await, "pairing_code_unknown");
    // The next code to scan does not touch the one to type; the end of all codes does.
    shown(&daemon, 2).await;
    assert_eq!(task.join_next().await.unwrap().unwrap(), SessionEnd::CodesExhausted);
    assert_eq!(pair(&new).await, "pairing_code_expired");
    cancel.cancel();
}

#[tokio::test(start_paused = true)]
async fn auto_scan_prefers_pairing_code() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect(json!({ "autoScanMs": 30_000 })).await;
    shown(&daemon, 1).await;
    running.session.pairing_code("15550100042").await.unwrap();
    shown(&daemon, 2).await;
    let last = daemon.recorder.all().pop().unwrap();
    assert!(matches!(&last, EngineEvent::Scanned(a) if a.phone_number == "15550100042"), "{last:?}");
    drop(running);
}
