//! Cancelling queued messages; a message that may have been sent is never cancelled.

use serde_json::json;
use wharf::domain::clock::Clock as _;

use super::{DAY, HOUR, advance, configure, queue_of, schedule, sent_to_network, status_of, wait_until_held};
use crate::support::{ANNA, BEN, TestApp};

// covers: POST /queue/clear
#[tokio::test]
async fn cleared_queue_cancels_and_emits() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    for device in ["shop", "home"] {
        app.post(&format!("/devices/{device}/stop"), json!({})).await.ok();
    }
    let to_anna = app.send("shop", ANNA, "one").await;
    let to_ben = app.send("shop", BEN, "two").await;
    let later = schedule(&app, "shop", BEN, HOUR).await;
    let other = app.send("home", ANNA, "three").await;
    assert_eq!(queue_of(&app, "shop").await["heldBy"]["reason"], "not_ready");

    let body = json!({ "deviceIds": ["shop"], "chatId": ANNA });
    let cleared = app.post("/queue/clear", body).await.ok()["data"].clone();
    assert_eq!(cleared, json!({ "cancelled": 1, "devices": { "shop": 1 } }));
    assert_eq!(status_of(&app, "shop", &to_anna).await, "failed");
    let last = app.logged("shop", "message:status").await.pop().unwrap();
    assert_eq!((&last["code"], &last["status"]), (&json!("cancelled"), &json!("failed")), "{last}");

    let cleared = app.post("/queue/clear", json!({ "status": "scheduled" })).await.ok();
    assert_eq!(cleared["data"]["cancelled"], 1);
    assert_eq!(status_of(&app, "shop", &later).await, "failed");
    assert_eq!(status_of(&app, "shop", &to_ben).await, "queued");

    let cleared = app.post("/queue/clear", json!({})).await.ok();
    assert_eq!(cleared["data"], json!({ "cancelled": 2, "devices": { "home": 1, "shop": 1 } }));
    assert_eq!(status_of(&app, "home", &other).await, "failed");
    let health = app.get("/devices/shop/health").await.ok();
    assert_eq!(health["data"]["metrics"]["successRate"], 100.0, "a cancelled message is not a failure");
    app.post("/devices/shop/start", json!({})).await.ok();
    let next = app.send("shop", ANNA, "four").await;
    app.wait_for_status("shop", &next, "read").await;
    assert_eq!(sent_to_network(&app, "shop").await, 1);
}

#[tokio::test]
async fn cleared_queue_frees_capacity() {
    let app = TestApp::start().await;
    app.device("shop").await;
    configure(&app, json!({ "messagesPerDay": 1 })).await;
    let first = app.send("shop", ANNA, "one").await;
    app.wait_for_status("shop", &first, "read").await;
    for n in 0..250 {
        app.send("shop", if n % 2 == 0 { ANNA } else { BEN }, "more").await;
    }
    let cleared = app.post("/queue/clear", json!({})).await.ok();
    assert_eq!(cleared["data"]["cancelled"], 250);
    let next = app.send("shop", ANNA, "two").await;
    advance(&app, DAY).await;
    app.wait_for_status("shop", &next, "read").await;
}

// covers: POST /devices/{id}/messages/{mid}/cancel
#[tokio::test]
async fn queued_message_can_be_cancelled() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let later = schedule(&app, "shop", ANNA, HOUR).await;
    let cancel = |id: &str| format!("/devices/shop/messages/{id}/cancel");
    let reply = app.post(&cancel(&later), json!({})).await.ok();
    assert_eq!(reply["data"], json!({ "messageId": later, "cancelled": true }));
    assert_eq!(app.steps("shop", &later).await, ["queued", "failed"]);
    app.post(&cancel(&later), json!({})).await.refused(409, "not_queued");
    let sent = app.send("shop", ANNA, "now").await;
    app.wait_for_status("shop", &sent, "read").await;
    app.post(&cancel(&sent), json!({})).await.refused(409, "not_queued");
    let unknown = format!("true_{ANNA}@c.us_3EB0");
    app.post(&cancel(&unknown), json!({})).await.refused(404, "message_not_found");
}

#[tokio::test]
async fn message_can_be_cancelled_during_typing() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone(), "a phone account");
    app.device("shop").await;
    configure(&app, json!({ "typingDelay": 400 })).await;
    let id = app.send("shop", ANNA, "hm").await;
    app.wait_until("typing to be shown", async || {
        let network = app.get("/simulator/shop/network").await.ok();
        (!network["data"]["typing"].as_array()?.is_empty()).then_some(())
    })
    .await;
    app.post(&format!("/devices/shop/messages/{id}/cancel"), json!({})).await.ok();
    let next = app.send("shop", ANNA, "well").await;
    app.wait_for_status("shop", &next, "read").await;
    assert_eq!(sent_to_network(&app, "shop").await, 1);
    assert_eq!(status_of(&app, "shop", &id).await, "failed");
}

#[tokio::test]
async fn cancelled_retry_does_not_block_chat() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__RETRY_DELAY_MS", "60000")]).await;
    skip_unless!(app.reports_failed_attempts(), "reports of failed attempts");
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "send_transient" })).await;
    let first = app.send("shop", ANNA, "one").await;
    let second = app.send("shop", ANNA, "two").await;
    wait_until_held(&app, "shop", "retry").await;
    app.post(&format!("/devices/shop/messages/{first}/cancel"), json!({})).await.ok();
    app.wait_for_status("shop", &second, "read").await;
}

#[tokio::test]
async fn possibly_sent_message_is_never_cancelled() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__RETRY_DELAY_MS", "60000")]).await;
    skip_unless!(app.reports_failed_attempts(), "reports of failed attempts");
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "send_unknown", "value": "lost" })).await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "sending").await;
    app.wait_until("the attempt to end", async || {
        (app.get("/queue/status").await.ok()["data"]["totals"]["underWay"] == 1).then_some(())
    })
    .await;
    app.post(&format!("/devices/shop/messages/{id}/cancel"), json!({})).await.refused(409, "not_queued");
    let cleared = app.post("/queue/clear", json!({})).await.ok();
    assert_eq!(cleared["data"]["cancelled"], 0);
    assert_eq!(status_of(&app, "shop", &id).await, "sending");
}

#[tokio::test]
async fn scheduled_message_survives_restart_and_cancels() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let due = app.clock.now().plus(HOUR).0;
    let kept = schedule(&app, "shop", ANNA, HOUR).await;
    let dropped = schedule(&app, "shop", BEN, HOUR).await;
    let app = app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    let queue = wait_until_held(&app, "shop", "schedule").await;
    assert_eq!((&queue["scheduled"], sent_to_network(&app, "shop").await), (&json!(2), 0));
    app.post(&format!("/devices/shop/messages/{dropped}/cancel"), json!({})).await.ok();
    advance(&app, HOUR).await;
    app.wait_for_status("shop", &kept, "read").await;
    assert_eq!(sent_to_network(&app, "shop").await, 1);
    let log = app.log("shop").await;
    let left = log.iter().find(|e| e["payload"]["messageId"] == kept && e["payload"]["status"] == "sending");
    assert!(left.unwrap()["timestamp"].as_i64().unwrap() >= due, "{left:?}");
}
