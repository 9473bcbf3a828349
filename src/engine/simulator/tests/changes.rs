//! Changes of messages and chats by the device.

use super::*;
use crate::engine::{ChatChange, EditContext, MessageChange, SessionError};

fn edit(id: MessageId, body: &str, at: Millis) -> MessageChange {
    MessageChange::Edit { id, body: body.to_owned(), at, context: Box::new(EditContext::of_text()) }
}

#[tokio::test]
async fn changes_are_shown_with_their_times() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    let (ours, theirs) = (format!("true_{CONTACT}_A1"), format!("false_{CONTACT}_N1"));
    let (at, chat) = (Millis(77), CONTACT.parse().unwrap());
    for change in [
        edit(message_id(&ours), "better", at),
        MessageChange::React { id: message_id(&theirs), emoji: "👍".into(), at },
        MessageChange::Revoke { id: message_id(&ours) },
        MessageChange::DeleteForMe { id: message_id(&theirs) },
        MessageChange::Star { id: message_id(&theirs), on: true },
        MessageChange::Vote { id: message_id(&theirs), options: vec!["Friday".into()], at },
    ] {
        running.session.change_message(change).await.unwrap();
    }
    for change in [
        ChatChange::Archive(true),
        ChatChange::Pin(false),
        ChatChange::Mute(Some(Some(Millis(99)))),
        ChatChange::Mute(None),
        ChatChange::Clear,
        ChatChange::Delete,
    ] {
        running.session.change_chat(&chat, change).await.unwrap();
    }
    let mut changes = daemon.network().await["changes"].clone();
    let changes = changes.as_array_mut().unwrap();
    for change in &mut *changes {
        let at = change.as_object_mut().unwrap().remove("at").unwrap().as_i64().unwrap();
        assert!(at == 77 || at >= 1_700_000_000_000, "{change} {at}");
    }
    let expected = json!([
        { "kind": "edit", "messageId": ours, "body": "better" },
        { "kind": "react", "messageId": theirs, "emoji": "👍" },
        { "kind": "revoke", "messageId": ours },
        { "kind": "delete_for_me", "messageId": theirs },
        { "kind": "star", "messageId": theirs, "on": true },
        { "kind": "vote", "messageId": theirs, "options": ["Friday"] },
        { "kind": "archive", "chat": CONTACT, "on": true },
        { "kind": "pin", "chat": CONTACT, "on": false },
        { "kind": "mute", "chat": CONTACT, "on": true, "until": 99 },
        { "kind": "mute", "chat": CONTACT, "on": false },
        { "kind": "clear", "chat": CONTACT },
        { "kind": "delete", "chat": CONTACT },
    ]);
    assert_eq!(&*changes, expected.as_array().unwrap());
    running.stop().await;
}

#[tokio::test]
async fn invalid_or_offline_change_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    let theirs = message_id(&format!("false_{CONTACT}_N1"));
    let ours = message_id(&format!("true_{CONTACT}_A1"));
    for change in [
        edit(theirs.clone(), "mine", Millis(1)),
        edit(ours.clone(), "", Millis(1)),
        edit(ours.clone(), &"x".repeat(65_537), Millis(1)),
        MessageChange::React { id: theirs.clone(), emoji: "x".repeat(65), at: Millis(1) },
        MessageChange::Revoke { id: theirs },
    ] {
        let refused = running.session.change_message(change.clone()).await;
        assert!(matches!(refused, Err(SessionError::Refused(_))), "{change:?}: {refused:?}");
    }
    assert_eq!(daemon.network().await["changes"], json!([]));
    let session = Arc::clone(&running.session);
    running.stop().await;
    assert_eq!(session.change_message(MessageChange::Revoke { id: ours }).await, Err(SessionError::Offline));
    let chat = CONTACT.parse().unwrap();
    assert_eq!(session.change_chat(&chat, ChatChange::Clear).await, Err(SessionError::Offline));
}
