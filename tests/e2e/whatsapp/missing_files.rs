//! Files that do not arrive with their message: fetched in the background, on request, and again by the phone.

use serde_json::{Value, json};

use super::Native;
use crate::support::{ANNA, TestApp};

/// A file that needs no second chunk.
const SIZE: usize = 2_000;

/// A message whose file the network does not serve, by its id.
async fn message_without_file(native: &Native, status: u16) -> String {
    native.testbed.world().media.fail(Some(status));
    let file = json!({ "sizeBytes": SIZE, "filename": "ledger.bin" });
    let incoming = json!({ "from": ANNA, "media": file });
    let reply = native.app.post("/simulator/shop/incoming", incoming).await.ok();
    let id = reply["data"]["messageId"].as_str().unwrap().to_owned();
    let shown = message(&native.app, &id).await;
    assert_eq!((&shown["hasMedia"], &shown["type"]), (&json!(false), &json!("document")));
    id
}

async fn message(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/devices/shop/messages/{id}")).await.ok()["data"].clone()
}

fn sent_file() -> Vec<u8> {
    testbed::control::files::generated_file("", SIZE)
}

async fn downloaded(app: &TestApp, id: &str) -> Vec<u8> {
    let reply = app.get(&format!("/devices/shop/messages/{id}/media/download")).await;
    assert_eq!(reply.status, 200);
    reply.bytes
}

/// Waits for the event about a file.
async fn media_event(app: &TestApp) -> Value {
    app.wait_until("the event about the file", async || {
        app.logged("shop", "message:media").await.into_iter().next()
    })
    .await
}

// covers: event message:media
#[tokio::test]
async fn file_of_failing_network_arrives_in_the_background() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let id = message_without_file(&native, 503).await;
    native.testbed.world().media.fail(None);
    let event = media_event(&native.app).await;
    assert_eq!((&event["messageId"], &event["available"]), (&json!(id), &json!(true)));
    assert!(event["message"]["mediaUrl"].is_string());
    let shown = message(&native.app, &id).await;
    assert_eq!((&shown["hasMedia"], &shown["filesize"]), (&json!(true), &json!(SIZE)));
    assert_eq!(downloaded(&native.app, &id).await, sent_file());
    native.stop().await;
}

#[tokio::test]
async fn missing_file_is_fetched_after_a_restart() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let id = message_without_file(&native, 500).await;
    let Native { app, testbed } = native;
    let app = app.restarted().await;
    testbed.world().media.fail(None);
    app.wait_for_state("shop", "ready").await;
    assert_eq!(media_event(&app).await["messageId"], json!(id));
    assert_eq!(downloaded(&app, &id).await, sent_file());
    app.stop().await;
    testbed.stop().await;
}

#[tokio::test]
async fn message_does_not_wait_longer_for_a_slow_file() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    native.testbed.world().media.hold(true);
    let began = tokio::time::Instant::now();
    let file = json!({ "sizeBytes": SIZE });
    let reply =
        native.app.post("/simulator/shop/incoming", json!({ "from": ANNA, "media": file })).await.ok();
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
    let id = reply["data"]["messageId"].as_str().unwrap();
    assert_eq!(message(&native.app, id).await["hasMedia"], false);
    native.testbed.world().media.hold(false);
    assert_eq!(media_event(&native.app).await["available"], true);
    native.stop().await;
}

// covers: POST /devices/{id}/messages/{mid}/media/fetch
#[tokio::test]
async fn expired_file_is_uploaded_again_by_the_phone() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let id = message_without_file(&native, 500).await;
    native.testbed.world().media.expire_all();
    native.testbed.world().media.fail(None);
    let fetched = native.app.post(&format!("/devices/shop/messages/{id}/media/fetch"), json!({})).await.ok();
    assert_eq!(fetched["data"], json!({ "available": true }));
    assert_eq!(downloaded(&native.app, &id).await, sent_file());
    native.stop().await;
}

#[tokio::test]
async fn file_that_the_phone_lost_is_gone() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let id = message_without_file(&native, 500).await;
    let media = &native.testbed.world().media;
    media.expire_all();
    media.forget_expired();
    media.fail(None);
    let fetch = format!("/devices/shop/messages/{id}/media/fetch");
    native.app.post(&fetch, json!({})).await.refused(404, "media_gone");
    let event = media_event(&native.app).await;
    assert_eq!((&event["messageId"], &event["available"]), (&json!(id), &json!(false)));
    native.stop().await;
}

#[tokio::test]
async fn phone_that_does_not_answer_is_reported() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let id = message_without_file(&native, 500).await;
    native.testbed.world().media.expire_all();
    let fault = json!({ "kind": "phones_offline", "durationMs": 600_000 });
    native.app.post("/simulator/shop/fault", fault).await.ok();
    native.testbed.world().media.fail(None);
    let fetch = format!("/devices/shop/messages/{id}/media/fetch");
    native.app.post(&fetch, json!({})).await.refused(409, "phone_offline");
    native.app.post("/devices/shop/stop", json!({})).await.ok();
    native.app.wait_for_state("shop", "stopped").await;
    native.app.post(&fetch, json!({})).await.refused(409, "device_offline");
    native.stop().await;
}
