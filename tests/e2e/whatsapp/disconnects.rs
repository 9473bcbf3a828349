//! Ends that the network, the account or a fault brings about, and what comes after them.

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

/// Whether the network has something for the device that it did not confirm.
async fn waits(native: &Native) -> bool {
    let network = native.app.get("/simulator/shop/network").await.ok();
    network["data"]["waiting"].as_u64().unwrap() > 0
}

/// The device is given up for this reason, and works once the fault is over and it is started again.
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
    native.stop().await;
}

#[tokio::test]
async fn a_log_out_from_here_unlinks_the_device_from_the_phone() {
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
async fn who_connects_elsewhere_with_the_same_keys_takes_the_place() {
    fails_and_starts_again(json!({ "kind": "replace_stream" }), "stream_replaced").await;
}

#[tokio::test]
async fn a_temporary_ban_stops_the_device_until_it_is_started_again() {
    fails_and_starts_again(json!({ "kind": "ban", "value": "temporary" }), "temporary_ban").await;
}

#[tokio::test]
async fn a_client_that_is_too_old_says_so() {
    fails_and_starts_again(json!({ "kind": "client_outdated" }), "client_outdated").await;
}

#[tokio::test]
async fn a_message_that_the_network_does_not_let_out_fails_with_what_to_do() {
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
async fn a_code_that_is_typed_on_the_phone_links_and_a_wrong_one_does_not() {
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
async fn a_panic_of_the_engine_is_the_devices_own_and_it_comes_back() {
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
async fn a_message_whose_key_was_used_before_it_was_stored_is_asked_for_again() {
    let native = linked().await;
    // What the phone tells a new companion comes first.
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
        // It comes after the other, and with what goes out the keys of what came in are stored.
        native.app.incoming("shop", ANNA, "not lost").await;
        let id = native.app.send("shop", ANNA, "hello").await;
        native.app.wait_for_status("shop", &id, "sent").await;
        native.app.fault("shop", json!({ "kind": "drop_link" })).await;
    };
    tokio::join!(missed, link_lost);
    let told = native.app.logged("shop", "message").await;
    let bodies = told.iter().map(|told| told["message"]["body"].as_str().unwrap());
    assert_eq!(bodies.filter(|body| *body == "almost lost").count(), 1, "{told:?}");
    let network = native.app.get("/simulator/shop/network").await.ok();
    let receipts = network["data"]["receipts"].as_array().unwrap();
    assert!(receipts.iter().any(|receipt| receipt["type"] == "retry"), "{receipts:?}");
    native.stop().await;
}

#[tokio::test]
async fn what_is_sent_while_the_network_is_silent_for_a_moment_goes_out_once() {
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
async fn slow_a_network_that_stays_silent_is_left_and_found_again() {
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
