//! Immediate retries after a recovery or a change, and deliveries after a change of URL.

use std::time::Duration;

use serde_json::json;

use super::{app_with, create_webhook, webhook};
use crate::support::receiver::{Answer, Receiver};
use crate::support::{ANNA, BEN, TestApp};

/// The retry delay exceeds the duration of each test.
async fn app() -> TestApp {
    let app = app_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "1h,1h")]).await;
    app.device("shop").await;
    app
}

async fn wait_for_failure(app: &TestApp, receiver: &Receiver) {
    app.wait_until("a failed attempt", async || (receiver.count() == 1).then_some(())).await;
    app.wait_until("the failure to be stored", async || {
        let all = app.get("/webhooks").await.ok()["data"].clone();
        all[0]["failingSince"].is_i64().then_some(())
    })
    .await;
}

#[tokio::test]
async fn recovered_receiver_gets_pending_at_once() {
    let app = app().await;
    let receiver = Receiver::answering(|n| Answer::Status(if n == 0 { 500 } else { 200 })).await;
    create_webhook(
        &app,
        "/webhooks",
        json!({ "url": receiver.url, "events": ["message"], "ordering": "chat" }),
    )
    .await;
    app.incoming("shop", ANNA, "failed").await;
    wait_for_failure(&app, &receiver).await;
    app.incoming("shop", BEN, "taken").await;
    app.wait_until("both", async || (receiver.events("message").len() == 2).then_some(())).await;
}

#[tokio::test]
async fn enabled_webhook_gets_pending_at_once() {
    let app = app().await;
    let receiver = Receiver::answering(|n| Answer::Status(if n == 0 { 500 } else { 200 })).await;
    let (id, _) =
        create_webhook(&app, "/webhooks", json!({ "url": receiver.url, "events": ["message"] })).await;
    app.incoming("shop", ANNA, "hello").await;
    wait_for_failure(&app, &receiver).await;
    for enabled in [false, true] {
        app.patch(&format!("/webhooks/{id}"), json!({ "enabled": enabled })).await.ok();
    }
    app.wait_until("the message", async || (receiver.accepted().len() == 1).then_some(())).await;
}

#[tokio::test]
async fn changed_host_gets_pending_with_its_own_headers() {
    let app = app().await;
    let (before, after) = (Receiver::answering(|_| Answer::Status(500)).await, Receiver::start().await);
    let headers = json!({ "Authorization": "Bearer old" });
    let body = json!({ "url": before.url, "events": ["message"], "headers": headers });
    let (id, _) = create_webhook(&app, "/webhooks", body).await;
    let path = format!("/webhooks/{id}");
    app.incoming("shop", ANNA, "hello").await;
    wait_for_failure(&app, &before).await;
    let shown = webhook(&app, &id).await["headers"].clone();
    for stored in [json!({ "url": after.url }), json!({ "url": after.url, "headers": shown })] {
        let refused = app.patch(&path, stored).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], "headers");
    }
    let masked = json!({ "url": format!("{}?token=********", before.url) });
    assert_eq!(app.patch(&path, masked).await.refused(400, "invalid_field")["details"][0]["field"], "url");
    let given = json!({ "url": after.url, "headers": { "Authorization": "Bearer new" } });
    app.patch(&path, given).await.ok();
    app.wait_until("the message", async || (after.count() == 1).then_some(())).await;
    assert_eq!(after.all()[0].header("authorization"), "Bearer new");
    assert_eq!(before.count(), 1);
    // Stored headers are kept on the same host.
    app.patch(&path, json!({ "url": format!("{}/more", after.url) })).await.ok();
}

#[tokio::test]
async fn prefetched_deliveries_follow_changed_url() {
    let app = app_with(&[("WHARF__WEBHOOKS__MAX_IN_FLIGHT_PER_ENDPOINT", "1")]).await;
    app.device("shop").await;
    let before = Receiver::answering(|_| Answer::Slow(Duration::from_millis(700))).await;
    let after = Receiver::start().await;
    let body = json!({ "url": before.url, "events": ["message"], "ordering": "none" });
    let (id, _) = create_webhook(&app, "/webhooks", body).await;
    for text in ["one", "two", "three", "four"] {
        app.incoming("shop", ANNA, text).await;
    }
    // The first delivery was read alone, the others together.
    app.wait_until("the second attempt", async || (before.count() == 2).then_some(())).await;
    app.patch(&format!("/webhooks/{id}"), json!({ "url": after.url })).await.ok();
    app.wait_until("the others", async || (after.count() == 2).then_some(())).await;
    assert_eq!(before.count(), 2);
}

#[tokio::test]
async fn clock_set_back_does_not_delay_retry() {
    let app = app_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "1500ms")]).await;
    app.device("shop").await;
    let receiver = Receiver::answering(|n| Answer::Status(if n == 0 { 500 } else { 200 })).await;
    create_webhook(&app, "/webhooks", json!({ "url": receiver.url, "events": ["message"] })).await;
    app.incoming("shop", ANNA, "one").await;
    wait_for_failure(&app, &receiver).await;
    app.clock.advance(-3_600_000);
    app.incoming("shop", ANNA, "two").await;
    app.wait_until("both", async || (receiver.events("message").len() == 2).then_some(())).await;
}
