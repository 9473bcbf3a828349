//! Keys, addresses and secrets.

use serde_json::{Value, json};

use super::Chain;
use crate::support::TestApp;
use crate::upstream::remote::{SecondWharf, UPSTREAM_KEY};

#[tokio::test]
async fn wrong_key_fails_the_device_with_its_reason() {
    let chain = Chain::start().await;
    let mut settings = chain.settings("shop");
    settings["remote"]["apiKey"] = json!("a-wrong-key");
    chain.make("shop", settings).await;
    chain.front.wait_for_state("shop", "failed").await;
    assert_eq!(chain.reason("shop").await, "upstream_unauthorized");
}

#[tokio::test]
async fn revoked_key_fails_the_device() {
    let chain = Chain::start().await;
    let made = json!({ "name": "front", "scopes": ["admin"] });
    let made = chain.back.post("/api-keys", made).await["data"].clone();
    let mut settings = chain.settings("shop");
    settings["remote"]["apiKey"] = made["key"].clone();
    chain.back.device("shop", &json!({ "autoScanMs": 0 })).await;
    chain.make("shop", settings).await;
    chain.front.wait_for_state("shop", "ready").await;
    let (status, body) =
        chain.back.ask("DELETE", &format!("/api-keys/{}", made["id"].as_str().unwrap()), None).await;
    assert_eq!(status, 200, "{body}");
    chain.front.wait_for_state("shop", "failed").await;
    assert_eq!(chain.reason("shop").await, "upstream_unauthorized");
}

#[tokio::test]
async fn secrets_are_masked_and_survive_a_patch() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    let shown = chain.front.get("/devices/shop").await;
    assert!(!shown.text().contains(UPSTREAM_KEY));
    assert_eq!(shown.ok()["data"]["settings"]["remote"]["apiKey"], "********");
    let base = json!({ "remote": { "baseUrl": chain.link.base(), "device": "shop" } });
    chain.front.patch("/devices/shop", json!({ "settings": base })).await.ok();
    chain.front.post("/devices/shop/restart", json!({})).await.ok();
    chain.front.wait_for_state("shop", "ready").await;
}

#[tokio::test]
async fn private_address_is_refused_unless_allowed() {
    let back = SecondWharf::start(&[]).await;
    let front = TestApp::start().await;
    let make = async |base: Value| {
        let settings = json!({ "remote": { "baseUrl": base, "device": "shop", "apiKey": UPSTREAM_KEY } });
        front.post("/devices", json!({ "id": "shop", "engine": "remote", "settings": settings })).await
    };
    for address in
        [back.base(), "http://10.0.0.1", "http://[::1]:8080", "http://2130706433", "http://169.254.169.254/x"]
    {
        let refused = make(json!(address)).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], "settings.remote.baseUrl", "{address}");
    }
    // A name is resolved when it is used.
    let named = back.base().replace("127.0.0.1", "localhost");
    make(json!(named)).await.created();
    front
        .wait_until("the name to be refused", async || {
            let device = front.get("/devices/shop").await.ok()["data"].clone();
            (device["reason"] == "upstream_unavailable").then_some(())
        })
        .await;
    assert_eq!(back.get("/devices").await["data"], json!([]));
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let front = TestApp::start().await;
    for (settings, field) in [
        (json!({}), "settings.remote"),
        (json!({ "remote": { "apiKey": "k" } }), "settings.remote.baseUrl"),
        (json!({ "remote": { "baseUrl": "https://example.com" } }), "settings.remote.apiKey"),
        (
            json!({ "remote": { "baseUrl": "https://example.com", "apiKey": "k", "inbound": "webhook" } }),
            "settings.remote.webhookSecret",
        ),
        (
            json!({ "remote": { "baseUrl": "https://example.com", "apiKey": "k", "port": 1 } }),
            "settings.remote.port",
        ),
    ] {
        let body = json!({ "id": "shop", "engine": "remote", "settings": settings });
        let refused = front.post("/devices", body).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], field);
    }
}
