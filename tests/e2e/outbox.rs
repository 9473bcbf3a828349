//! The outbox: retries, order, limits and unknown outcomes between `queued` and `sent`.

use serde_json::{Value, json};

use crate::support::{ANNA, BEN, TestApp};

async fn sent_bodies(app: &TestApp, to: &str) -> Vec<String> {
    let network = app.get("/simulator/shop/network").await.ok();
    let sent = network["data"]["sent"].as_array().unwrap();
    let mut sent: Vec<&Value> = sent.iter().filter(|m| m["to"] == format!("{to}@c.us")).collect();
    sent.sort_by_key(|m| m["at"].as_i64());
    sent.iter().map(|m| m["body"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn transient_failure_is_retried_with_same_id() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "send_transient", "count": 2 })).await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "read").await;
    assert_eq!(app.steps("shop", &id).await, ["queued", "sending", "sent", "delivered", "read"]);
    let network = app.get("/simulator/shop/network").await.ok();
    assert!(id.ends_with(network["data"]["sent"][0]["networkId"].as_str().unwrap()));
}

// covers: ack -1 error
#[tokio::test]
async fn permanent_failure_states_reason() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "send_permanent" })).await;
    let id = app.send("shop", ANNA, "hello").await;
    let failed = app.wait_for_status("shop", &id, "failed").await;
    assert_eq!(failed["ack"], -1);
    let steps = app.logged("shop", "message:status").await;
    let last = steps.last().unwrap();
    assert!(last["error"].as_str().is_some() && last["code"].as_str().is_some(), "{last}");
}

#[tokio::test]
async fn endless_transient_failures_end_after_last_attempt() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__MAX_ATTEMPTS", "3")]).await;
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "send_transient", "count": 100 })).await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "failed").await;
}

#[tokio::test]
async fn unknown_outcome_is_resent_and_shown_once() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.deduplicates), "deduplication of sends");
    app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    app.fault("shop", json!({ "kind": "send_unknown", "count": 2 })).await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "sent").await;
    let network = app.get("/simulator/shop/network").await.ok();
    let sent = &network["data"]["sent"][0];
    assert_eq!((&sent["shown"], sent["arrivals"] == 3), (&json!(1), true), "{sent}");
}

#[tokio::test]
async fn messages_keep_order_per_chat() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "send_transient", "count": 5 })).await;
    let mut last = String::new();
    for n in 0..20 {
        last = app.send("shop", if n % 2 == 0 { ANNA } else { BEN }, &format!("{n:02}")).await;
    }
    app.wait_for_status("shop", &last, "read").await;
    app.wait_until("all to be sent", async || (sent_bodies(&app, ANNA).await.len() == 10).then_some(()))
        .await;
    for to in [ANNA, BEN] {
        let bodies = sent_bodies(&app, to).await;
        assert!(bodies.len() == 10 && bodies.is_sorted(), "{bodies:?}");
    }
}

#[tokio::test]
async fn messages_wait_for_offline_device() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let id = app.send("shop", ANNA, "hello").await;
    let status = app.get(&format!("/devices/shop/messages/{id}")).await.ok();
    assert_eq!(status["data"]["status"], "queued");
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_status("shop", &id, "read").await;
}

#[tokio::test]
async fn scheduled_message_waits_and_others_pass() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let send_at = now_ms(&app) + 1_000;
    let body = json!({ "to": ANNA, "text": "later", "sendAt": send_at });
    let later = app.post("/devices/shop/messages/send", body).await.created();
    let now = app.send("shop", ANNA, "now").await;
    app.wait_for_status("shop", &now, "read").await;
    app.wait_for_status("shop", later["data"]["id"].as_str().unwrap(), "read").await;
    assert_eq!(sent_bodies(&app, ANNA).await, ["now", "later"]);
    let network = app.get("/simulator/shop/network").await.ok();
    let at = network["data"]["sent"].as_array().unwrap().iter().find(|m| m["body"] == "later").unwrap()["at"]
        .as_i64();
    assert!(at >= Some(send_at), "{at:?} < {send_at}");
}

fn now_ms(app: &TestApp) -> i64 {
    use wharf::domain::clock::Clock as _;
    app.clock.now().0
}

// covers: rest 429 with Retry-After
#[tokio::test]
async fn full_outbox_answers_429() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__MAX_QUEUED", "2")]).await;
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    for _ in 0..2 {
        app.send("shop", ANNA, "hello").await;
    }
    let reply = app.post("/devices/shop/messages/send", json!({ "to": ANNA, "text": "hello" })).await;
    reply.refused(429, "outbox_full");
    assert!(!reply.header("retry-after").is_empty());
}

#[tokio::test]
async fn urgent_messages_overtake_other_chats() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__IN_FLIGHT", "1")]).await;
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.send("shop", ANNA, "normal").await;
    let body = json!({ "to": BEN, "text": "urgent", "priority": "high" });
    app.post("/devices/shop/messages/send", body).await.created();
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_until("both to be sent", async || {
        let network = app.get("/simulator/shop/network").await.ok();
        let mut sent = network["data"]["sent"].as_array().unwrap().clone();
        sent.sort_by_key(|m| m["at"].as_i64());
        (sent.len() == 2).then(|| assert_eq!(sent[0]["body"], "urgent"))
    })
    .await;
}

#[tokio::test]
async fn queued_message_is_not_sent_from_other_account() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.qr), "linking by QR code");
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let id = app.send("shop", ANNA, "from the first account").await;
    app.post("/devices/shop/logout", json!({})).await.ok();
    app.wait_for_status("shop", &id, "failed").await;
    let steps = app.logged("shop", "message:status").await;
    assert_eq!(steps.last().unwrap()["code"], "logged_out");
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "qr").await;
    app.post("/simulator/shop/scan", json!({ "phoneNumber": "15550109999" })).await.ok();
    app.wait_for_state("shop", "ready").await;
    let later = app.send("shop", ANNA, "from the second").await;
    app.wait_for_status("shop", &later, "read").await;
    assert_eq!(sent_bodies(&app, ANNA).await, ["from the second"]);
}

#[tokio::test]
async fn possibly_sent_message_survives_transient_failures() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__MAX_ATTEMPTS", "2")]).await;
    skip_unless!(app.can(|engine| engine.deduplicates), "deduplication of sends");
    app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    app.fault("shop", json!({ "kind": "send_unknown", "count": 3 })).await;
    app.fault("shop", json!({ "kind": "send_transient", "count": 1 })).await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "sent").await;
    assert_eq!(sent_bodies(&app, ANNA).await, ["hello"]);
}

#[tokio::test]
async fn logout_does_not_mark_unknown_send_as_unsent() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__RETRY_DELAY_MS", "60000")]).await;
    // An upstream that retries by itself reports the result soon.
    skip_unless!(
        app.can(|engine| engine.deduplicates) && app.reports_failed_attempts(),
        "deduplication of sends and reports of failed attempts"
    );
    app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    app.fault("shop", json!({ "kind": "send_unknown" })).await;
    let left = app.send("shop", ANNA, "hello").await;
    app.wait_until("a copy to arrive", async || (sent_bodies(&app, ANNA).await.len() == 1).then_some(()))
        .await;
    let waits = app.send("shop", ANNA, "and again").await;
    app.post("/devices/shop/logout", json!({})).await.ok();
    app.wait_for_status("shop", &left, "failed").await;
    let steps = app.logged("shop", "message:status").await;
    let end = |id: &str| {
        let step = steps.iter().find(|s| s["messageId"] == id && s["status"] == "failed").unwrap();
        (step["code"].as_str().unwrap().to_owned(), step["error"].as_str().unwrap().to_owned())
    };
    let (code, sentence) = end(&left);
    assert_eq!(code, "outcome_unknown");
    assert!(!sentence.contains("before it was sent"), "{sentence}");
    assert_eq!(end(&waits).0, "logged_out");
}
