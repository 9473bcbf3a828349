//! Files in both directions, and the history sync.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Native;
use crate::media::files::sha256;
use crate::support::{ANNA, TestApp};

/// A file size of many chunks, the last one incomplete.
const LARGE: usize = 10 * 1024 * 1024 + 3;

async fn downloaded(app: &TestApp, message: &Value) -> Vec<u8> {
    let address = message["mediaUrl"].as_str().unwrap();
    let reply = app.request("GET", &format!("/{address}")).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    reply.bytes().await.unwrap().to_vec()
}

async fn message(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/devices/shop/messages/{id}")).await.ok()["data"].clone()
}

#[tokio::test]
async fn large_sent_file_is_byte_identical() {
    let native = Native::start().await;
    native.device("shop", json!({ "ackServerMs": 0, "ackDeviceMs": 10, "ackReadMs": 30 })).await;
    let app = &native.app;
    let bytes: Vec<u8> = (0..LARGE).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let request = app.request("POST", "/devices/shop/media").query(&[("filename", "ledger.bin")]);
    let uploaded = app.with_key(&app.key).send(request.body(bytes.clone())).await.created();
    let media = json!({ "mediaId": uploaded["data"]["mediaId"] });
    let sent = app.post("/devices/shop/messages/send", json!({ "to": ANNA, "media": media })).await.created();
    app.wait_for_status("shop", sent["data"]["id"].as_str().unwrap(), "read").await;
    let network = app.get("/simulator/shop/network").await.ok();
    let seen = &network["data"]["sent"][0]["media"];
    assert_eq!((&seen["sha256"], &seen["filesize"]), (&json!(sha256(&bytes)), &json!(LARGE)));
    native.stop().await;
}

#[tokio::test]
async fn large_received_file_is_byte_identical() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let app = &native.app;
    let file = json!({ "sizeBytes": LARGE, "filename": "ledger.bin" });
    let reply = app.post("/simulator/shop/incoming", json!({ "from": ANNA, "media": file })).await.ok();
    let message = message(app, reply["data"]["messageId"].as_str().unwrap()).await;
    let (bytes, sent) = (downloaded(app, &message).await, testbed::control::files::generated_file("", LARGE));
    assert_eq!((bytes == sent, &message["filename"]), (true, &json!("ledger.bin")));
    assert_eq!(message["mediaInfo"]["sha256"], sha256(&sent));
    native.stop().await;
}

#[tokio::test]
async fn small_received_file_is_byte_identical() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let app = &native.app;
    for bytes in [&b"a"[..], b"fifteen bytes!!", b"sixteen bytes !!"] {
        let file = json!({ "data": STANDARD.encode(bytes), "mimetype": "text/plain" });
        let reply = app.post("/simulator/shop/incoming", json!({ "from": ANNA, "media": file })).await.ok();
        let message = message(app, reply["data"]["messageId"].as_str().unwrap()).await;
        assert_eq!(downloaded(app, &message).await, bytes);
    }
    native.stop().await;
}

async fn history_ends(app: &TestApp) {
    app.wait_until("the end of the history", async || {
        let reply = app.logged("shop", "history:progress").await;
        reply.last().is_some_and(|last| last["phase"] == "complete").then_some(())
    })
    .await;
}

async fn stored(app: &TestApp) -> usize {
    let path = format!("/devices/shop/chats/{ANNA}@c.us/messages?limit=100");
    app.get(&path).await.ok()["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn history_is_stored_without_message_events() {
    let native = Native::start().await;
    let past = json!({ "contacts": [{ "id": ANNA, "name": "Anna" }], "history": 70 });
    native.device("shop", past).await;
    history_ends(&native.app).await;
    assert_eq!(stored(&native.app).await, 70);
    for silent in ["message", "message:status"] {
        assert_eq!(native.app.logged("shop", silent).await, Vec::<Value>::new(), "{silent}");
    }
    native.stop().await;
}

#[tokio::test]
async fn device_without_history_stores_none() {
    let native = Native::start().await;
    let world = json!({ "contacts": [{ "id": ANNA, "name": "Anna" }], "history": 70 });
    let settings = json!({ "whatsapp": { "history": "none", "testbed": world } });
    let device = json!({ "id": "shop", "engine": "whatsapp", "settings": settings });
    let app = &native.app;
    app.post("/devices", device).await.created();
    app.wait_for_state("shop", "qr").await;
    app.post("/simulator/shop/scan", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    // This message arrives after the history.
    app.incoming("shop", ANNA, "after the link").await;
    assert_eq!(stored(app).await, 1);
    assert_eq!(app.logged("shop", "history:progress").await, Vec::<Value>::new());
    native.stop().await;
}

#[tokio::test]
async fn interrupted_history_completes_after_restart() {
    let native = Native::start().await;
    native.testbed.world().media.hold(true);
    native.device("shop", json!({ "contacts": [{ "id": ANNA, "name": "Anna" }], "history": 70 })).await;
    // This message arrives after the history announcements, so they are stored here and no longer at
    // the network.
    native.app.incoming("shop", ANNA, "after the link").await;
    assert_eq!(stored(&native.app).await, 1);

    let Native { app, testbed } = native;
    let app = app.restarted().await;
    testbed.world().media.hold(false);
    history_ends(&app).await;
    assert_eq!(stored(&app).await, 71);
    app.stop().await;
    testbed.stop().await;
}

#[tokio::test]
async fn sent_picture_has_thumbnail() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let app = &native.app;
    let picture = qr_as_a_picture();
    let uploaded = app
        .with_key(&app.key)
        .send(app.request("POST", "/devices/shop/media").query(&[("filename", "code.png")]).body(picture))
        .await
        .created();
    let media = json!({ "mediaId": uploaded["data"]["mediaId"] });
    let sent = app.post("/devices/shop/messages/send", json!({ "to": ANNA, "media": media })).await.created();
    app.wait_for_status("shop", sent["data"]["id"].as_str().unwrap(), "sent").await;
    let network = app.get("/simulator/shop/network").await.ok();
    let small = network["data"]["sent"][0]["media"]["thumbnailBytes"].as_u64().unwrap();
    assert!((100..=32 * 1024).contains(&small), "{small} bytes");
    native.stop().await;
}

/// An arbitrary picture.
fn qr_as_a_picture() -> Vec<u8> {
    wharf::qr::png("any picture will do").unwrap()
}
