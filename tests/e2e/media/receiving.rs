//! Media of incoming messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::files::{on_disk, png, sha256};
use super::get_without_key;
use crate::support::{ANNA, TestApp};

async fn received(app: &TestApp, media: Value) -> Value {
    let body = json!({ "from": ANNA, "media": media });
    let reply = app.post("/simulator/shop/incoming", body).await.ok();
    let id = reply["data"]["messageId"].as_str().unwrap().to_owned();
    app.get(&format!("/devices/shop/messages/{id}")).await.ok()["data"].clone()
}

// covers: event message
#[tokio::test]
async fn incoming_media_is_stored_before_event() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let media = json!({ "data": STANDARD.encode(png()), "filename": "../x.png", "caption": "Look" });
    let message = received(&app, media).await;
    assert_eq!((&message["type"], &message["body"]), (&json!("image"), &json!("Look")));
    assert_eq!((&message["mimetype"], &message["filesize"]), (&json!("image/png"), &json!(png().len())));
    let event = app.logged("shop", "message").await.remove(0)["message"].clone();
    assert_eq!(event["mediaUrl"], message["mediaUrl"]);
    let download = get_without_key(&app, &event["mediaUrl"]).await;
    // WhatsApp pictures have no name; the simulator adds one.
    let name = if app.is_native() || !app.has_phone() { "file.png" } else { "x.png" };
    assert_eq!(
        (download.bytes == png(), download.header("content-disposition")),
        (true, format!("inline; filename=\"{name}\"").as_str())
    );
}

#[tokio::test]
async fn large_incoming_file_is_streamed() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let message = received(&app, json!({ "sizeBytes": 3_000_000, "filename": "a.bin" })).await;
    let download = get_without_key(&app, &message["mediaUrl"]).await;
    assert_eq!((download.status, download.bytes.len()), (200, 3_000_000));
    assert_eq!(sha256(&download.bytes), message["mediaInfo"]["sha256"].as_str().unwrap());
}

#[tokio::test]
async fn oversized_incoming_file_is_omitted() {
    let app = TestApp::start_with(&[("WHARF__MEDIA__MAX_BYTES", "2048")]).await;
    app.device("shop").await;
    let message = received(&app, json!({ "sizeBytes": 2_049 })).await;
    assert_eq!((&message["type"], &message["hasMedia"]), (&json!("document"), &json!(false)));
    app.wait_until("nothing of it to be left", async || on_disk(&app).is_empty().then_some(())).await;
}

#[tokio::test]
async fn repeated_incoming_file_is_stored_once() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for _ in 0..2 {
        received(&app, json!({ "data": STANDARD.encode("again") })).await;
    }
    assert_eq!(on_disk(&app), [sha256(b"again")]);
    assert_eq!(app.logged("shop", "message").await.len(), 2);
}
