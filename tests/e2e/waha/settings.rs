//! The settings of a device, and which of them are shown.

use serde_json::{Value, json};

use super::Waha;
use crate::support::TestApp;
use crate::upstream::waha::{KEY, SECRET};

#[tokio::test]
async fn key_and_secret_are_masked_in_every_answer() {
    let waha = Waha::start("webhook").await;
    let device = waha.app.device("shop").await;
    let shown = &device["settings"]["waha"];
    assert_eq!(
        (&shown["apiKey"], &shown["webhookSecret"]),
        (&json!("********"), &json!("********")),
        "{device}"
    );
    for path in ["/devices", "/devices/shop"] {
        let text = waha.app.get(path).await.text();
        assert!(!text.contains(KEY) && !text.contains(SECRET), "{path}");
    }
    // A mask that is sent back keeps the stored value.
    let settings = json!({ "waha": { "baseUrl": waha.server.url(), "session": "shop", "apiKey": "********", "webhookSecret": "********" } });
    waha.app.patch("/devices/shop", json!({ "settings": settings })).await.ok();
    waha.app.post("/devices/shop/restart", json!({})).await.ok();
    waha.app.wait_for_state("shop", "ready").await;
}

async fn refused(app: &TestApp, waha: Value) -> Value {
    let body = json!({ "id": "shop", "engine": "waha", "settings": { "waha": waha } });
    app.post("/devices", body).await.refused(400, "invalid_field")["details"][0].clone()
}

#[tokio::test]
async fn private_address_needs_permission_in_the_configuration() {
    let app = TestApp::start().await;
    for base in [
        "http://127.0.0.1:3000",
        "http://2130706433",
        "http://0177.0.0.1",
        "http://[::ffff:10.0.0.1]",
        "http://192.168.0.1:3000",
    ] {
        let detail = refused(&app, json!({ "baseUrl": base, "inbound": "websocket" })).await;
        assert_eq!(detail["field"], "settings.waha.baseUrl", "{base}");
        assert!(detail["message"].as_str().unwrap().contains("net.allow_private"), "{detail}");
    }
    // The address of a name is checked when it is resolved.
    let waha = json!({ "baseUrl": "http://localhost:9", "inbound": "websocket" });
    let body = json!({ "id": "shop", "engine": "waha", "settings": { "waha": waha } });
    app.post("/devices", body).await.created();
    app.wait_until("the device to be refused", async || {
        let device = app.get("/devices/shop").await.ok()["data"].clone();
        (device["state"] == "failed").then_some(())
    })
    .await;
}

#[tokio::test]
async fn webhooks_need_a_secret_and_a_public_address() {
    let app = TestApp::start().await;
    let detail = refused(&app, json!({ "baseUrl": "https://waha.example.org" })).await;
    assert_eq!(detail["field"], "settings.waha.webhookSecret");
    let detail =
        refused(&app, json!({ "baseUrl": "https://waha.example.org", "webhookSecret": "s3cret" })).await;
    assert_eq!(detail["field"], "settings.waha.inbound");
    assert!(detail["message"].as_str().unwrap().contains("server.public_url"), "{detail}");
}
