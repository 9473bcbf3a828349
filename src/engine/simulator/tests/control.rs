//! Control requests about existing messages and chats, and calls.

use super::*;
use crate::domain::event::CallStatus;
use crate::engine::{ChatChange, IncomingChange};

#[tokio::test]
async fn event_from_elsewhere_reaches_linked_device() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let (ours, theirs) = (format!("true_{CONTACT}_A1"), format!("false_{CONTACT}_N1"));
    let (of_ours, of_theirs) = (message_id(&ours), message_id(&theirs));
    let (contact, chat) = (of_ours.chat.clone(), of_ours.chat.clone());
    let at = Millis(9);
    let reaction = |emoji: &str| {
        EngineEvent::MessageChange(IncomingChange::Reaction {
            id: of_ours.clone(),
            from: contact.clone(),
            from_me: false,
            emoji: emoji.into(),
            at,
        })
    };
    let chat_event = |change| EngineEvent::Chat { chat: chat.clone(), change };
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
            EngineEvent::MessageChange(IncomingChange::Vote {
                id: of_ours.clone(),
                voter: contact.clone(),
                options: vec!["a".into(), "b".into()],
                at,
            }),
        ),
        (
            "edit",
            json!({ "messageId": theirs, "body": "better", "timestamp": 9 }),
            EngineEvent::MessageChange(IncomingChange::Edited {
                id: of_theirs.clone(),
                body: "better".into(),
                at,
            }),
        ),
        (
            "revoke",
            json!({ "messageId": theirs }),
            EngineEvent::MessageChange(IncomingChange::Revoked { id: of_theirs.clone() }),
        ),
        (
            "star",
            json!({ "messageId": theirs }),
            EngineEvent::MessageChange(IncomingChange::Starred { id: of_theirs.clone(), on: true }),
        ),
        (
            "star",
            json!({ "messageId": theirs, "on": false }),
            EngineEvent::MessageChange(IncomingChange::Starred { id: of_theirs.clone(), on: false }),
        ),
        (
            "delete",
            json!({ "messageId": theirs }),
            EngineEvent::MessageChange(IncomingChange::DeletedForMe { id: of_theirs.clone() }),
        ),
        (
            "read",
            json!({ "chatId": CONTACT, "networkIds": ["N1"] }),
            EngineEvent::ReadElsewhere { chat: chat.clone(), messages: vec!["N1".parse().unwrap()] },
        ),
        ("chat", json!({ "chatId": CONTACT, "archive": true }), chat_event(ChatChange::Archive(true))),
        ("chat", json!({ "chatId": CONTACT, "pin": false }), chat_event(ChatChange::Pin(false))),
        ("chat", json!({ "chatId": CONTACT, "mute": true }), chat_event(ChatChange::Mute(Some(None)))),
        (
            "chat",
            json!({ "chatId": CONTACT, "mute": 5 }),
            chat_event(ChatChange::Mute(Some(Some(Millis(5))))),
        ),
        ("chat", json!({ "chatId": CONTACT, "mute": false }), chat_event(ChatChange::Mute(None))),
        ("chat", json!({ "chatId": CONTACT, "clear": true }), chat_event(ChatChange::Clear)),
        ("chat", json!({ "chatId": CONTACT, "delete": true }), chat_event(ChatChange::Delete)),
    ];
    let (verb, body, _) = &cases[0];
    assert_eq!(code_of(daemon.post(verb, body.clone()).await.unwrap_err()), "not_linked");
    let running = daemon.connect_linked(json!({})).await;
    for (verb, body, expected) in cases {
        assert_eq!(daemon.post(verb, body.clone()).await, Ok(json!({})), "{verb} {body}");
        assert_eq!(daemon.recorder.all().last(), Some(&expected), "{verb} {body}");
    }
    running.stop().await;
}

#[tokio::test]
async fn reaction_of_account_is_marked_from_me() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until("a code", |recorder| !recorder.codes().is_empty()).await;
    daemon.post("scan", json!({ "phoneNumber": "15550100007" })).await.unwrap();
    daemon.recorder.until_opened().await;
    let body = json!({ "messageId": format!("false_{CONTACT}_N1"), "from": "15550100007", "emoji": "👍" });
    daemon.post("reaction", body).await.unwrap();
    let last = daemon.recorder.all().pop().unwrap();
    assert!(
        matches!(last, EngineEvent::MessageChange(IncomingChange::Reaction { from_me: true, .. })),
        "{last:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn call_needs_connected_device() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let ring = json!({ "from": CONTACT, "video": true });
    assert_eq!(code_of(daemon.post("call", ring.clone()).await.unwrap_err()), "not_connected");
    let running = daemon.connect_linked(json!({})).await;
    let id = daemon.post("call", ring).await.unwrap()["callId"].as_str().unwrap().to_owned();
    daemon.post("call", json!({ "from": CONTACT, "callId": id, "status": "missed" })).await.unwrap();
    let calls: Vec<(String, bool, CallStatus)> = daemon
        .recorder
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
