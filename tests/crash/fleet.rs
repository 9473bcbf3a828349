//! Creates the devices of these tests and waits until they are idle.
//!
//! `WHARF_TEST_ENGINE=whatsapp` replaces the simulator by the native engine on a testbed. The testbed runs in
//! the test and outlives the killed daemons.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::Testbed;
use tokio::time::{Instant, sleep};

use crate::process::{DaemonHome, Http};

/// A group with the group device as a member.
pub const GROUP: &str = "120363000000000001@g.us";

/// A data directory with short backoffs and unlimited retries.
pub async fn home() -> DaemonHome {
    let home = DaemonHome::new();
    let home = if native() { with_testbed(home).await } else { home };
    home.with("supervisor.backoff_initial_ms", "10")
        .with("supervisor.backoff_max_ms", "100")
        .with("supervisor.start_ramp_per_second", "1000")
        .with("supervisor.panics_before_failed", "1000000")
        .with("outbox.retry_delay_ms", "20")
        .with("outbox.max_attempts", "1000000")
        .with("log.level", "info")
}

/// Whether the devices use the native engine.
pub fn native() -> bool {
    match std::env::var("WHARF_TEST_ENGINE").as_deref() {
        Err(_) | Ok("simulator") => false,
        Ok("whatsapp") => true,
        Ok(other) => panic!("WHARF_TEST_ENGINE is {other:?}, must be \"simulator\" or \"whatsapp\""),
    }
}

/// Starts a testbed for the native devices of these daemons.
pub async fn with_testbed(home: DaemonHome) -> DaemonHome {
    let testbed = Testbed::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", testbed.address());
    home.with("engines.whatsapp.testbed_url", &url).keep_alive(testbed)
}

/// Settings of a device that is scanned at once, with these simulation settings.
pub fn simulated(mut world: Value) -> Value {
    if native() {
        return json!({ "whatsapp": { "testbed": world } });
    }
    world["autoScanMs"] = json!(1);
    json!({ "simulator": world })
}

/// A device with immediate server acknowledgements and read receipts.
pub fn quick() -> Value {
    simulated(json!({ "ackServerMs": 0, "ackDeviceMs": 1, "ackReadMs": 2 }))
}

/// Creates a device and waits until it is ready.
pub async fn create(http: &Http, id: &str, settings: &Value) {
    if native() {
        return link(http, id, settings).await;
    }
    let body = json!({ "id": id, "engine": "simulator", "settings": settings });
    http.post("devices", &body).await.unwrap().expect("create a device");
    until_ready(http, id).await;
}

/// Creates a native device and scans its code with one of the testbed's phones.
pub async fn link(http: &Http, id: &str, settings: &Value) {
    let body = json!({ "id": id, "engine": "whatsapp", "settings": settings });
    http.post("devices", &body).await.unwrap().expect("create a device");
    until_state(http, id, "qr").await;
    http.post(&format!("simulator/{id}/scan"), &json!({})).await.unwrap().expect("scan");
    until_ready(http, id).await;
}

/// Waits until a device is ready.
pub async fn until_ready(http: &Http, id: &str) {
    until_state(http, id, "ready").await;
}

async fn until_state(http: &Http, id: &str, state: &str) {
    until(&format!("the device is {state}"), Duration::from_secs(60), async || {
        http.get(&format!("devices/{id}")).await.is_ok_and(|answer| answer.text("/state") == Some(state))
    })
    .await;
}

/// Waits until the outbox of a device is empty.
pub async fn until_sent(http: &Http, id: &str, within: Duration) {
    let deadline = Instant::now() + within;
    while waiting(http, id).await != Some(0) {
        if Instant::now() >= deadline {
            let queue = http.get(&format!("devices/{id}/queue-status")).await.unwrap();
            let device = http.get(&format!("devices/{id}")).await.unwrap();
            panic!("after {within:?} {id} still has queued messages: {} {}", queue.body, device.body);
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn waiting(http: &Http, id: &str) -> Option<i64> {
    let answer = http.get(&format!("devices/{id}/queue-status")).await.unwrap();
    answer.data().pointer("/queue/queuedMessages").and_then(Value::as_i64)
}

/// Waits until a condition holds.
pub async fn until(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !holds().await {
        assert!(Instant::now() < deadline, "timed out after {within:?} waiting for {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
