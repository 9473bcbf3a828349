//! Events of the server: their authentication, and their backfill when they are missed.

use serde_json::{Value, json};

use super::Waha;
use crate::support::{ANNA, Reply, TestApp};
use crate::upstream::waha::{SECRET, event_sender};

const HOOK: &str = "//hooks/shop";

async fn post_hook(app: &TestApp, body: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = app.request("POST", HOOK).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Reply::of(request.send().await.unwrap()).await
}

fn message(id: &str, body: &str) -> String {
    let payload = json!({
        "id": format!("false_{ANNA}@c.us_{id}"), "timestamp": 1_767_225_600, "from": format!("{ANNA}@c.us"),
        "fromMe": false, "to": null, "body": body, "hasMedia": false, "ack": 1,
    });
    json!({ "event": "message.any", "session": "shop", "timestamp": 1_767_225_600_000_i64, "payload": payload }).to_string()
}

#[tokio::test]
async fn webhook_needs_a_valid_signature() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
    let body = message("A1", "signed");
    let right = event_sender::signature(SECRET, body.as_bytes());
    let wrong = event_sender::signature("another secret", body.as_bytes());
    let other = event_sender::signature(SECRET, message("A1", "another").as_bytes());
    for headers in [
        vec![],
        vec![("x-webhook-hmac", "")],
        vec![("x-webhook-hmac", &wrong)],
        vec![("x-webhook-hmac", &other)],
    ] {
        assert_eq!(post_hook(&waha.app, &body, &headers).await.status, 401, "{headers:?}");
    }
    let sha1 = [("x-webhook-hmac", right.as_str()), ("x-webhook-hmac-algorithm", "sha1")];
    assert_eq!(post_hook(&waha.app, &body, &sha1).await.status, 401);
    assert!(waha.app.logged("shop", "message").await.is_empty());
    for _ in 0..2 {
        let signed = [("x-webhook-hmac", right.as_str()), ("x-webhook-hmac-algorithm", "sha512")];
        assert_eq!(post_hook(&waha.app, &body, &signed).await.status, 200);
        // It is durable before the answer, and the second copy is dropped.
        assert_eq!(waha.app.logged("shop", "message").await.len(), 1);
    }
}

#[tokio::test]
async fn webhook_of_another_session_is_rejected() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
    let body = message("A1", "elsewhere").replace("\"shop\"", "\"other\"");
    let signature = event_sender::signature(SECRET, body.as_bytes());
    assert_eq!(post_hook(&waha.app, &body, &[("x-webhook-hmac", &signature)]).await.status, 400);
}

#[tokio::test]
async fn webhook_to_a_stopped_device_answers_503() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
    waha.app.post("/devices/shop/stop", json!({})).await.ok();
    let body = message("A1", "later");
    let signature = event_sender::signature(SECRET, body.as_bytes());
    let reply = post_hook(&waha.app, &body, &[("x-webhook-hmac", &signature)]).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(!reply.header("retry-after").is_empty());
}

#[tokio::test]
async fn websocket_device_accepts_no_webhooks() {
    let waha = Waha::start("websocket").await;
    waha.device().await;
    let body = message("A1", "pushed");
    let signature = event_sender::signature(SECRET, body.as_bytes());
    assert_eq!(post_hook(&waha.app, &body, &[("x-webhook-hmac", &signature)]).await.status, 404);
}

#[tokio::test]
async fn start_reads_messages_whose_webhooks_failed() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
    waha.app.incoming("shop", ANNA, "before").await;
    let daemon = waha.server.daemon.close().unwrap();
    waha.app.incoming("shop", ANNA, "missed").await;
    waha.server.daemon.open_to(daemon);
    assert_eq!(waha.app.logged("shop", "message").await.len(), 1, "the server gave up");
    waha.app.post("/devices/shop/restart", json!({})).await.ok();
    waha.is_there("missed").await;
    let events = waha.app.logged("shop", "message").await;
    let bodies: Vec<&Value> = events.iter().map(|event| &event["message"]["body"]).collect();
    assert_eq!(bodies, ["before", "missed"], "each once");
}

#[tokio::test]
async fn reconnect_reads_messages_missed_by_the_websocket() {
    let waha = Waha::start("websocket").await;
    waha.app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    let sent = waha.app.send("shop", ANNA, "question").await;
    waha.app.wait_for_status("shop", &sent, "sent").await;
    let inside = waha.server.listener.close().unwrap();
    let away = waha.app.wait_for_state("shop", "reconnecting").await;
    assert!(away["reason"].as_str().is_some(), "{away}");
    waha.app.incoming("shop", ANNA, "answer").await;
    waha.app.post("/simulator/shop/receipt", json!({ "messageId": sent, "ack": 3 })).await.ok();
    waha.server.listener.open_to(inside);
    waha.app.wait_for_state("shop", "ready").await;
    waha.is_there("answer").await;
    waha.app.wait_for_status("shop", &sent, "read").await;
    assert_eq!(waha.app.logged("shop", "message").await.len(), 1);
}

#[tokio::test]
async fn own_message_is_recognized_by_its_assigned_id() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
    let sent = waha.app.send("shop", ANNA, "only once").await;
    waha.app.wait_for_status("shop", &sent, "read").await;
    // The server sends an event of the own message, and lists it in the backfill.
    waha.app.post("/devices/shop/restart", json!({})).await.ok();
    waha.app.wait_for_state("shop", "ready").await;
    waha.app.incoming("shop", ANNA, "and then").await;
    let page = waha.app.get(&format!("/devices/shop/chats/{ANNA}@c.us/messages")).await.ok();
    assert_eq!(page["data"].as_array().unwrap().len(), 2, "{page}");
}
