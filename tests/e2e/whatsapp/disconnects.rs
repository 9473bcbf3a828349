//! Connections that the network, the account or a fault ends, and the recovery from that.

use std::time::Duration;

use serde_json::{Value, json};

use super::Native;
use crate::support::ANNA;

async fn linked() -> Native {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    native
}

async fn reasons(native: &Native) -> Vec<Value> {
    let states = native.app.logged("shop", "state").await;
    states.into_iter().map(|state| state["reason"].clone()).collect()
}

/// Whether the network has unconfirmed stanzas for the device.
async fn waits(native: &Native) -> bool {
    let network = native.app.get("/simulator/shop/network").await.ok();
    network["data"]["waiting"].as_u64().unwrap() > 0
}

/// The device fails with this reason, and works after the fault was cleared and the device started.
async fn fails_and_starts_again(fault: Value, reason: &str) {
    let native = linked().await;
    native.app.fault("shop", fault).await;
    let failed = native.app.wait_for_state("shop", "failed").await;
    assert_eq!(failed["reason"], reason, "{failed}");
    native.app.fault("shop", json!({ "kind": "heal" })).await;
    native.app.post("/devices/shop/start", json!({})).await.ok();
    native.app.wait_for_state("shop", "ready").await;
    let id = native.app.send("shop", ANNA, "back").await;
    native.app.wait_for_status("shop", &id, "read").await;
    Box::pin(native.stop()).await;
}

#[tokio::test]
async fn logout_unlinks_device_from_phone() {
    let native = linked().await;
    native.app.post("/devices/shop/logout", json!({})).await.ok();
    let out = native.app.wait_for_state("shop", "logged_out").await;
    assert_eq!(out["phoneNumber"], Value::Null);
    let hello = json!({ "from": ANNA, "body": "anybody there?" });
    native.app.post("/simulator/shop/incoming", hello).await.refused(422, "not_linked");
    native.app.post("/devices/shop/start", json!({})).await.ok();
    native.app.wait_for_state("shop", "qr").await;
    native.app.post("/simulator/shop/scan", json!({})).await.ok();
    native.app.wait_for_state("shop", "ready").await;
    native.stop().await;
}

#[tokio::test]
async fn second_connection_ends_device_as_replaced() {
    fails_and_starts_again(json!({ "kind": "replace_stream" }), "stream_replaced").await;
}

#[tokio::test]
async fn temporary_ban_fails_device_until_restart() {
    fails_and_starts_again(json!({ "kind": "ban", "value": "temporary" }), "temporary_ban").await;
}

#[tokio::test]
async fn outdated_client_fails_with_reason() {
    fails_and_starts_again(json!({ "kind": "client_outdated" }), "client_outdated").await;
}

#[tokio::test]
async fn refused_message_fails_with_code() {
    let native = linked().await;
    native.app.fault("shop", json!({ "kind": "send_permanent", "value": 463 })).await;
    let id = native.app.send("shop", ANNA, "hello").await;
    native.app.wait_for_status("shop", &id, "failed").await;
    let steps = native.app.logged("shop", "message:status").await;
    let last = steps.last().unwrap();
    assert_eq!(last["code"], "reach_out_limited", "{last}");
    let id = native.app.send("shop", ANNA, "again").await;
    native.app.wait_for_status("shop", &id, "read").await;
    native.stop().await;
}

#[tokio::test]
async fn pairing_code_links_and_wrong_code_does_not() {
    let native = Native::start().await;
    native.new_device("shop", json!({})).await;
    let ask = json!({ "phoneNumber": "15550100042" });
    let code = native.app.post("/devices/shop/pairing-code", ask).await.ok()["data"]["code"].clone();
    let wrong = if code == "AAAA-AAAA" { "BBBB-BBBB" } else { "AAAA-AAAA" };
    let refused = native.app.post("/simulator/shop/pair", json!({ "code": wrong })).await;
    assert_eq!(refused.status, 422);
    native.app.post("/simulator/shop/pair", json!({ "code": code })).await.ok();
    assert_eq!(native.app.wait_for_state("shop", "ready").await["phoneNumber"], "15550100042");
    native.stop().await;
}

#[tokio::test]
async fn engine_panic_fails_one_device_which_recovers() {
    let native = linked().await;
    native.app.fault("shop", json!({ "kind": "panic" })).await;
    native
        .app
        .wait_until("the device to recover", async || {
            (native.app.logged("shop", "ready").await.len() == 2).then_some(())
        })
        .await;
    assert!(reasons(&native).await.contains(&json!("engine_panicked")));
    let id = native.app.send("shop", ANNA, "still here").await;
    native.app.wait_for_status("shop", &id, "read").await;
    native.stop().await;
}

#[tokio::test]
async fn unstored_message_is_requested_again() {
    let native = linked().await;
    // The phone's messages to a new companion arrive first.
    native.app.wait_until("quiet", async || (!waits(&native).await).then_some(())).await;
    native.app.fault("shop", json!({ "kind": "copy_not_stored" })).await;
    let missed = async {
        let hello = json!({ "from": ANNA, "body": "almost lost" });
        native.app.post("/simulator/shop/incoming", hello).await.ok();
    };
    let link_lost = async {
        native
            .app
            .wait_until("the message to be on its way", async || waits(&native).await.then_some(()))
            .await;
        // It arrives after the other; sending stores the keys of received messages.
        native.app.incoming("shop", ANNA, "not lost").await;
        let id = native.app.send("shop", ANNA, "hello").await;
        native.app.wait_for_status("shop", &id, "sent").await;
        native.app.fault("shop", json!({ "kind": "drop_link" })).await;
    };
    tokio::join!(missed, link_lost);
    let received = native.app.logged("shop", "message").await;
    let bodies = received.iter().map(|received| received["message"]["body"].as_str().unwrap());
    assert_eq!(bodies.filter(|body| *body == "almost lost").count(), 1, "{received:?}");
    let network = native.app.get("/simulator/shop/network").await.ok();
    let receipts = network["data"]["receipts"].as_array().unwrap();
    assert!(receipts.iter().any(|receipt| receipt["type"] == "retry"), "{receipts:?}");
    native.stop().await;
}

#[tokio::test]
async fn message_during_short_stall_is_sent_once() {
    let native = linked().await;
    native.app.fault("shop", json!({ "kind": "stall", "durationMs": 1_000 })).await;
    let id = native.app.send("shop", ANNA, "into the silence").await;
    native.app.wait_for_status("shop", &id, "read").await;
    let network = native.app.get("/simulator/shop/network").await.ok();
    assert_eq!(network["data"]["sent"].as_array().unwrap().len(), 1, "{network}");
    assert!(!reasons(&native).await.contains(&json!("keepalive_timeout")));
    native.stop().await;
}

#[tokio::test]
async fn slow_silent_network_is_reconnected() {
    let native = linked().await;
    native.app.fault("shop", json!({ "kind": "stall", "durationMs": 600_000 })).await;
    let back = async {
        while native.app.logged("shop", "ready").await.len() < 2 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), back).await.unwrap();
    let id = native.app.send("shop", ANNA, "found").await;
    native.app.wait_for_status("shop", &id, "read").await;
    native.stop().await;
}
