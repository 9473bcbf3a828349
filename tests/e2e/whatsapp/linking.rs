//! A phone links a device, and the device comes back by itself.

use serde_json::json;

use super::{ME, Native};

#[tokio::test]
async fn a_phone_scans_the_code_and_the_device_is_ready_and_stays_so_over_a_restart() {
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
