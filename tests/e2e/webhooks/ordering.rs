//! Ordering keys of deliveries.

use serde_json::json;

use super::{app, app_with, create_webhook};
use crate::support::receiver::{Answer, Receiver};
use crate::support::{ANNA, BEN};

#[tokio::test]
async fn device_order_holds_despite_failures() {
    let app = app_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "10ms,10ms,10ms,10ms,10ms,10ms")]).await;
    app.device("shop").await;
    app.device("home").await;
    let receiver = Receiver::answering(|n| Answer::Status(if n % 3 == 1 { 500 } else { 200 })).await;
    create_webhook(&app, "/webhooks", json!({ "url": receiver.url })).await;
    for n in 0..10 {
        app.incoming("shop", ANNA, &format!("{n}")).await;
        app.incoming("home", BEN, &format!("{n}")).await;
    }
    for device in ["shop", "home"] {
        app.wait_until("all messages", async || {
            let of =
                receiver.events("message").into_iter().filter(|e| e["data"]["deviceId"] == device).count();
            (of == 10).then_some(())
        })
        .await;
        let accepted = receiver.accepted();
        let seqs: Vec<i64> =
            accepted.iter().filter(|r| r.data()["deviceId"] == device).map(|r| r.seq()).collect();
        assert!(seqs.is_sorted_by(|a, b| a < b), "{device}: {seqs:?}");
    }
}

#[tokio::test]
async fn chat_order_does_not_block_other_chats() {
    let app = app_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "10s")]).await;
    app.device("shop").await;
    let receiver = Receiver::answering(|n| Answer::Status(if n == 0 { 500 } else { 200 })).await;
    let body = json!({ "url": receiver.url, "events": ["message"], "ordering": "chat" });
    create_webhook(&app, "/devices/shop/webhooks", body).await;
    app.incoming("shop", ANNA, "first").await;
    app.wait_until("the first to fail", async || (receiver.count() == 1).then_some(())).await;
    app.incoming("shop", ANNA, "waits").await;
    app.incoming("shop", BEN, "goes on").await;
    // Its success triggers an immediate retry for Anna's.
    app.wait_until("Ben's message", async || (!receiver.events("message").is_empty()).then_some(())).await;
    assert_eq!(receiver.events("message")[0]["data"]["message"]["body"], "goes on");
}

#[tokio::test]
async fn unordered_deliveries_do_not_wait() {
    let app = app_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "10s")]).await;
    app.device("shop").await;
    let receiver = Receiver::answering(|n| Answer::Status(if n == 0 { 500 } else { 200 })).await;
    let body = json!({ "url": receiver.url, "events": ["message"], "ordering": "none" });
    create_webhook(&app, "/devices/shop/webhooks", body).await;
    app.incoming("shop", ANNA, "first").await;
    app.wait_until("the first to fail", async || (receiver.count() == 1).then_some(())).await;
    app.incoming("shop", ANNA, "second").await;
    // Its success triggers an immediate retry of the first.
    app.wait_until("the second", async || (!receiver.events("message").is_empty()).then_some(())).await;
    assert_eq!(receiver.events("message")[0]["data"]["message"]["body"], "second");
}

#[tokio::test]
async fn many_events_are_delivered_once_each() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::start().await;
    create_webhook(&app, "/webhooks", json!({ "url": receiver.url, "events": ["message"] })).await;
    for n in 0..200 {
        app.incoming("shop", ANNA, &format!("{n}")).await;
    }
    app.wait_until("all of them", async || (receiver.count() >= 200).then_some(())).await;
    let bodies: Vec<String> = receiver
        .events("message")
        .iter()
        .map(|event| event["data"]["message"]["body"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(bodies, (0..200).map(|n| n.to_string()).collect::<Vec<_>>());
}
