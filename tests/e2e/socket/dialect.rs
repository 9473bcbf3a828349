//! Events and requests of a device's namespace.

use std::time::Duration;

use serde_json::json;

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, TestApp};

// covers: event state
// covers: state ready
// covers: connect with auth.apiKey
#[tokio::test]
async fn connect_emits_state_without_seq_first() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    let state = wire.event("shop", "state").await;
    assert_eq!(
        (&state["status"], &state["state"], &state["deviceId"]),
        (&json!("CONNECTED"), &json!("ready"), &json!("shop"))
    );
    assert!(state["seq"].is_null() && state["timestamp"].is_i64(), "{state}");
}

// covers: resume by auth.since
#[tokio::test]
async fn client_gets_replay_before_live_events() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for n in 0..300 {
        app.incoming("shop", ANNA, &n.to_string()).await;
    }
    let (mut wire, _) = Wire::open(&app).await;
    wire.send(&format!("40/device/shop,{{\"apiKey\":\"{ADMIN_KEY}\",\"since\":0}}")).await;
    let newest = app.log("shop").await.last().unwrap()["seq"].as_i64().unwrap();
    app.incoming("shop", ANNA, "live").await;
    let mut seen = Vec::new();
    while seen.last() != Some(&(newest + 1)) {
        let packet = wire.packet_with("42/device/shop,").await;
        if packet.contains("\"message-ack\"") {
            continue;
        }
        let event: serde_json::Value =
            serde_json::from_str(packet.strip_prefix("42/device/shop,").unwrap()).unwrap();
        seen.extend(event[1]["seq"].as_i64());
    }
    assert_eq!(seen, (1..=newest + 1).collect::<Vec<i64>>());
}

// covers: event resync
#[tokio::test]
async fn position_beyond_log_emits_resync() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.send(&format!("40/device/shop,{{\"apiKey\":\"{ADMIN_KEY}\",\"since\":9999}}")).await;
    let resync = wire.event("shop", "resync").await;
    assert_eq!(resync["oldestSeq"], 1);
    assert!(resync["newestSeq"].is_i64());
    app.incoming("shop", ANNA, "live").await;
    wire.event("shop", "message").await;
}

// covers: event resync
#[tokio::test]
async fn pruned_position_emits_resync() {
    let app = TestApp::start_with(&[("WHARF__RETENTION__EVENTS_DAYS", "1")]).await;
    app.device("shop").await;
    app.clock.advance(2 * 86_400_000);
    app.app().services.maintenance.sweep().await.unwrap();
    let kept = app.log("shop").await[0]["seq"].clone();
    let (mut wire, _) = Wire::open(&app).await;
    wire.send(&format!("40/device/shop,{{\"apiKey\":\"{ADMIN_KEY}\",\"since\":1}}")).await;
    let resync = wire.event("shop", "resync").await;
    assert_eq!((&resync["oldestSeq"], &resync["newestSeq"]), (&kept, &kept));
    app.incoming("shop", ANNA, "live").await;
    wire.event("shop", "message").await;
}

// covers: event message:ack
// covers: event message-ack
// covers: ack 1 server
#[tokio::test]
async fn ack_is_emitted_under_both_names_with_one_seq() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    app.send("shop", ANNA, "hello").await;
    let new = wire.event("shop", "message:ack").await;
    let old = wire.event("shop", "message-ack").await;
    assert_eq!(new, old);
    assert_eq!((&new["ack"], &new["ackName"]), (&json!(1), &json!("server")));
}

// covers: emit message:send
// covers: emit message:read
// covers: emit typing:start
// covers: emit typing:stop
#[tokio::test]
async fn send_read_and_typing_are_acknowledged() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "hello").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    let sent =
        wire.ask("shop", 1, &json!(["message:send", { "to": ANNA, "text": "hi", "tempId": "t1" }])).await;
    assert_eq!(
        (&sent["success"], &sent["tempId"], &sent["status"]),
        (&json!(true), &json!("t1"), &json!("queued"))
    );
    assert!(sent["messageId"].as_str().unwrap().starts_with("true_"));
    let chat = format!("{ANNA}@c.us");
    let read = wire.ask("shop", 2, &json!(["message:read", { "chatId": chat }])).await;
    assert_eq!(read["success"], true, "{read}");
    for (id, event) in [(3, "typing:start"), (4, "typing:stop")] {
        let typed = wire.ask("shop", id, &json!([event, { "chatId": chat }])).await;
        assert_eq!(typed["success"], true, "{typed}");
    }
    let network = app.get("/simulator/shop/network").await.ok();
    assert_eq!(network["data"]["typing"].as_array().unwrap().len(), 2);
}

// covers: event typing:start
// covers: event presence
#[tokio::test]
async fn contact_typing_and_presence_are_emitted_live() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.event("shop", "state").await;
    app.post("/simulator/shop/typing", json!({ "from": ANNA, "kind": "audio", "on": true })).await.ok();
    let typing = wire.event("shop", "typing:start").await;
    assert_eq!((&typing["chatId"], &typing["kind"]), (&json!("15550100001@c.us"), &json!("audio")));
    app.post("/simulator/shop/presence", json!({ "from": ANNA, "online": true })).await.ok();
    assert_eq!(wire.event("shop", "presence").await["online"], true);
}

// covers: resume ends with the key
#[tokio::test]
async fn revoked_key_is_disconnected_within_a_second() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let made = app.post("/api-keys", json!({ "name": "a", "scopes": ["events:read"] })).await.created();
    let (id, key) = (made["data"]["id"].as_str().unwrap(), made["data"]["key"].as_str().unwrap());
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", key).await;
    app.delete(&format!("/api-keys/{id}")).await.ok();
    let gone = tokio::time::timeout(Duration::from_secs(1), wire.packet_with("41/device/shop,")).await;
    assert!(gone.is_ok(), "the socket stayed connected");
}

#[tokio::test]
async fn scope_is_checked_at_each_call() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let made = app.post("/api-keys", json!({ "name": "a", "scopes": ["events:read"] })).await.created();
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", made["data"]["key"].as_str().unwrap()).await;
    let answer = wire.ask("shop", 1, &json!(["message:send", { "to": ANNA, "text": "hi" }])).await;
    assert_eq!((&answer["success"], &answer["code"]), (&json!(false), &json!("missing_scope")), "{answer}");
}

// covers: event device-deleted
// covers: connect_error Invalid namespace
#[tokio::test]
async fn deleted_device_is_emitted_and_namespace_removed() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    app.delete("/devices/shop").await.ok();
    assert!(wire.event("shop", "device-deleted").await["seq"].is_i64());
    wire.packet_with("41/device/shop,").await;
    let (mut late, _) = Wire::open(&app).await;
    late.send(&format!("40/device/shop,{{\"apiKey\":\"{ADMIN_KEY}\"}}")).await;
    assert!(late.packet_with("44").await.contains("Invalid namespace"));
}

// covers: event chat:update
#[tokio::test]
async fn chat_updates_are_limited_to_ten_per_second() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.event("shop", "state").await;
    for n in 0..30 {
        app.incoming("shop", ANNA, &n.to_string()).await;
    }
    let mut updates = 0;
    loop {
        let packet = wire.packet_with("42/device/shop,").await;
        if packet.contains("[\"chat:update\"") {
            updates += 1;
            if packet.contains("\"body\":\"29\"") {
                break;
            }
        }
    }
    assert!(updates < 30, "{updates} updates for 30 messages");
}

// covers: state connecting
// covers: state qr
// covers: state pairing
// covers: state ready
// covers: event state
#[tokio::test]
async fn linking_emits_each_state_in_order() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.send(&format!("40/device/shop,{{\"apiKey\":\"{ADMIN_KEY}\",\"since\":0}}")).await;
    let snapshot = wire.event("shop", "state").await;
    assert_eq!(snapshot["state"], "ready");
    for (state, status) in [
        ("connecting", "CONNECTING"),
        ("qr", "CONNECTING"),
        ("pairing", "CONNECTING"),
        ("ready", "CONNECTED"),
    ] {
        let event = wire.event("shop", "state").await;
        assert_eq!((&event["state"], &event["status"]), (&json!(state), &json!(status)));
    }
}

// covers: event connection:status
#[tokio::test]
async fn connection_status_is_emitted_live() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.event("shop", "state").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let lost = wire.event("shop", "connection:status").await;
    assert_eq!((&lost["status"], &lost["deviceId"]), (&json!("disconnected"), &json!("shop")));
    assert!(lost["seq"].is_null() && lost["timestamp"].is_i64(), "{lost}");
    app.post("/devices/shop/start", json!({})).await.ok();
    assert_eq!(wire.event("shop", "connection:status").await["status"], "connecting");
    assert_eq!(wire.event("shop", "connection:status").await["status"], "connected");
}

// covers: event contact:update
#[tokio::test]
async fn contact_update_event_equals_rest_object() {
    let app = TestApp::start().await;
    let contacts = json!([{ "id": ANNA, "name": "Anna" }]);
    app.device_with("shop", json!({ "contacts": contacts })).await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.send(&format!("40/device/shop,{{\"apiKey\":\"{ADMIN_KEY}\",\"since\":0}}")).await;
    let event = wire.event("shop", "contact:update").await;
    assert_eq!(event["contact"]["name"], "Anna");
    assert_eq!(event["contact"], app.get("/devices/shop/contacts").await.ok()["data"][0]);
}
