//! Connections that the network ends.

use serde_json::json;

use super::Native;

#[tokio::test]
async fn removed_device_is_logged_out_and_can_relink() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    native.app.fault("shop", json!({ "kind": "log_out" })).await;
    let device = native.app.wait_for_state("shop", "logged_out").await;
    assert_eq!(device["reason"], "logged_out_on_phone", "{device}");
    native.app.post("/devices/shop/start", json!({})).await.ok();
    native.app.wait_for_state("shop", "qr").await;
    native.stop().await;
}

#[tokio::test]
async fn lost_link_reconnects() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    native.app.fault("shop", json!({ "kind": "drop_link" })).await;
    native
        .app
        .wait_until("the device to lose its link and come back", async || {
            let states = native.app.logged("shop", "state").await;
            let states: Vec<_> = states.iter().filter_map(|s| s["state"].as_str()).collect();
            (states.contains(&"reconnecting") && states.last() == Some(&"ready")).then_some(())
        })
        .await;
    native.stop().await;
}
