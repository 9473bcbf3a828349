//! Coalescing of notifications, and notifications that become obsolete before they are due.

use serde_json::{Value, json};

use super::{app, app_with_command, message_notifications, read};
use crate::support::{ANNA, BEN};

const CARL: &str = "15550100005";

#[tokio::test]
async fn rules_coalesce_independently() {
    let (app, dir) = app_with_command(&[]).await;
    for rule in [
        json!({ "match": { "text": "*urgent*" }, "actions": ["dashboard"], "priority": "high" }),
        json!({ "match": { "text": "promo*" }, "actions": ["dashboard"], "throttle": "1h" }),
        json!({ "match": { "text": "order*" }, "actions": ["dashboard", "command"], "command": "note" }),
    ] {
        app.post("/notifications/rules", rule).await.created();
    }
    for body in ["promo 1", "promo 2", "this is urgent!!", "hi", "order 17", "bye"] {
        app.incoming("shop", ANNA, body).await;
    }
    let notifications = message_notifications(&app, "shop", 4).await;
    let bodies: Vec<&Value> = notifications.iter().map(|entry| &entry["body"]).collect();
    assert_eq!(bodies, ["promo 1", "this is urgent!!", "hi", "order 17"]);
    let env = app.wait_until("the command", async || read(dir.path(), "env")).await;
    assert!(env.ends_with("|order 17\n"), "{env}");
}

#[tokio::test]
async fn pending_notification_is_dropped_if_muted_or_read() {
    let app = app().await;
    app.device("shop").await;
    for who in [ANNA, BEN, CARL] {
        for n in 1..=3 {
            app.incoming("shop", who, &format!("{who} {n}")).await;
        }
    }
    // The watcher has read all earlier events once this notification exists.
    app.incoming("shop", "15550100006", "the last").await;
    message_notifications(&app, "shop", 4).await;
    let anna = json!({ "everybody": true, "chatId": format!("{ANNA}@c.us") });
    app.post("/devices/shop/notifications/mute", anna).await.ok();
    app.post(&format!("/devices/shop/chats/{BEN}@c.us/read"), json!({})).await.ok();
    app.clock.advance(10_001);
    let notifications = message_notifications(&app, "shop", 5).await;
    assert_eq!(
        (&notifications[4]["body"], &notifications[4]["count"]),
        (&json!(format!("{CARL} 3")), &json!(3))
    );
    app.incoming("shop", CARL, "last").await;
    app.clock.advance(10_001);
    let notifications = message_notifications(&app, "shop", 6).await;
    assert_eq!((notifications.len(), &notifications[5]["body"]), (6, &json!("last")));
}

#[tokio::test]
async fn reused_device_id_has_no_old_rules_or_mutes() {
    let app = app().await;
    app.device("shop").await;
    app.post("/devices/shop/notifications/rules", json!({ "actions": [] })).await.created();
    app.post("/devices/shop/notifications/mute", json!({ "everybody": true })).await.ok();
    app.delete("/devices/shop").await.ok();
    app.wait_until("the id to be free", async || (app.try_device("shop").await.status == 201).then_some(()))
        .await;
    app.wait_for_state("shop", "qr").await;
    app.post("/simulator/shop/scan", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    let rules = app.get("/devices/shop/notifications/rules").await.ok()["data"].clone();
    assert!(rules.as_array().unwrap().iter().all(|rule| rule["origin"] == "default"), "{rules}");
    let chat = json!({ "chatId": format!("{ANNA}@c.us") });
    let muted = app.post("/devices/shop/notifications/unmute", chat).await.ok();
    assert_eq!(muted["data"]["mutes"], json!([]));
    app.incoming("shop", ANNA, "hello").await;
    message_notifications(&app, "shop", 1).await;
}
