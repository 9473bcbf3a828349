//! The queues: looked at, cleared, and given their pace.

use serde_json::{Value, json};
use wharf::domain::clock::Clock as _;

use crate::support::{ANNA, BEN, Reply, TestApp};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

async fn put(app: &TestApp, path: &str, body: Value) -> Reply {
    app.with_key(&app.key).send(app.request("PUT", path).json(&body)).await
}

/// Sets the pace; this also makes the outboxes look at the clock.
async fn configure(app: &TestApp, body: Value) -> Value {
    put(app, "/queue/config", body).await.ok()["data"].clone()
}

async fn advance(app: &TestApp, ms: i64) {
    app.clock.advance(ms);
    configure(app, json!({ "typingDelay": 0 })).await;
}

async fn queue_of(app: &TestApp, id: &str) -> Value {
    let fleet = app.get("/queue/status").await.ok()["data"].clone();
    let devices = fleet["devices"].as_array().unwrap();
    devices.iter().find(|queue| queue["deviceId"] == id).unwrap().clone()
}

async fn wait_until_held(app: &TestApp, id: &str, reason: &str) -> Value {
    app.wait_until(&format!("{id} to be held by {reason}"), async || {
        let queue = queue_of(app, id).await;
        (queue["heldBy"]["reason"] == reason).then_some(queue)
    })
    .await
}

async fn status_of(app: &TestApp, id: &str, message: &str) -> String {
    let found = app.get(&format!("/devices/{id}/messages/{message}")).await.ok();
    found["data"]["status"].as_str().unwrap().to_owned()
}

async fn schedule(app: &TestApp, id: &str, to: &str, in_ms: i64) -> String {
    let body = json!({ "to": to, "text": "later", "sendAt": app.clock.now().plus(in_ms).0 });
    let reply = app.post(&format!("/devices/{id}/messages/send"), body).await.created();
    reply["data"]["id"].as_str().unwrap().to_owned()
}

async fn sent_to_network(app: &TestApp, id: &str) -> usize {
    let network = app.get(&format!("/simulator/{id}/network")).await.ok();
    network["data"]["sent"].as_array().unwrap().len()
}

// covers: GET /queue/status
// covers: PUT /queue/config
// covers: GET /devices/{id}/queue-status
#[tokio::test]
async fn a_limit_holds_the_queue_back_and_says_so() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let fleet = configure(&app, json!({ "messagesPerMinute": 1 })).await;
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
async fn limits_hold_over_a_restart() {
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
async fn pauses_are_kept_between_messages_as_the_network_sees_them() {
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
    // A message takes a moment from leaving to being noted there.
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= 70), "{at:?}");
}

#[tokio::test]
async fn a_burst_is_not_granted_anew_by_a_restart() {
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
async fn nothing_leaves_in_quiet_hours_however_urgent() {
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
async fn only_so_many_new_chats_are_opened_in_a_day() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", "15550100009", "hello").await;
    configure(&app, json!({ "newChatsPerDay": 1 })).await;
    let first = app.send("shop", ANNA, "nice to meet you").await;
    app.wait_for_status("shop", &first, "read").await;
    let stranger = app.send("shop", BEN, "you too").await;
    wait_until_held(&app, "shop", "new_chats_per_day").await;
    for known in [ANNA, "15550100009"] {
        let id = app.send("shop", known, "as I said").await;
        app.wait_for_status("shop", &id, "read").await;
    }
    let app = app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    wait_until_held(&app, "shop", "new_chats_per_day").await;
    assert_eq!(status_of(&app, "shop", &stranger).await, "queued");
    app.incoming("shop", BEN, "who are you?").await;
    configure(&app, json!({ "typingDelay": 0 })).await;
    app.wait_for_status("shop", &stranger, "read").await;
}

// covers: POST /queue/clear
#[tokio::test]
async fn what_waits_is_cancelled_and_told() {
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
    assert_eq!(health["data"]["metrics"]["successRate"], 100.0, "what an operator cancels is no failure");
    app.post("/devices/shop/start", json!({})).await.ok();
    let next = app.send("shop", ANNA, "four").await;
    app.wait_for_status("shop", &next, "read").await;
    assert_eq!(sent_to_network(&app, "shop").await, 1);
}

#[tokio::test]
async fn a_cleared_queue_makes_room_at_once() {
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

#[tokio::test]
async fn one_message_is_cancelled_while_it_waits() {
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
async fn a_message_is_cancelled_while_typing_is_shown() {
    let app = TestApp::start().await;
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
async fn what_may_have_arrived_is_never_cancelled() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__RETRY_DELAY_MS", "60000")]).await;
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "send_unknown", "value": "lost" })).await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "sending").await;
    app.wait_until("the try to end", async || {
        (app.get("/queue/status").await.ok()["data"]["totals"]["underWay"] == 1).then_some(())
    })
    .await;
    app.post(&format!("/devices/shop/messages/{id}/cancel"), json!({})).await.refused(409, "not_queued");
    let cleared = app.post("/queue/clear", json!({})).await.ok();
    assert_eq!(cleared["data"]["cancelled"], 0);
    assert_eq!(status_of(&app, "shop", &id).await, "sending");
}

#[tokio::test]
async fn a_message_for_later_survives_a_restart_and_can_be_cancelled_after_it() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let due = app.clock.now().plus(HOUR).0;
    let kept = schedule(&app, "shop", ANNA, HOUR).await;
    let dropped = schedule(&app, "shop", BEN, HOUR).await;
    let app = app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    let queue = wait_until_held(&app, "shop", "schedule").await;
    assert_eq!(queue["scheduled"], 2);
    app.post(&format!("/devices/shop/messages/{dropped}/cancel"), json!({})).await.ok();
    advance(&app, HOUR).await;
    app.wait_for_status("shop", &kept, "read").await;
    let network = app.get("/simulator/shop/network").await.ok();
    let sent = network["data"]["sent"].as_array().unwrap();
    assert_eq!(sent.len(), 1);
    assert!(sent[0]["at"].as_i64().unwrap() >= due);
}

// covers: POST /devices/{id}/warmup
#[tokio::test]
async fn a_warm_up_lowers_the_limits_from_day_to_day() {
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
    assert_eq!(again["data"]["warmupPhase"], "day 3 of 7", "one that runs goes on");
    let ended = app.post("/devices/shop/warmup", json!({ "enabled": false })).await.ok();
    assert_eq!(
        (&ended["data"]["warmupPhase"], &ended["data"]["config"]["warmup"]),
        (&Value::Null, &Value::Null)
    );
    let health = app.get("/devices/shop/health").await.ok();
    assert_eq!(health["data"]["metrics"]["warmupPhase"], Value::Null);
    let started = app.post("/devices/shop/warmup", json!({})).await.ok();
    assert_eq!(started["data"]["warmupPhase"], "day 1 of 14", "a body is not needed");
}

// covers: GET /queue/status
// covers: POST /queue/clear
// covers: PUT /queue/config
// covers: POST /devices/{id}/warmup
#[tokio::test]
async fn a_key_for_one_device_sees_and_changes_no_other_queue() {
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
async fn what_cannot_be_is_named() {
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
    assert_eq!(queue_of(&app, "shop").await["config"]["minDelay"], 0, "of all named devices, or of none");
    named(&app.post("/queue/clear", json!({ "status": "sent" })).await, "status");
    named(&app.post("/queue/clear", json!({ "chatId": "?" })).await, "chatId");
    app.post("/queue/clear", json!({ "deviceIds": ["nowhere"] })).await.refused(404, "device_not_found");
    named(&app.post("/devices/shop/warmup", json!({ "days": 0 })).await, "days");
    named(&app.post("/devices/shop/warmup", json!({ "enabled": "yes" })).await, "enabled");
    app.post("/devices/nowhere/warmup", json!({})).await.refused(404, "device_not_found");
}

#[tokio::test]
async fn what_a_file_sets_the_queue_configuration_cannot_change() {
    let app = TestApp::start().await;
    std::fs::create_dir_all(app.devices_dir()).unwrap();
    let text = "id = 'shop'\n[settings.outbox]\nmessagesPerDay = 50\nwarmup = { days = 3 }\n";
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
