//! Mutes of one operator on all sockets, and of a whole device.

use serde_json::json;

use super::{app, message_notifications};
use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, BEN};

// covers: emit notifications:mute
// covers: emit notifications:unmute
#[tokio::test]
async fn operator_mute_covers_own_sockets_only() {
    let app = app().await;
    app.device("shop").await;
    let query = |who: &str| format!("EIO=4&transport=websocket&access-token={who}");
    let (mut mine, mut also_mine, mut other) = (
        Wire::connect(&app, &query("anna")).await,
        Wire::connect(&app, &query("anna")).await,
        Wire::connect(&app, &query("ben")).await,
    );
    for wire in [&mut mine, &mut also_mine, &mut other] {
        wire.packet().await;
        wire.join("shop", ADMIN_KEY).await;
    }
    let wrong = mine.ask("shop", 1, &json!(["notifications:mute", { "until": "later" }])).await;
    assert_eq!((&wrong["success"], &wrong["code"]), (&json!(false), &json!("invalid_field")));
    let past = mine.ask("shop", 2, &json!(["notifications:mute", { "until": 5 }])).await;
    assert_eq!(past["success"], false);
    let muted = mine.ask("shop", 3, &json!(["notifications:mute", {}])).await;
    assert_eq!((&muted["success"], &muted["muted"]), (&json!(true), &json!(true)));
    app.incoming("shop", ANNA, "muted text").await;
    let next_body = async |wire: &mut Wire| loop {
        let seen = wire.event("shop", "notification").await;
        if seen["kind"] == "message" {
            return seen["body"].clone();
        }
    };
    assert_eq!(next_body(&mut other).await, "muted text");
    let unmuted = also_mine.ask("shop", 1, &json!(["notifications:unmute", {}])).await;
    assert_eq!((&unmuted["success"], &unmuted["muted"]), (&json!(true), &json!(false)));
    app.incoming("shop", BEN, "audible text").await;
    for wire in [&mut mine, &mut also_mine, &mut other] {
        assert_eq!(next_body(wire).await, "audible text");
    }
}

#[tokio::test]
async fn operator_mutes_one_chat_over_socket() {
    let app = app().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    let wrong = wire.ask("shop", 1, &json!(["notifications:mute", { "chat": ANNA }])).await;
    assert_eq!((&wrong["success"], &wrong["code"]), (&json!(false), &json!("invalid_field")));
    let muted =
        wire.ask("shop", 2, &json!(["notifications:mute", { "chatId": format!("{ANNA}@c.us") }])).await;
    assert_eq!((&muted["success"], &muted["muted"]), (&json!(true), &json!(true)));
    app.incoming("shop", ANNA, "muted text").await;
    app.incoming("shop", BEN, "audible text").await;
    let body = loop {
        let seen = wire.event("shop", "notification").await;
        if seen["kind"] == "message" {
            break seen["body"].clone();
        }
    };
    assert_eq!(body, "audible text");
}

// covers: POST /devices/{id}/notifications/mute
// covers: POST /devices/{id}/notifications/unmute
#[tokio::test]
async fn device_mute_suppresses_until_it_ends() {
    let app = app().await;
    app.device("shop").await;
    let until = app.get("/devices/shop").await.ok()["data"]["createdAt"].as_i64().unwrap() + 600_000;
    let chat = format!("{ANNA}@c.us");
    let body = json!({ "everybody": true, "chatId": chat, "until": until });
    let muted = app.post("/devices/shop/notifications/mute", body).await.ok();
    assert_eq!(muted["data"]["mutes"], json!([{ "everybody": true, "chatId": chat, "until": until }]));
    app.incoming("shop", ANNA, "muted text").await;
    app.incoming("shop", BEN, "audible text").await;
    assert_eq!(message_notifications(&app, "shop", 1).await[0]["body"], "audible text");
    app.clock.advance(600_001);
    app.incoming("shop", ANNA, "audible again").await;
    let notifications = message_notifications(&app, "shop", 2).await;
    assert_eq!((notifications.len(), &notifications[1]["body"]), (2, &json!("audible again")));

    app.post("/devices/shop/notifications/mute", json!({ "everybody": true })).await.ok();
    let app = app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    let none = app.post("/devices/shop/notifications/unmute", json!({ "everybody": true })).await.ok();
    assert_eq!(none["data"]["mutes"], json!([]));
    app.post("/devices/shop/notifications/mute", json!({ "until": 5 })).await.refused(400, "invalid_field");
    let body = json!({ "name": "k", "scopes": ["events:read"] });
    let key = app.post("/api-keys", body).await.created()["data"]["key"].as_str().unwrap().to_owned();
    let everybody =
        app.with_key(&key).post("/devices/shop/notifications/mute", json!({ "everybody": true })).await;
    everybody.refused(403, "missing_scope");
}

#[tokio::test]
async fn mute_answer_lists_newest_only() {
    let app = app().await;
    app.device("shop").await;
    let mut last = json!(null);
    for n in 0..102 {
        let chat = format!("1555011{n:04}@c.us");
        let answer = app.post("/devices/shop/notifications/mute", json!({ "chatId": chat })).await.ok();
        last = answer["data"]["mutes"].clone();
        assert_eq!(last[0]["chatId"], chat);
    }
    assert_eq!(last.as_array().unwrap().len(), 100);
}
