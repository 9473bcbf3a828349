//! Forwarding messages.

use serde_json::{Value, json};

use super::{message, sent, sent_text};
use crate::support::{ANNA, BEN, TestApp};

const FORWARD: &str = "/devices/shop/messages/forward";

// covers: POST /devices/{id}/messages/forward
#[tokio::test]
async fn message_is_forwarded_to_several_chats() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    let group = "120363000000000001@g.us";
    let crew = json!({ "id": group, "subject": "Crew", "participants": [ANNA] });
    app.device_with("shop", json!({ "groups": [crew] })).await;
    let id = app.incoming("shop", ANNA, "the news").await;
    let reply = app.post(FORWARD, json!({ "messageId": id, "to": [BEN, group] })).await.created();
    let new: Vec<String> = reply["data"]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(new.len(), 2);
    for id in &new {
        let shown = app.wait_for_status("shop", id, "read").await;
        assert_eq!(
            (&shown["body"], &shown["isForwarded"], &shown["fromMe"]),
            (&json!("the news"), &json!(true), &json!(true))
        );
    }
    let arrived = sent(&app).await;
    let marked = |m: &Value| m["forwarded"] == true || !app.reports("forwarding");
    assert!(arrived.iter().all(|m| marked(m) && m["body"] == "the news"), "{arrived:?}");
}

#[tokio::test]
async fn forward_keeps_message_content() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let place = json!({ "to": ANNA, "location": { "latitude": 1.5, "longitude": 2.5 } });
    let id = app.post("/devices/shop/messages/send", place).await.created()["data"]["id"].clone();
    let reply = app.post(FORWARD, json!({ "messageId": id, "chatId": BEN })).await.created();
    let new = reply["data"]["messages"][0]["id"].as_str().unwrap();
    let shown = message(&app, new).await;
    assert_eq!((&shown["type"], &shown["location"]["latitude"]), (&json!("location"), &json!(1.5)));
}

// covers: POST /devices/{id}/chats/{chatId}/messages/forward
#[tokio::test]
async fn legacy_forward_path_names_source_chat() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let id = sent_text(&app, ANNA, "hello").await;
    let body = json!({ "messageId": id, "to": BEN });
    app.post("/devices/shop/chats/15550100002@c.us/messages/forward", body.clone())
        .await
        .refused(404, "message_not_found");
    app.post("/devices/shop/chats/15550100001@c.us/messages/forward", body).await.created();
}

#[tokio::test]
async fn forward_requires_target_and_message() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let id = app.incoming("shop", ANNA, "the news").await;
    let too_many: Vec<Value> = (0..21).map(|n| json!(format!("155501000{n:02}"))).collect();
    for (body, field) in [
        (json!({ "messageId": id }), "to"),
        (json!({ "messageId": id, "to": [] }), "to"),
        (json!({ "messageId": id, "to": ["x"] }), "to[0]"),
        (json!({ "messageId": id, "to": too_many }), "to"),
        (json!({ "to": BEN }), "messageId"),
    ] {
        let refused = app.post(FORWARD, body).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], field);
    }
    let unknown = json!({ "messageId": "false_15550100001@c.us_NONE", "to": BEN });
    app.post(FORWARD, unknown).await.refused(404, "message_not_found");
}

#[tokio::test]
async fn forward_is_all_or_nothing() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__MAX_QUEUED", "2")]).await;
    app.device("shop").await;
    let id = app.incoming("shop", ANNA, "the news").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let three = json!({ "messageId": id, "to": ["15550100011", "15550100012", "15550100013"] });
    app.post(FORWARD, three).await.refused(429, "outbox_full");
    assert!(app.logged("shop", "message:created").await.is_empty());
    let twice = json!({ "messageId": id, "to": [BEN, "+1 555 010 0002"] });
    let reply = app.post(FORWARD, twice).await.created();
    assert_eq!(reply["data"]["messages"].as_array().unwrap().len(), 1, "a repeated chat gets one message");
}

#[tokio::test]
async fn forward_with_idempotency_key_is_repeatable() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let id = app.incoming("shop", ANNA, "the news").await;
    let forward = async |to: &[&str]| {
        let body = json!({ "messageId": id, "to": to });
        let request = app.request("POST", FORWARD).header("Idempotency-Key", "news-1").json(&body);
        app.with_key(&app.key).send(request).await
    };
    let first = forward(&[ANNA, BEN]).await.created();
    assert_eq!(
        forward(&[ANNA, BEN]).await.created()["data"]["messages"][1]["id"],
        first["data"]["messages"][1]["id"]
    );
    forward(&[BEN]).await.refused(422, "idempotency_mismatch");
    assert_eq!(app.logged("shop", "message:created").await.len(), 2);
}
