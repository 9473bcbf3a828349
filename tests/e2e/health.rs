//! Device health: each warning has a cause and ends with it.

use serde_json::{Value, json};
use wharf::domain::clock::Clock as _;

use crate::support::{ANNA, BEN, TestApp};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

async fn health(app: &TestApp) -> Value {
    app.get("/devices/shop/health").await.ok()["data"].clone()
}

fn codes(health: &Value) -> Vec<&str> {
    health["warnings"].as_array().unwrap().iter().map(|w| w["code"].as_str().unwrap()).collect()
}

// covers: GET /devices/{id}/health
// covers: GET /health/attention
// covers: GET /health/devices
#[tokio::test]
async fn silent_connected_device_is_degraded() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    app.fault("shop", json!({ "kind": "stall", "durationMs": 60_000 })).await;
    assert_eq!(codes(&health(&app).await), Vec::<&str>::new());
    app.clock.advance(3 * MINUTE);
    app.incoming("home", ANNA, "hello").await;
    let seen = health(&app).await;
    assert_eq!((&seen["status"], codes(&seen)), (&json!("critical"), vec!["degraded"]), "{seen}");
    assert_eq!(app.get("/devices/shop").await.ok()["data"]["state"], "ready");
    app.wait_until("home to be healthy", async || {
        let attention = app.get("/health/attention").await.ok()["data"].clone();
        let ids: Vec<&Value> = attention.as_array().unwrap().iter().map(|d| &d["deviceId"]).collect();
        (ids == [&json!("shop")]).then_some(())
    })
    .await;
    assert_eq!(app.get("/health/devices").await.ok()["data"].as_array().unwrap().len(), 2);
    app.fault("shop", json!({ "kind": "stall", "count": 0 })).await;
    app.incoming("shop", ANNA, "hello").await;
    app.wait_until("the warning to go", async || (health(&app).await["status"] == "healthy").then_some(()))
        .await;
    assert_eq!(app.get("/health/attention").await.ok()["data"], json!([]));
}

#[tokio::test]
async fn silence_threshold_is_configurable() {
    let app = TestApp::start_with(&[("WHARF__SUPERVISOR__DEGRADED_AFTER_MS", "0")]).await;
    app.device("shop").await;
    app.clock.advance(24 * HOUR);
    assert_eq!(health(&app).await["status"], "healthy");
}

#[tokio::test]
async fn undelivered_messages_are_ack_stall() {
    let app = TestApp::start_with(&[("WHARF__SUPERVISOR__DEGRADED_AFTER_MS", "0")]).await;
    app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    for to in [ANNA, BEN, "15550100003"] {
        let id = app.send("shop", to, "hello").await;
        app.wait_for_status("shop", &id, "sent").await;
    }
    assert_eq!(codes(&health(&app).await), Vec::<&str>::new(), "they may still arrive");
    app.clock.advance(11 * MINUTE);
    let seen = health(&app).await;
    assert_eq!((&seen["status"], codes(&seen)), (&json!("warning"), vec!["ack_stall"]), "{seen}");
}

#[tokio::test]
async fn unanswered_send_is_ack_stall() {
    let app = TestApp::start_with(&[("WHARF__SUPERVISOR__DEGRADED_AFTER_MS", "0")]).await;
    let mute = json!({ "ackServerMs": null, "ackDeviceMs": null, "ackReadMs": null });
    app.device_with("shop", mute).await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "sending").await;
    app.clock.advance(3 * MINUTE);
    assert_eq!(codes(&health(&app).await), ["ack_stall"]);
}

#[tokio::test]
async fn late_server_acks_are_reported() {
    let app = TestApp::start_with(&[("WHARF__SUPERVISOR__DEGRADED_AFTER_MS", "0")]).await;
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "slow_send", "value": 300, "count": 3 })).await;
    for _ in 0..3 {
        let id = app.send("shop", ANNA, "hello").await;
        app.wait_for_status("shop", &id, "sending").await;
        app.clock.advance(20_000);
        app.wait_for_status("shop", &id, "read").await;
    }
    // The receipts of the last message can arrive before its own result is counted.
    let seen = app
        .wait_until("a health warning", async || {
            let seen = health(&app).await;
            (!codes(&seen).is_empty()).then_some(seen)
        })
        .await;
    assert_eq!(codes(&seen), ["slow_sends"], "{seen}");
    assert!(seen["warnings"][0]["message"].as_str().unwrap().contains("takes 20 s"), "{seen}");
}

#[tokio::test]
async fn hour_without_usual_messages_is_receive_stall() {
    let app = TestApp::start_with(&[("WHARF__SUPERVISOR__DEGRADED_AFTER_MS", "0")]).await;
    app.device("shop").await;
    // Starts in the middle of an hour, so that the test does not reach the next one.
    app.clock.advance(HOUR + HOUR / 2 - app.clock.now().0.rem_euclid(HOUR));
    for _ in 0..3 {
        for n in 0..5 {
            app.incoming("shop", ANNA, &format!("{n}")).await;
        }
        app.wait_until("all to be there", async || {
            let seen = health(&app).await;
            (seen["metrics"]["messagesPerHour"].as_i64() >= Some(5)).then_some(())
        })
        .await;
        app.clock.advance(24 * HOUR);
    }
    assert_eq!(codes(&health(&app).await), Vec::<&str>::new(), "this hour is not over");
    app.clock.advance(HOUR);
    assert_eq!(codes(&health(&app).await), ["receive_stall"]);
    app.incoming("shop", ANNA, "there you are").await;
    app.wait_until("the warning to go", async || codes(&health(&app).await).is_empty().then_some(())).await;
}

#[tokio::test]
async fn stopped_device_reports_attention_reason() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let attention = app.get("/health/attention").await.ok();
    assert_eq!(attention["data"][0]["warnings"][0]["code"], "stopped_by_operator");
}
