//! Access to queues and validation of their configuration.

use serde_json::{Value, json};

use super::{put, queue_of, status_of};
use crate::support::{ANNA, Reply, TestApp};

// covers: GET /queue/status
// covers: POST /queue/clear
// covers: PUT /queue/config
// covers: POST /devices/{id}/warmup
#[tokio::test]
async fn device_key_sees_its_queue_only() {
    let app = TestApp::start().await;
    for device in ["shop", "home"] {
        app.device(device).await;
        app.post(&format!("/devices/{device}/stop"), json!({})).await.ok();
    }
    let mine = app.send("shop", ANNA, "mine").await;
    let other = app.send("home", ANNA, "other").await;
    let scopes = ["devices:read", "devices:write", "messages:send"];
    let body = json!({ "name": "shop", "scopes": scopes, "devices": ["shop", "never-made"] });
    let made = app.post("/api-keys", body).await.created();
    let shop = app.with_key(made["data"]["key"].as_str().unwrap());

    let seen = shop.get("/queue/status").await.ok()["data"].clone();
    assert_eq!(seen["devices"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&seen["devices"][0]["deviceId"], &seen["totals"]["queuedMessages"]),
        (&json!("shop"), &json!(1))
    );
    let change = async |body: Value| shop.send(app.request("PUT", "/queue/config").json(&body)).await;
    let home = json!(["home"]);
    change(json!({ "deviceIds": home, "minDelay": 5 })).await.refused(403, "device_not_allowed");
    change(json!({ "minDelay": 5 })).await.ok();
    assert_eq!(queue_of(&app, "shop").await["config"]["minDelay"], 5);
    assert_eq!(queue_of(&app, "home").await["config"]["minDelay"], 0);
    shop.post("/queue/clear", json!({ "deviceIds": home })).await.refused(403, "device_not_allowed");
    shop.post("/devices/home/warmup", json!({})).await.refused(403, "device_not_allowed");
    let path = format!("/devices/home/messages/{other}/cancel");
    shop.post(&path, json!({})).await.refused(403, "device_not_allowed");
    shop.post("/queue/clear", json!({})).await.ok();
    assert_eq!(status_of(&app, "shop", &mine).await, "failed");
    assert_eq!(status_of(&app, "home", &other).await, "queued");

    let body = json!({ "name": "reader", "scopes": ["devices:read"] });
    let made = app.post("/api-keys", body).await.created();
    let reader = app.with_key(made["data"]["key"].as_str().unwrap());
    reader.get("/queue/status").await.ok();
    reader.post("/queue/clear", json!({})).await.refused(403, "missing_scope");
    reader.post("/devices/shop/warmup", json!({})).await.refused(403, "missing_scope");
}

// covers: POST /queue/clear
// covers: PUT /queue/config
// covers: POST /devices/{id}/warmup
#[tokio::test]
async fn invalid_queue_config_is_rejected_by_field() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let named = |reply: &Reply, field: &str| {
        let body = reply.refused(400, "invalid_field");
        assert_eq!(body["details"][0]["field"], field, "{body}");
    };
    for (body, field) in [
        (json!({}), "request"),
        (json!({ "minDelay": "fast" }), "minDelay"),
        (json!({ "maxAttempts": 0 }), "maxAttempts"),
        (json!({ "messagesPerDay": -1 }), "messagesPerDay"),
        (json!({ "minDelay": 500, "maxDelay": 400 }), "minDelay"),
        (json!({ "minDelay": 5, "deviceIds": [] }), "deviceIds"),
        (json!({ "minDelay": 5, "deviceIds": ["a b"] }), "deviceIds[0]"),
        (json!({ "quietHours": { "from": "22:00", "to": "25:00" } }), "quietHours.to"),
        (
            json!({ "quietHours": { "from": "22:00", "to": "07:00", "timeZone": "Mars" } }),
            "quietHours.timeZone",
        ),
        (json!({ "quietHours": 5 }), "quietHours"),
    ] {
        named(&put(&app, "/queue/config", body).await, field);
    }
    let nowhere = json!({ "minDelay": 5, "deviceIds": ["shop", "nowhere"] });
    put(&app, "/queue/config", nowhere).await.refused(404, "device_not_found");
    assert_eq!(queue_of(&app, "shop").await["config"]["minDelay"], 0, "the change is all or nothing");
    named(&app.post("/queue/clear", json!({ "status": "sent" })).await, "status");
    named(&app.post("/queue/clear", json!({ "chatId": "?" })).await, "chatId");
    app.post("/queue/clear", json!({ "deviceIds": ["nowhere"] })).await.refused(404, "device_not_found");
    named(&app.post("/devices/shop/warmup", json!({ "days": 0 })).await, "days");
    named(&app.post("/devices/shop/warmup", json!({ "enabled": "yes" })).await, "enabled");
    app.post("/devices/nowhere/warmup", json!({})).await.refused(404, "device_not_found");
}

#[tokio::test]
async fn declared_queue_settings_cannot_be_changed() {
    let app = TestApp::start().await;
    std::fs::create_dir_all(app.devices_dir()).unwrap();
    let text =
        "id = 'shop'\nengine = 'simulator'\n[settings.outbox]\nmessagesPerDay = 50\nwarmup = { days = 3 }\n";
    std::fs::write(app.devices_dir().join("shop.toml"), text).unwrap();
    app.app().reconcile().await.unwrap();
    let queue = queue_of(&app, "shop").await;
    assert_eq!(
        (&queue["config"]["messagesPerDay"], &queue["warmupPhase"]),
        (&json!(50), &json!("day 1 of 3"))
    );
    let refused = put(&app, "/queue/config", json!({ "minDelay": 5 })).await.refused(409, "set_by_file");
    assert!(refused["error"].as_str().unwrap().contains("shop"), "{refused}");
    app.post("/devices/shop/warmup", json!({ "enabled": false })).await.refused(409, "set_by_file");
    put(&app, "/queue/config", json!({ "messagesPerDay": 50 })).await.ok();
}
