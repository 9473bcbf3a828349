//! The control API's verbs for groups, chats and files, as in Wharf's simulator.

use std::collections::HashMap;

use serde_json::{Value, json};
use testbed::Testbed;
use wacore::stanza::groups::GroupNotificationAction;
use wacore::types::events::Event;

use crate::device::Device;
use crate::http::ask;
use crate::{PHONE, account, testbed};

const ANNE: &str = "15550110001@c.us";

/// Calls a verb; returns status and answer.
async fn call(testbed: &Testbed, verb: &str, body: Value) -> (u16, Value) {
    let url = format!("http://{}/control/accounts/{PHONE}/{verb}", testbed.address());
    let headers = HashMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    let (status, answer) = ask("POST", &url, &headers, body.to_string().as_bytes()).await.unwrap();
    (status, serde_json::from_slice(&answer).unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread")]
async fn other_member_creates_and_changes_group() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({}));
    let mut device = Device::linked(&testbed, &account).await;
    let made = json!({ "groupId": "7@g.us", "change": "created", "subject": "Theirs", "author": ANNE });
    let (status, answer) = call(&testbed, "group", made).await;
    assert_eq!((status, &answer["group"]["owner"]), (200, &json!(ANNE)));
    let renamed = json!({ "groupId": "7@g.us", "change": "subject", "subject": "Ours", "author": ANNE });
    assert_eq!(call(&testbed, "group", renamed).await.0, 200);
    let subject = device
        .next("name", |event| match event {
            Event::GroupUpdate(update) => match &update.action {
                GroupNotificationAction::Subject { subject, .. } => Some(subject.clone()),
                _ => None,
            },
            _ => None,
        })
        .await;
    assert_eq!(subject, "Ours");
    let again = json!({ "groupId": "7@g.us", "change": "add", "participants": [ANNE], "author": ANNE });
    let (status, answer) = call(&testbed, "group", again).await;
    assert_eq!((status, &answer["field"]), (422, &json!("participants[0]")));
    let unknown = json!({ "groupId": "8@g.us", "change": "picture" });
    assert_eq!(call(&testbed, "group", unknown).await.1["code"], "group_unknown");
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_mutes_chats_and_stars_messages() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({}));
    let mut device = Device::linked(&testbed, &account).await;
    assert_eq!(call(&testbed, "chat", json!({ "chatId": ANNE, "mute": true })).await.0, 200);
    device.next("mute", |event| matches!(event, Event::MuteUpdate(_)).then_some(())).await;
    let star = json!({ "messageId": format!("false_{ANNE}_3EB0AA"), "on": true });
    assert_eq!(call(&testbed, "star", star).await.0, 200);
    let starred = device
        .next("star", |event| match event {
            Event::StarUpdate(star) => Some(star.message_id.clone()),
            _ => None,
        })
        .await;
    assert_eq!(starred, "3EB0AA");
    assert_eq!(call(&testbed, "chat", json!({ "chatId": ANNE })).await.0, 422);
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn received_file_is_byte_identical() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({}));
    let mut device = Device::linked(&testbed, &account).await;
    let media = json!({ "data": "aGVsbG8=", "mimetype": "image/png", "caption": "look" });
    let (status, answer) = call(&testbed, "incoming", json!({ "from": ANNE, "media": media })).await;
    assert_eq!(status, 200, "{answer}");
    let image = device
        .next("picture", |event| match event {
            Event::Messages(batch) => batch.iter().find_map(|m| m.message.image_message.as_option().cloned()),
            _ => None,
        })
        .await;
    assert_eq!(image.caption.as_deref(), Some("look"));
    assert_eq!(device.client().download(&image).await.unwrap(), b"hello");
    testbed.stop().await;
}
