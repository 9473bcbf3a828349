//! No message is lost or delivered twice, whichever side is stopped or disconnected in between.

use std::time::Duration;

use serde_json::json;

use super::Chain;
use crate::support::ANNA;

#[tokio::test]
async fn messages_from_a_stop_of_the_front_are_backfilled() {
    let mut chain = Chain::start().await;
    chain.device("shop").await;
    chain.writes("shop", ANNA, "one").await;
    chain.received("shop", 1).await;
    let id = chain.front.send("shop", ANNA, "sent before").await;
    chain.front.wait_for_status("shop", &id, "read").await;
    chain.front = chain.front.restarted().await;
    chain.front.wait_for_state("shop", "ready").await;
    chain.front.post("/devices/shop/stop", json!({})).await.ok();
    for body in ["two", "three"] {
        chain.writes("shop", ANNA, body).await;
    }
    let waits = chain.front.send("shop", ANNA, "sent meanwhile").await;
    chain.front.post("/devices/shop/start", json!({})).await.ok();
    assert_eq!(chain.received("shop", 3).await, ["one", "two", "three"]);
    chain.front.wait_for_status("shop", &waits, "read").await;
    assert!(chain.shown("shop").await.iter().all(|(_, shown)| *shown == 1));
}

#[tokio::test]
async fn unreachable_upstream_is_retried_until_it_answers() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    chain.writes("shop", ANNA, "one").await;
    chain.received("shop", 1).await;
    chain.link.cut().await;
    chain
        .front
        .wait_until("the front to lose its link", async || {
            (chain.reason("shop").await == "upstream_unavailable").then_some(())
        })
        .await;
    let id = chain.front.send("shop", ANNA, "sent meanwhile").await;
    for body in ["two", "three"] {
        chain.writes("shop", ANNA, body).await;
    }
    chain.link.restore().await;
    chain.front.wait_for_state("shop", "ready").await;
    chain.front.wait_for_status("shop", &id, "read").await;
    assert_eq!(chain.received("shop", 3).await, ["one", "two", "three"]);
    assert_eq!(chain.shown("shop").await, [("sent meanwhile".to_owned(), 1)]);
}

#[tokio::test]
async fn repeated_connection_loss_loses_and_doubles_nothing() {
    let chain = Chain::start().await;
    chain.device_with("shop", json!({ "ackServerMs": 30 })).await;
    let mut sent = Vec::new();
    for round in 0..8 {
        sent.push(chain.front.send("shop", ANNA, &format!("out {round}")).await);
        chain.writes("shop", ANNA, &format!("in {round}")).await;
        // The connection breaks at another moment of a send in each round.
        tokio::time::sleep(Duration::from_millis(round * 7)).await;
        chain.link.cut().await;
        chain.link.restore().await;
    }
    for id in &sent {
        chain.front.wait_for_status("shop", id, "read").await;
    }
    let received = chain.received("shop", 8).await;
    assert_eq!(received, (0..8).map(|round| format!("in {round}")).collect::<Vec<_>>());
    let mut shown = chain.shown("shop").await;
    shown.sort();
    assert_eq!(shown, (0..8).map(|round| (format!("out {round}"), 1)).collect::<Vec<_>>());
}

#[tokio::test]
async fn repeated_link_loss_loses_and_doubles_nothing() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    let mut sent = Vec::new();
    for round in 0..6 {
        chain.writes("shop", ANNA, &format!("in {round}")).await;
        sent.push(chain.front.send("shop", ANNA, &format!("out {round}")).await);
        if round % 2 == 0 {
            chain.back.post("/simulator/shop/fault", json!({ "kind": "drop_link" })).await;
        }
    }
    for id in &sent {
        chain.front.wait_for_status("shop", id, "read").await;
    }
    let received = chain.received("shop", 6).await;
    assert_eq!(received, (0..6).map(|round| format!("in {round}")).collect::<Vec<_>>());
    let mut shown = chain.shown("shop").await;
    shown.sort();
    assert_eq!(shown, (0..6).map(|round| (format!("out {round}"), 1)).collect::<Vec<_>>());
}

#[tokio::test]
async fn missing_log_entries_are_backfilled_from_chats() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    chain.writes("shop", ANNA, "one").await;
    chain.received("shop", 1).await;
    let id = chain.front.send("shop", ANNA, "ours").await;
    chain.front.wait_for_status("shop", &id, "read").await;
    chain.front.post("/devices/shop/stop", json!({})).await.ok();
    for body in ["two", "three"] {
        chain.writes("shop", ANNA, body).await;
    }
    chain.back.stop().await;
    chain.back.database("DELETE FROM events");
    chain.back.start_again().await;
    chain
        .front
        .wait_until("the upstream's device to be ready", async || {
            (chain.back.get("/devices/shop").await["data"]["state"] == "ready").then_some(())
        })
        .await;
    chain.front.post("/devices/shop/start", json!({})).await.ok();
    assert_eq!(chain.received("shop", 3).await, ["one", "two", "three"]);
    chain.writes("shop", ANNA, "four").await;
    assert_eq!(chain.received("shop", 4).await, ["one", "two", "three", "four"]);
    let page = chain.front.get(&format!("/devices/shop/chats/{ANNA}@c.us/messages")).await.ok();
    assert_eq!(page["pagination"]["total"], 5, "our own message is stored once");
}

#[tokio::test]
async fn changed_upstream_device_is_read_from_its_start() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    chain.writes("shop", ANNA, "one").await;
    chain.received("shop", 1).await;
    chain.back.device("till", &json!({ "autoScanMs": 0 })).await;
    chain
        .front
        .wait_until("the other device to be ready", async || {
            (chain.back.get("/devices/till").await["data"]["state"] == "ready").then_some(())
        })
        .await;
    chain.writes("till", ANNA, "before").await;
    chain.front.patch("/devices/shop", json!({ "settings": chain.settings("till") })).await.ok();
    chain.front.post("/devices/shop/restart", json!({})).await.ok();
    chain.front.wait_for_state("shop", "ready").await;
    let known = format!("/devices/shop/chats/{ANNA}@c.us/messages");
    chain
        .front
        .wait_until("its history to be stored", async || {
            (chain.front.get(&known).await.ok()["pagination"]["total"] == 2).then_some(())
        })
        .await;
    chain.writes("till", ANNA, "two").await;
    assert_eq!(chain.received("shop", 2).await, ["one", "two"], "history emits no message event");
}

#[tokio::test]
async fn upstream_without_log_is_polled() {
    let chain = Chain::start().await;
    chain
        .back
        .device("shop", &json!({ "autoScanMs": 0, "ackServerMs": 0, "ackDeviceMs": 10, "ackReadMs": 30 }))
        .await;
    let mut settings = chain.settings("shop");
    settings["remote"]["inbound"] = json!("poll");
    chain.make("shop", settings).await;
    chain.front.wait_for_state("shop", "ready").await;
    let id = chain.front.send("shop", ANNA, "ours").await;
    chain.front.wait_for_status("shop", &id, "read").await;
    chain.writes("shop", ANNA, "one").await;
    assert_eq!(chain.received("shop", 1).await, ["one"]);
    let page = chain.front.get(&format!("/devices/shop/chats/{ANNA}@c.us/messages")).await.ok();
    assert_eq!(page["pagination"]["total"], 2, "our own message is stored once");
}

#[tokio::test]
async fn device_stopped_at_the_upstream_is_not_restarted() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    chain.back.post("/devices/shop/stop", json!({})).await;
    chain.front.wait_for_state("shop", "failed").await;
    assert_eq!(chain.reason("shop").await, "stopped_by_operator");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(chain.back.get("/devices/shop").await["data"]["state"], "stopped");
    chain.front.post("/devices/shop/start", json!({})).await.ok();
    chain.front.wait_for_state("shop", "ready").await;
}
