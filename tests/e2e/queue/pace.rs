//! Send limits, quiet hours and warm-up, measured at the network.

use serde_json::{Value, json};
use wharf::domain::clock::Clock as _;

use super::{
    DAY, HOUR, MINUTE, advance, configure, put, queue_of, schedule, sent_to_network, status_of,
    wait_until_held,
};
use crate::support::{ANNA, BEN, TestApp};

// covers: GET /queue/status
// covers: PUT /queue/config
// covers: GET /devices/{id}/queue-status
#[tokio::test]
async fn send_limit_holds_queue_with_reason() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let set = put(&app, "/queue/config", json!({ "messagesPerMinute": 1 })).await.ok();
    let fleet = &set["data"];
    let config = &fleet["devices"][0]["config"];
    assert_eq!(config["messagesPerMinute"], 1);
    let document = app.get("//docs-json").await.json();
    let documented = document["components"]["schemas"]["QueueConfig"]["properties"].as_object().unwrap();
    assert_eq!(config.as_object().unwrap().keys().collect::<Vec<_>>(), documented.keys().collect::<Vec<_>>());
    let first = app.send("shop", ANNA, "one").await;
    app.wait_for_status("shop", &first, "read").await;
    let second = app.send("shop", ANNA, "two").await;
    schedule(&app, "shop", BEN, HOUR).await;
    let queue = wait_until_held(&app, "shop", "messages_per_minute").await;
    assert_eq!((&queue["queuedMessages"], &queue["scheduled"]), (&json!(2), &json!(1)), "{queue}");
    assert_eq!(queue["messagesInLast60s"], 1);
    let until = queue["heldBy"]["until"].as_i64().unwrap() - app.clock.now().0;
    assert!((50_000..=MINUTE).contains(&until), "{until}");
    let one = app.get("/devices/shop/queue-status").await.ok();
    assert_eq!(one["data"]["queue"]["heldBy"]["reason"], "messages_per_minute");
    assert_eq!(one["data"]["recommendedDelay"], MINUTE);
    let totals = app.get("/queue/status").await.ok()["data"]["totals"].clone();
    assert_eq!(totals["queuedMessages"], 2);
    advance(&app, MINUTE).await;
    app.wait_for_status("shop", &second, "read").await;
    let queue = wait_until_held(&app, "shop", "schedule").await;
    assert_eq!(queue["queuedMessages"], 1);
}

// covers: PUT /queue/config
#[tokio::test]
async fn send_limits_survive_restart() {
    let app = TestApp::start().await;
    app.device("shop").await;
    configure(&app, json!({ "messagesPerDay": 2 })).await;
    for n in 0..2 {
        let id = app.send("shop", ANNA, &format!("{n}")).await;
        app.wait_for_status("shop", &id, "read").await;
    }
    let third = app.send("shop", ANNA, "three").await;
    wait_until_held(&app, "shop", "messages_per_day").await;
    let app = app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    let queue = wait_until_held(&app, "shop", "messages_per_day").await;
    assert_eq!(queue["config"]["messagesPerDay"], 2);
    assert_eq!(status_of(&app, "shop", &third).await, "queued");
    advance(&app, DAY).await;
    app.wait_for_status("shop", &third, "read").await;
}

#[tokio::test]
async fn network_sees_delays_between_messages() {
    let app = TestApp::start().await;
    app.device("shop").await;
    configure(&app, json!({ "minDelay": 80, "maxDelay": 120, "typingDelay": 30 })).await;
    for n in 0..6 {
        app.send("shop", &format!("1555010001{n}"), "hello").await;
    }
    app.wait_until("all to be sent", async || (sent_to_network(&app, "shop").await == 6).then_some(())).await;
    let network = app.get("/simulator/shop/network").await.ok();
    let sent = network["data"]["sent"].as_array().unwrap();
    let mut at: Vec<i64> = sent.iter().map(|message| message["at"].as_i64().unwrap()).collect();
    at.sort_unstable();
    // Recording at the network lags the send slightly, for the first message of a chat more so.
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= 40), "{at:?}");
    assert!(at[5] - at[0] >= 5 * 80 - 40, "{at:?}");
}

#[tokio::test]
async fn burst_limit_survives_restart() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__BURST_LIMIT", "1")]).await;
    app.device("shop").await;
    let first = app.send("shop", ANNA, "one").await;
    app.wait_for_status("shop", &first, "read").await;
    app.send("shop", BEN, "two").await;
    let app = app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    wait_until_held(&app, "shop", "burst_limit").await;
    assert_eq!(sent_to_network(&app, "shop").await, 1);
}

#[tokio::test]
async fn quiet_hours_hold_urgent_messages() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let clock = |ms: i64| {
        let minute = app.clock.now().plus(ms).0.rem_euclid(DAY) / MINUTE;
        format!("{:02}:{:02}", minute / 60, minute % 60)
    };
    let hours = json!({ "from": clock(-HOUR), "to": clock(2 * HOUR), "timeZone": "UTC" });
    configure(&app, json!({ "quietHours": hours })).await;
    let body = json!({ "to": ANNA, "text": "now", "priority": "high" });
    let sent = app.post("/devices/shop/messages/send", body).await.created();
    let id = sent["data"]["id"].as_str().unwrap();
    let queue = wait_until_held(&app, "shop", "quiet_hours").await;
    assert_eq!(queue["config"]["quietHours"], hours);
    assert_eq!(sent_to_network(&app, "shop").await, 0);
    advance(&app, 2 * HOUR).await;
    app.wait_for_status("shop", id, "read").await;
    configure(&app, json!({ "quietHours": false })).await;
    assert_eq!(queue_of(&app, "shop").await["config"]["quietHours"], Value::Null);
}

#[tokio::test]
async fn new_chats_per_day_are_limited() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", "15550100009", "hello").await;
    configure(&app, json!({ "newChatsPerDay": 1 })).await;
    let first = app.send("shop", ANNA, "nice to meet you").await;
    app.wait_for_status("shop", &first, "read").await;
    let stranger = app.send("shop", BEN, "you too").await;
    wait_until_held(&app, "shop", "new_chats_per_day").await;
    for contact in [ANNA, "15550100009"] {
        let id = app.send("shop", contact, "as I said").await;
        app.wait_for_status("shop", &id, "read").await;
    }
    let app = app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    wait_until_held(&app, "shop", "new_chats_per_day").await;
    assert_eq!(status_of(&app, "shop", &stranger).await, "queued");
    app.incoming("shop", BEN, "who are you?").await;
    app.wait_for_status("shop", &stranger, "read").await;
}

// covers: POST /devices/{id}/warmup
#[tokio::test]
async fn warm_up_limits_rise_daily() {
    let app = TestApp::start().await;
    app.device("shop").await;
    configure(&app, json!({ "newChatsPerDay": 10 })).await;
    let body = json!({ "days": 5, "startPercent": 10 });
    let queue = app.post("/devices/shop/warmup", body).await.ok()["data"].clone();
    assert_eq!(
        (&queue["warmupPhase"], &queue["config"]["warmup"]["days"]),
        (&json!("day 1 of 5"), &json!(5))
    );
    let first = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &first, "read").await;
    let second = app.send("shop", BEN, "hello").await;
    wait_until_held(&app, "shop", "new_chats_per_day").await;
    app.clock.advance(2 * DAY);
    let app = app.restarted().await;
    let health = app.get("/devices/shop/health").await.ok();
    assert_eq!(health["data"]["metrics"]["warmupPhase"], "day 3 of 5");
    app.wait_for_status("shop", &second, "read").await;
    let again = app.post("/devices/shop/warmup", json!({ "days": 7 })).await.ok();
    assert_eq!(again["data"]["warmupPhase"], "day 3 of 7", "a running warm-up continues");
    let ended = app.post("/devices/shop/warmup", json!({ "enabled": false })).await.ok();
    assert_eq!(
        (&ended["data"]["warmupPhase"], &ended["data"]["config"]["warmup"]),
        (&Value::Null, &Value::Null)
    );
    let health = app.get("/devices/shop/health").await.ok();
    assert_eq!(health["data"]["metrics"]["warmupPhase"], Value::Null);
    let started = app.post("/devices/shop/warmup", json!({})).await.ok();
    assert_eq!(started["data"]["warmupPhase"], "day 1 of 14", "the body is optional");
}
