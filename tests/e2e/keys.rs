//! API keys: scopes, device lists, expiry and throttling.

use serde_json::{Value, json};

use crate::support::{ANNA, TestApp};

async fn key(app: &TestApp, body: Value) -> String {
    app.post("/api-keys", body).await.created()["data"]["key"].as_str().unwrap().to_owned()
}

// covers: POST /api-keys
// covers: GET /api-keys
// covers: rest 403 scope
#[tokio::test]
async fn key_is_shown_once_and_limited_to_scopes() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let text = key(&app, json!({ "name": "reader", "scopes": ["devices:read"] })).await;
    let parts: Vec<&str> = text.split('_').collect();
    assert!(parts[0] == "whf" && parts.len() == 3 && parts[2].len() >= 43, "256 bits: {}", parts[2].len());
    let reader = app.with_key(&text);
    reader.get("/devices/shop").await.ok();
    reader.post("/devices/shop/stop", json!({})).await.refused(403, "missing_scope");
    reader.get("/devices/shop/chats").await.refused(403, "missing_scope");
    reader
        .post("/devices/shop/messages/send", json!({ "to": ANNA, "text": "x" }))
        .await
        .refused(403, "missing_scope");
    reader.get("/devices/shop/events").await.refused(403, "missing_scope");
    reader.get("/api-keys").await.refused(403, "missing_scope");
    reader.post("/simulator/shop/scan", json!({})).await.refused(403, "missing_scope");
    let listed = app.get("/api-keys").await;
    assert!(!listed.text().contains(parts[2]));
}

// covers: GET /devices
// covers: GET /stats
// covers: GET /health/devices
// covers: rest 403 device
#[tokio::test]
async fn device_key_sees_only_its_device() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    let text = key(
        &app,
        json!({ "name": "shop", "scopes": ["devices:read", "devices:write"], "devices": ["shop"] }),
    )
    .await;
    let shop = app.with_key(&text);
    let listed = shop.get("/devices").await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    shop.get("/devices/home").await.refused(403, "device_not_allowed");
    shop.get("/devices/nowhere").await.refused(403, "device_not_allowed");
    shop.post("/devices", json!({ "id": "other" })).await.refused(403, "device_not_allowed");
    assert_eq!(shop.get("/stats").await.ok()["data"]["devices"], 1);
    let health = shop.get("/health/devices").await.ok();
    assert_eq!(health["data"].as_array().unwrap().len(), 1);
}

// covers: POST /api-keys
// covers: DELETE /api-keys/{keyId}
#[tokio::test]
async fn key_cannot_mint_or_revoke_wider_key() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let text = key(&app, json!({ "name": "shop admin", "scopes": ["admin"], "devices": ["shop"] })).await;
    let shop = app.with_key(&text);
    shop.post("/api-keys", json!({ "name": "all", "scopes": ["devices:read"] }))
        .await
        .refused(403, "wider_key");
    shop.post("/api-keys", json!({ "name": "ok", "scopes": ["devices:read"], "devices": ["shop"] }))
        .await
        .created();
    let wide = app.post("/api-keys", json!({ "name": "all", "scopes": ["devices:read"] })).await.created();
    let id = wide["data"]["id"].as_str().unwrap();
    shop.delete(&format!("/api-keys/{id}")).await.refused(403, "wider_key");
    app.delete(&format!("/api-keys/{id}")).await.ok();
    app.delete(&format!("/api-keys/{id}")).await.refused(404, "key_not_found");
}

// covers: DELETE /api-keys/{keyId}
// covers: rest 401
#[tokio::test]
async fn invalid_keys_are_rejected() {
    let app = TestApp::start().await;
    let made = app.post("/api-keys", json!({ "name": "a", "scopes": ["devices:read"] })).await.created();
    let (id, text) = (made["data"]["id"].as_str().unwrap(), made["data"]["key"].as_str().unwrap());
    app.with_key(text).get("/devices").await.ok();
    app.delete(&format!("/api-keys/{id}")).await.ok();
    app.with_key(text).get("/devices").await.refused(401, "invalid_api_key");

    let soon = wharf::domain::clock::Clock::now(&app.clock).0 + 60_000;
    let short = key(&app, json!({ "name": "b", "scopes": ["devices:read"], "expiresAt": soon })).await;
    app.with_key(&short).get("/devices").await.ok();
    app.clock.advance(60_001);
    app.with_key(&short).get("/devices").await.refused(401, "invalid_api_key");

    let mut wrong = short.clone();
    wrong.replace_range(wrong.len() - 1.., "x");
    app.with_key(&wrong).get("/devices").await.refused(401, "invalid_api_key");
    let reply = app.request("GET", "/devices").send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 401);
}

// covers: rest the key as X-API-KEY
// covers: rest the key as Authorization: Bearer
#[tokio::test]
async fn key_is_accepted_in_header_or_as_bearer() {
    let app = TestApp::start().await;
    for request in [
        app.request("GET", "/devices").header("x-api-key", &app.key),
        app.request("GET", "/devices").header("authorization", format!("Bearer {}", app.key)),
    ] {
        assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
    }
}

// covers: rest 429 with Retry-After
#[tokio::test]
async fn failed_logins_are_throttled_and_valid_key_is_not() {
    let app = TestApp::start_with(&[("WHARF__AUTH__FAILED_TRIES_PER_MINUTE", "5")]).await;
    let wrong = app.with_key("whf_000000000000_wrong");
    for _ in 0..5 {
        wrong.get("/devices").await.refused(401, "invalid_api_key");
    }
    let reply = wrong.get("/devices").await;
    reply.refused(429, "too_many_failed_tries");
    assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 1);
    app.get("/devices").await.ok();
    app.clock.advance(61_000);
    wrong.get("/devices").await.refused(401, "invalid_api_key");
}

#[tokio::test]
async fn environment_key_cannot_be_revoked_by_api() {
    let app = TestApp::start().await;
    let listed = app.get("/api-keys").await.ok();
    let id = listed["data"][0]["id"].as_str().unwrap().to_owned();
    app.delete(&format!("/api-keys/{id}")).await.refused(409, "key_from_environment");
}
