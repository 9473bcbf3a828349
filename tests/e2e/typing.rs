//! Typing and presence over REST.

use serde_json::{Value, json};

use crate::support::{ANNA, TestApp};

// covers: POST /devices/{id}/chats/{chatId}/typing
#[tokio::test]
async fn typing_over_rest_reaches_the_network() {
    let app = TestApp::start().await;
    if !app.is_simulated() {
        return;
    }
    app.device("shop").await;
    let path = format!("/devices/shop/chats/{ANNA}/typing");
    let started = app.post(&path, json!({ "state": "start", "kind": "voice" })).await.ok()["data"].clone();
    assert_eq!(started, json!({ "chatId": format!("{ANNA}@c.us"), "state": "start" }));
    app.post(&path, json!({ "state": "stop" })).await.ok();
    let network = app.get("/simulator/shop/network").await.ok();
    let typing: Vec<(&Value, &Value)> = network["data"]["typing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|typed| (&typed["kind"], &typed["on"]))
        .collect();
    assert_eq!(typing, [(&json!("audio"), &json!(true)), (&json!("text"), &json!(false))]);
}

#[tokio::test]
async fn typing_with_a_wrong_field_names_it() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let path = format!("/devices/shop/chats/{ANNA}/typing");
    for (body, field) in [
        (json!({}), "state"),
        (json!({ "state": "on" }), "state"),
        (json!({ "state": "start", "kind": "song" }), "kind"),
    ] {
        let refused = app.post(&path, body).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], field);
    }
}

// covers: POST /devices/{id}/contacts/{cid}/presence/subscribe
#[tokio::test]
async fn presence_of_a_contact_is_subscribed() {
    let app = TestApp::start().await;
    if !app.can(|can| can.presence) {
        return;
    }
    app.device("shop").await;
    let path = format!("/devices/shop/contacts/{ANNA}/presence/subscribe");
    let subscribed = app.post(&path, json!({})).await.ok()["data"].clone();
    assert_eq!(subscribed, json!({ "contactId": format!("{ANNA}@c.us") }));
}

#[tokio::test]
async fn typing_and_presence_need_send_scope_and_connection() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let made =
        app.post("/api-keys", json!({ "name": "reader", "scopes": ["messages:read"] })).await.created();
    let reader = made["data"]["key"].as_str().unwrap();
    let typing = format!("/devices/shop/chats/{ANNA}/typing");
    let presence = format!("/devices/shop/contacts/{ANNA}/presence/subscribe");
    for (path, body) in [(&typing, json!({ "state": "start" })), (&presence, json!({}))] {
        app.with_key(reader).post(path, body.clone()).await.refused(403, "missing_scope");
    }
    app.post("/devices/shop/stop", json!({})).await.ok();
    for (path, body) in [(&typing, json!({ "state": "start" })), (&presence, json!({}))] {
        assert_eq!(app.post(path, body).await.status, 409);
    }
}
