//! Notifications over Socket.IO, as a stream and in the log; own, muted and old messages cause none.

use serde_json::{Value, json};

use super::{app, app_with, message_notifications, notifications};
use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, BEN};

// covers: event notification
#[tokio::test]
async fn message_notification_has_dashboard_fields() {
    let app = app().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    app.post("/simulator/shop/incoming", json!({ "from": ANNA, "body": "hello", "notifyName": "Anna" }))
        .await
        .ok();
    let seen = loop {
        let seen = wire.event("shop", "notification").await;
        if seen["kind"] == "message" {
            break seen;
        }
    };
    let shown = json!({
        "deviceId": "shop", "timestamp": seen["timestamp"], "seq": seen["seq"], "id": seen["id"], "kind": "message",
        "priority": "normal", "title": "Anna", "body": "hello", "sound": "message",
        "soundUrl": "/assets/sounds/message", "chatId": "15550100001@c.us", "count": 1,
    });
    assert_eq!(seen, shown);
    assert!(seen["seq"].is_i64() && seen["timestamp"].is_i64() && seen["id"].is_string());
    assert_eq!(message_notifications(&app, "shop", 1).await, [seen]);
}

#[tokio::test]
async fn burst_in_chat_becomes_one_counted_notification() {
    let app = app().await;
    app.device("shop").await;
    for n in 1..=10 {
        app.incoming("shop", ANNA, &format!("message {n}")).await;
    }
    message_notifications(&app, "shop", 1).await;
    app.clock.advance(10_001);
    let notifications = message_notifications(&app, "shop", 2).await;
    assert_eq!(
        (notifications.len(), &notifications[0]["count"], &notifications[1]["count"]),
        (2, &json!(1), &json!(10))
    );
    assert_eq!(
        (&notifications[0]["id"], &notifications[1]["body"]),
        (&notifications[1]["id"], &json!("message 10"))
    );
    assert!(
        notifications[1]["title"].as_str().unwrap().ends_with("(10 new messages)"),
        "{}",
        notifications[1]
    );
    let listed = app.get("/devices/shop/notifications").await.ok();
    let of_messages =
        listed["data"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "message").count();
    assert_eq!(of_messages, 1, "{listed}");
}

#[tokio::test]
async fn problems_and_calls_emit_notifications() {
    let app = app().await;
    app.new_device("shop", json!({})).await;
    app.wait_for_state("shop", "qr").await;
    let qr = notifications(&app, "shop", 1).await.remove(0);
    assert_eq!(
        (&qr["kind"], &qr["priority"], &qr["sound"]),
        (&json!("qr"), &json!("high"), &json!("system"))
    );
    app.post("/simulator/shop/scan", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    app.post("/simulator/shop/call", json!({ "from": ANNA, "video": true })).await.ok();
    let call = notifications(&app, "shop", 2).await.remove(1);
    assert_eq!((&call["kind"], &call["sound"]), (&json!("call"), &json!("call")));
    assert!(call["title"].as_str().unwrap().ends_with(" is calling"), "{call}");
    app.fault("shop", json!({ "kind": "log_out" })).await;
    let ends: Vec<Value> = notifications(&app, "shop", 3).await;
    assert!(ends.iter().any(|entry| entry["kind"] == "offline" || entry["kind"] == "error"), "{ends:?}");
}

#[tokio::test]
async fn call_notification_names_contact_without_chat() {
    let app = app().await;
    app.device("shop").await;
    app.post("/simulator/shop/contact", json!({ "id": ANNA, "name": "Anna" })).await.ok();
    app.wait_until("the contact", async || {
        (!app.logged("shop", "contact:update").await.is_empty()).then_some(())
    })
    .await;
    app.post("/simulator/shop/call", json!({ "from": ANNA })).await.ok();
    let title = app
        .wait_until("the call", async || {
            let notifications = app.logged("shop", "notification").await;
            notifications
                .into_iter()
                .find(|entry| entry["kind"] == "call")
                .map(|entry| entry["title"].clone())
        })
        .await;
    assert_eq!(title, "Anna is calling");
}

#[tokio::test]
async fn own_muted_and_old_messages_do_not_notify() {
    let app = app().await;
    app.device_with("shop", json!({ "history": 5 })).await;
    app.incoming("shop", ANNA, "first").await;
    message_notifications(&app, "shop", 1).await;
    app.post(&format!("/devices/shop/chats/{ANNA}@c.us/mute"), json!({})).await.ok();
    app.incoming("shop", ANNA, "in a muted chat").await;
    app.send("shop", BEN, "ours").await;
    app.incoming("shop", "15550100003", "after").await;
    let all = app
        .wait_until("the last notification", async || {
            let notifications = app.logged("shop", "notification").await;
            notifications.iter().any(|entry| entry["body"] == "after").then_some(notifications)
        })
        .await;
    app.clock.advance(60_000);
    let bodies = |all: &[Value]| {
        let messages = all.iter().filter(|entry| entry["kind"] == "message");
        messages.map(|entry| entry["body"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(bodies(&all), ["first", "after"]);
    let app = app.restarted().await;
    assert_eq!(bodies(&app.logged("shop", "notification").await), ["first", "after"]);
}

#[tokio::test]
async fn restart_neither_repeats_nor_loses_notifications() {
    let app = app().await;
    app.device("shop").await;
    for body in ["one", "two", "three"] {
        app.incoming("shop", ANNA, body).await;
    }
    message_notifications(&app, "shop", 1).await;
    let app = app.restarted().await;
    // A burst that was pending at the stop restarts, because its executors ended with the daemon.
    let notifications = message_notifications(&app, "shop", 2).await;
    assert_eq!((&notifications[1]["count"], &notifications[1]["body"]), (&json!(1), &json!("two")));
    app.wait_for_state("shop", "ready").await;
    app.clock.advance(10_001);
    let notifications = message_notifications(&app, "shop", 3).await;
    assert_eq!((&notifications[2]["count"], &notifications[2]["body"]), (&json!(2), &json!("three")));
    app.incoming("shop", BEN, "four").await;
    let notifications = message_notifications(&app, "shop", 4).await;
    let bodies: Vec<&Value> = notifications.iter().map(|entry| &entry["body"]).collect();
    assert_eq!(bodies, ["one", "two", "three", "four"]);
}

#[tokio::test]
async fn old_messages_are_listed_without_effects() {
    let app = app_with(&[("WHARF__NOTIFY__FRESH_MS", "60000")]).await;
    app.device("shop").await;
    let long_ago = wharf::domain::clock::Clock::now(&app.clock).0 - 600_000;
    let body = json!({ "from": ANNA, "body": "while away", "timestamp": long_ago });
    app.post("/simulator/shop/incoming", body).await.ok();
    message_notifications(&app, "shop", 1).await;
    let metrics = app.get("//metrics").await.text();
    assert!(metrics.contains("wharf_notify_effects_total{action=\"any\",outcome=\"old\"} 1"), "{metrics}");
}

#[tokio::test]
async fn quiet_hours_suppress_effects() {
    let app = app_with(&[("WHARF__NOTIFY__QUIET_FROM", "00:00"), ("WHARF__NOTIFY__QUIET_TO", "23:59")]).await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "hello").await;
    let notifications = message_notifications(&app, "shop", 1).await;
    assert_eq!((&notifications[0]["sound"], &notifications[0]["soundUrl"]), (&Value::Null, &Value::Null));
    let metrics = app.get("//metrics").await.text();
    assert!(!metrics.contains("wharf_notify_effects_total{action=\"sound\""), "{metrics}");
}

#[tokio::test]
async fn webhook_notification_requires_rule() {
    let app = app_with(&[("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8")]).await;
    app.device("shop").await;
    let receiver = crate::support::receiver::Receiver::start().await;
    app.post("/webhooks", json!({ "url": receiver.url, "events": ["notification"] })).await.created();
    let rule = json!({ "match": { "text": "order" }, "actions": ["dashboard", "webhook"] });
    app.post("/notifications/rules", rule).await.created();
    app.incoming("shop", BEN, "hello").await;
    app.incoming("shop", ANNA, "an order").await;
    message_notifications(&app, "shop", 2).await;
    app.wait_until("the delivery", async || (receiver.count() > 0).then_some(())).await;
    let bodies: Vec<Value> = receiver.all().iter().map(|received| received.data()["body"].clone()).collect();
    assert_eq!(bodies, ["an order"]);
}
