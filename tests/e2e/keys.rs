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

// covers: DELETE /devices/{id}
#[tokio::test]
async fn key_of_deleted_device_reads_no_later_device() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    let body = |devices: Value| json!({ "name": "tenant", "scopes": ["admin"], "devices": devices });
    let first = app.post("/api-keys", body(json!(["shop"]))).await.created()["data"].clone();
    let both = app.post("/api-keys", body(json!(["shop", "home"]))).await.created()["data"].clone();
    let text = |key: &Value| key["key"].as_str().unwrap().to_owned();
    let deleted = app.delete("/devices/shop?keepMessages=true").await.ok();
    assert_eq!(deleted["data"]["keysWithoutDevices"], json!([first["id"]]));

    app.device("shop").await;
    app.incoming("shop", ANNA, "for the next tenant").await;
    for key in [&first, &both] {
        let old = app.with_key(&text(key));
        for path in ["/devices/shop", "/devices/shop/chats", "/devices/shop/events", "/devices/shop/webhooks"]
        {
            old.get(path).await.refused(403, "device_not_allowed");
        }
        let child = old.post("/api-keys", body(json!(["shop"]))).await;
        child.refused(403, "wider_key");
    }
    app.with_key(&text(&both)).get("/devices/home").await.ok();
    let listed = app.get("/api-keys").await.ok()["data"].clone();
    let devices_of = |key: &Value| {
        let listed = listed.as_array().unwrap().iter().find(|listed| listed["id"] == key["id"]);
        listed.unwrap()["devices"].clone()
    };
    assert_eq!((devices_of(&first), devices_of(&both)), (json!([]), json!(["home"])));

    let new = app.post("/api-keys", body(json!(["shop"]))).await.created()["data"].clone();
    app.with_key(&text(&new)).get("/devices/shop").await.ok();
    let seen = app.with_key(&text(&new)).get("/api-keys").await.ok();
    assert_eq!(
        seen["data"].as_array().unwrap().len(),
        1,
        "keys of the earlier device are not its own: {seen}"
    );
    let app = app.restarted().await;
    app.with_key(&text(&first)).get("/devices/shop").await.refused(403, "device_not_allowed");
    app.with_key(&text(&new)).get("/devices/shop").await.ok();
}

#[tokio::test]
async fn key_made_ahead_of_its_device_reads_it() {
    let app = TestApp::start().await;
    let body = json!({ "name": "ahead", "scopes": ["devices:read"], "devices": ["shop"] });
    let text = key(&app, body).await;
    app.device("shop").await;
    app.with_key(&text).get("/devices/shop").await.ok();
}

#[tokio::test]
async fn created_key_expires_no_later_than_its_creator() {
    let app = TestApp::start().await;
    let end = wharf::domain::clock::Clock::now(&app.clock).0 + 60_000;
    let parent = app
        .post("/api-keys", json!({ "name": "parent", "scopes": ["admin"], "expiresAt": end }))
        .await
        .created()["data"]
        .clone();
    let parent_key = app.with_key(parent["key"].as_str().unwrap());
    for (asked, expected) in [(Value::Null, end), (json!(end + 1), end), (json!(end - 1), end - 1)] {
        let body = json!({ "name": "child", "scopes": ["devices:read"], "expiresAt": asked });
        let child = parent_key.post("/api-keys", body).await.created()["data"].clone();
        assert_eq!((&child["expiresAt"], &child["createdBy"]), (&json!(expected), &parent["id"]));
    }
}

// covers: DELETE /api-keys/{keyId}
#[tokio::test]
async fn descendants_are_revoked_on_request() {
    let app = TestApp::start().await;
    let mut keys = Vec::new();
    let mut creator = app.key.clone();
    for name in ["parent", "child", "grandchild"] {
        let body = json!({ "name": name, "scopes": ["admin"] });
        let made = app.with_key(&creator).post("/api-keys", body).await.created()["data"].clone();
        creator = made["key"].as_str().unwrap().to_owned();
        keys.push(made);
    }
    let id = |n: usize| keys[n]["id"].as_str().unwrap();
    let works =
        async |n: usize| app.with_key(keys[n]["key"].as_str().unwrap()).get("/devices").await.status == 200;
    let alone = app.post("/api-keys", json!({ "name": "other", "scopes": ["admin"] })).await.created();
    let alone = alone["data"]["id"].as_str().unwrap().to_owned();
    let revoked = app.delete(&format!("/api-keys/{alone}")).await.ok();
    assert_eq!(revoked["data"]["descendants"], json!([]));
    assert!(works(0).await && works(1).await && works(2).await);

    let revoked = app.delete(&format!("/api-keys/{}?withDescendants=true", id(0))).await.ok();
    let mut expected = [id(1), id(2)];
    expected.sort_unstable();
    assert_eq!(revoked["data"]["descendants"], json!(expected));
    assert!(!works(0).await && !works(1).await && !works(2).await);
    let app = app.restarted().await;
    assert_eq!(app.get("/api-keys").await.ok()["data"].as_array().unwrap().len(), 1);
}
