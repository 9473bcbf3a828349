//! Linking, and reconnecting after a restart.

use serde_json::json;

use super::{ME, Native};
use crate::support::ANNA;

#[tokio::test]
async fn scanned_device_is_ready_and_survives_restart() {
    let native = Native::start().await;
    let device = native.device("shop", json!({})).await;
    assert_eq!(device["phoneNumber"], ME);
    let states = native.app.logged("shop", "state").await;
    let states: Vec<_> = states.iter().map(|s| s["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["connecting", "qr", "pairing", "ready"]);

    let Native { app, testbed } = native;
    let app = app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    assert_eq!(app.logged("shop", "qr").await.len(), 1, "no code was shown again");
    app.stop().await;
    testbed.stop().await;
}

#[tokio::test]
async fn incomplete_link_shows_new_code() {
    let native = Native::start().await;
    native.new_device("shop", json!({})).await;
    let account = native.testbed.world().directory.get_or_create(ME).unwrap();
    account.lose_signature();
    let scan = json!({ "phoneNumber": ME });
    native.app.post("/simulator/shop/scan", scan.clone()).await.refused(422, "testbed_refused");
    native
        .app
        .wait_until("a second code", async || {
            (native.app.logged("shop", "qr").await.len() == 2).then_some(())
        })
        .await;
    let states = native.app.logged("shop", "state").await;
    let states: Vec<_> =
        states.iter().map(|s| (s["state"].as_str().unwrap(), s["reason"].as_str())).collect();
    let after = [("pairing", None), ("connecting", Some("link_incomplete")), ("qr", None)];
    assert_eq!(states[2..], after, "{states:?}");
    native.app.wait_for_state("shop", "qr").await;
    native.app.post("/simulator/shop/scan", scan).await.ok();
    assert_eq!(native.app.wait_for_state("shop", "ready").await["phoneNumber"], ME);
    native.stop().await;
}

#[tokio::test]
async fn restart_during_incomplete_link_shows_new_code() {
    let native = Native::start().await;
    native.new_device("shop", json!({})).await;
    let account = native.testbed.world().directory.get_or_create(ME).unwrap();
    account.lose_signature();
    // The network is unreachable until the restart, so that the refusal follows it.
    account.refuse_connections(1_000);
    native
        .app
        .post("/simulator/shop/scan", json!({ "phoneNumber": ME }))
        .await
        .refused(422, "testbed_refused");
    native.app.wait_for_state("shop", "connecting").await;
    let Native { app, testbed } = native;
    let app = app.restarted().await;
    account.refuse_connections(0);
    app.wait_until("a second code", async || (app.logged("shop", "qr").await.len() == 2).then_some(())).await;
    app.post("/simulator/shop/scan", json!({ "phoneNumber": ME })).await.ok();
    app.wait_for_state("shop", "ready").await;
    app.stop().await;
    testbed.stop().await;
}

/// The network does not answer the query for all groups.
#[tokio::test]
async fn device_is_ready_before_the_groups_are_listed() {
    let native = Native::start().await;
    let account = native.testbed.world().directory.get_or_create(ME).unwrap();
    account.lock().leaves_groups_unanswered = true;
    // Waits for less than the 20 s after which the query ends.
    native.device("shop", json!({ "contacts": [{ "id": ANNA, "name": "Anna" }] })).await;
    let message = native.app.send("shop", ANNA, "hello").await;
    native.app.wait_for_status("shop", &message, "delivered").await;
    native.stop().await;
}
