//! The devices of these tests, and how they are made and found at rest.
//!
//! `WHARF_TEST_ENGINE=whatsapp` puts the native engine on a testbed in the place of the simulator. The testbed
//! lives in the test, and outlives the daemons that are killed.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::Testbed;
use tokio::time::{Instant, sleep};

use crate::process::{Http, Place};

/// A group that the group device is in.
pub const GROUP: &str = "120363000000000001@g.us";

/// A data directory whose daemons come back fast and give nothing up.
pub async fn place() -> Place {
    let place = Place::new();
    let place = if native() { beside_a_testbed(place).await } else { place };
    place
        .with("supervisor.backoff_initial_ms", "10")
        .with("supervisor.backoff_max_ms", "100")
        .with("supervisor.start_ramp_per_second", "1000")
        .with("supervisor.panics_before_failed", "1000000")
        .with("outbox.retry_delay_ms", "20")
        .with("outbox.max_attempts", "1000000")
        .with("log.level", "info")
}

/// Whether the devices are of the native engine.
pub fn native() -> bool {
    match std::env::var("WHARF_TEST_ENGINE").as_deref() {
        Err(_) | Ok("simulator") => false,
        Ok("whatsapp") => true,
        Ok(other) => panic!("WHARF_TEST_ENGINE is {other:?}, must be \"simulator\" or \"whatsapp\""),
    }
}

/// A testbed for the native devices of these daemons.
pub async fn beside_a_testbed(place: Place) -> Place {
    let testbed = Testbed::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", testbed.address());
    place.with("engines.whatsapp.testbed_url", &url).beside(testbed)
}

/// Settings of a device whose phone scans at once, in a world that behaves so.
pub fn simulated(mut world: Value) -> Value {
    if native() {
        return json!({ "whatsapp": { "testbed": world } });
    }
    world["autoScanMs"] = json!(1);
    json!({ "simulator": world })
}

/// A device whose network answers at once and whose contacts read at once.
pub fn quick() -> Value {
    simulated(json!({ "ackServerMs": 0, "ackDeviceMs": 1, "ackReadMs": 2 }))
}

/// Creates a device and waits until it can send and receive.
pub async fn create(http: &Http, id: &str, settings: &Value) {
    if native() {
        return link(http, id, settings).await;
    }
    let body = json!({ "id": id, "engine": "simulator", "settings": settings });
    http.post("devices", &body).await.unwrap().expect("create a device");
    until_ready(http, id).await;
}

/// The same with the native engine: one of the testbed's phones scans its code.
pub async fn link(http: &Http, id: &str, settings: &Value) {
    let body = json!({ "id": id, "engine": "whatsapp", "settings": settings });
    http.post("devices", &body).await.unwrap().expect("create a device");
    until_state(http, id, "qr").await;
    http.post(&format!("simulator/{id}/scan"), &json!({})).await.unwrap().expect("scan");
    until_ready(http, id).await;
}

/// Waits until a device can send and receive.
pub async fn until_ready(http: &Http, id: &str) {
    until_state(http, id, "ready").await;
}

async fn until_state(http: &Http, id: &str, state: &str) {
    until(&format!("the device is {state}"), Duration::from_secs(60), async || {
        http.get(&format!("devices/{id}")).await.is_ok_and(|answer| answer.text("/state") == Some(state))
    })
    .await;
}

/// Waits until nothing of a device waits to be sent.
pub async fn until_sent(http: &Http, id: &str, within: Duration) {
    let deadline = Instant::now() + within;
    while waiting(http, id).await != Some(0) {
        if Instant::now() >= deadline {
            let queue = http.get(&format!("devices/{id}/queue-status")).await.unwrap();
            let device = http.get(&format!("devices/{id}")).await.unwrap();
            panic!("after {within:?} {id} still has to send: {} {}", queue.body, device.body);
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn waiting(http: &Http, id: &str) -> Option<i64> {
    let answer = http.get(&format!("devices/{id}/queue-status")).await.unwrap();
    answer.data().pointer("/queue/queuedMessages").and_then(Value::as_i64)
}

/// Waits until something holds.
pub async fn until(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !holds().await {
        assert!(Instant::now() < deadline, "after {within:?} still not: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
