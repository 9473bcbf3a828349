//! Permissions for webhooks.

use serde_json::{Value, json};

use super::{app, create_webhook, for_messages};
use crate::support::TestApp;

const URL: &str = "https://hooks.example.com/wharf";

async fn key(app: &TestApp, scopes: Value, devices: Value) -> String {
    let body = json!({ "name": "k", "scopes": scopes, "devices": devices });
    app.post("/api-keys", body).await.created()["data"]["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn device_key_sees_webhooks_of_its_device_only() {
    let app = app().await;
    app.device("shop").await;
    app.device("home").await;
    let (global, _) = for_messages(&app, URL).await;
    let (shop, _) = create_webhook(&app, "/devices/shop/webhooks", json!({ "url": URL })).await;
    let (home, _) = create_webhook(&app, "/devices/home/webhooks", json!({ "url": URL })).await;
    let key = key(&app, json!(["devices:read", "devices:write", "events:read"]), json!(["shop"])).await;
    let asker = app.with_key(&key);
    let seen = asker.get("/webhooks").await.ok();
    assert_eq!(seen["data"].as_array().unwrap().len(), 1);
    assert_eq!(seen["data"][0]["id"], shop);
    for hidden in [&global, &home] {
        asker.get(&format!("/webhooks/{hidden}")).await.refused(404, "webhook_not_found");
        asker.delete(&format!("/webhooks/{hidden}")).await.refused(404, "webhook_not_found");
        for what in ["test", "rotate"] {
            asker
                .post(&format!("/webhooks/{hidden}/{what}"), json!({}))
                .await
                .refused(404, "webhook_not_found");
        }
        let replay = format!("/devices/shop/webhooks/{hidden}/replay");
        asker.post(&replay, json!({ "dead": true })).await.refused(404, "webhook_not_found");
    }
    asker.get("/devices/home/webhooks").await.refused(403, "device_not_allowed");
    asker.post("/webhooks", json!({ "url": URL })).await.refused(403, "device_not_allowed");
    asker
        .post("/webhooks", json!({ "url": URL, "deviceId": "home" }))
        .await
        .refused(403, "device_not_allowed");
    asker.post("/webhooks", json!({ "url": URL, "deviceId": "shop" })).await.created();
}

#[tokio::test]
async fn webhook_requires_event_read_scope() {
    let app = app().await;
    app.device("shop").await;
    let (id, _) = create_webhook(&app, "/devices/shop/webhooks", json!({ "url": URL })).await;
    let key = key(&app, json!(["devices:read", "devices:write"]), json!(null)).await;
    let asker = app.with_key(&key);
    asker.post("/webhooks", json!({ "url": URL })).await.refused(403, "missing_scope");
    asker.post(&format!("/webhooks/{id}/rotate"), json!({})).await.refused(403, "missing_scope");
    asker.post("/devices", json!({ "id": "new", "webhook": URL })).await.refused(403, "missing_scope");
    asker.get(&format!("/webhooks/{id}")).await.ok();
    let reader = app.with_key("whf_0_0");
    reader.get("/webhooks").await.refused(401, "invalid_api_key");
}
