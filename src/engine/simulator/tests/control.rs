//! What happens to messages and chats elsewhere, as the control API says it.

use super::*;
use crate::domain::event::CallStatus;
use crate::engine::ChatChange;

#[tokio::test]
async fn what_happens_elsewhere_is_told_once_the_device_is_linked() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let (ours, theirs) = (format!("true_{CONTACT}_A1"), format!("false_{CONTACT}_N1"));
    let (of_ours, of_theirs) = (message_id(&ours), message_id(&theirs));
    let (contact, chat) = (of_ours.chat.clone(), of_ours.chat.clone());
    let at = Millis(9);
    let reaction = |emoji: &str| EngineEvent::Reaction {
        id: of_ours.clone(),
        from: contact.clone(),
        from_me: false,
        emoji: emoji.into(),
        at,
    };
    let told = |change| EngineEvent::Chat { chat: chat.clone(), change };
    let cases = [
        (
            "reaction",
            json!({ "messageId": ours, "from": CONTACT, "emoji": "👍", "timestamp": 9 }),
            reaction("👍"),
        ),
        (
            "reaction",
            json!({ "messageId": ours, "from": CONTACT, "emoji": "", "timestamp": 9 }),
            reaction(""),
        ),
        (
            "vote",
            json!({ "messageId": ours, "voter": CONTACT, "options": ["a", "b"], "timestamp": 9 }),
            EngineEvent::Vote {
                id: of_ours.clone(),
                voter: contact.clone(),
                options: vec!["a".into(), "b".into()],
                at,
            },
        ),
        (
            "edit",
            json!({ "messageId": theirs, "body": "better", "timestamp": 9 }),
            EngineEvent::Edited { id: of_theirs.clone(), body: "better".into(), at },
        ),
        ("revoke", json!({ "messageId": theirs }), EngineEvent::Revoked { id: of_theirs.clone() }),
        ("star", json!({ "messageId": theirs }), EngineEvent::Starred { id: of_theirs.clone(), on: true }),
        (
            "star",
            json!({ "messageId": theirs, "on": false }),
            EngineEvent::Starred { id: of_theirs.clone(), on: false },
        ),
        ("delete", json!({ "messageId": theirs }), EngineEvent::DeletedForMe { id: of_theirs.clone() }),
        (
            "read",
            json!({ "chatId": CONTACT, "networkIds": ["N1"] }),
            EngineEvent::ReadElsewhere { chat: chat.clone(), messages: vec!["N1".parse().unwrap()] },
        ),
        ("chat", json!({ "chatId": CONTACT, "archive": true }), told(ChatChange::Archive(true))),
        ("chat", json!({ "chatId": CONTACT, "pin": false }), told(ChatChange::Pin(false))),
        ("chat", json!({ "chatId": CONTACT, "mute": true }), told(ChatChange::Mute(Some(None)))),
        ("chat", json!({ "chatId": CONTACT, "mute": 5 }), told(ChatChange::Mute(Some(Some(Millis(5)))))),
        ("chat", json!({ "chatId": CONTACT, "mute": false }), told(ChatChange::Mute(None))),
        ("chat", json!({ "chatId": CONTACT, "clear": true }), told(ChatChange::Clear)),
        ("chat", json!({ "chatId": CONTACT, "delete": true }), told(ChatChange::Delete)),
    ];
    let (verb, body, _) = &cases[0];
    assert_eq!(code_of(daemon.post(verb, body.clone()).await.unwrap_err()), "not_linked");
    let running = daemon.connect_linked(json!({})).await;
    for (verb, body, expected) in cases {
        assert_eq!(daemon.post(verb, body.clone()).await, Ok(json!({})), "{verb} {body}");
        assert_eq!(daemon.told.all().last(), Some(&expected), "{verb} {body}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_reaction_of_the_account_is_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect(json!({})).await;
    daemon.told.until("a code", |told| !told.codes().is_empty()).await;
    daemon.post("scan", json!({ "phoneNumber": "15550100007" })).await.unwrap();
    daemon.told.until_opened().await;
    let body = json!({ "messageId": format!("false_{CONTACT}_N1"), "from": "15550100007", "emoji": "👍" });
    daemon.post("reaction", body).await.unwrap();
    let last = daemon.told.all().pop().unwrap();
    assert!(matches!(last, EngineEvent::Reaction { from_me: true, .. }), "{last:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_call_rings_only_at_a_connected_device() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let ring = json!({ "from": CONTACT, "video": true });
    assert_eq!(code_of(daemon.post("call", ring.clone()).await.unwrap_err()), "not_connected");
    let running = daemon.connect_linked(json!({})).await;
    let id = daemon.post("call", ring).await.unwrap()["callId"].as_str().unwrap().to_owned();
    daemon.post("call", json!({ "from": CONTACT, "callId": id, "status": "missed" })).await.unwrap();
    let calls: Vec<(String, bool, CallStatus)> = daemon
        .told
        .all()
        .into_iter()
        .filter_map(|event| match event {
            EngineEvent::Call { call_id, video, status, .. } => Some((call_id, video, status)),
            _ => None,
        })
        .collect();
    assert_eq!(calls, [(id.clone(), true, CallStatus::Ringing), (id, false, CallStatus::Missed)]);
    running.stop().await;
}
