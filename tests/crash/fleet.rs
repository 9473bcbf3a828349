//! The simulated devices of these tests, and how they are made and found at rest.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::process::{Http, Place};

/// A group that the group device is in.
pub const GROUP: &str = "120363000000000001@g.us";

/// A data directory whose daemons come back fast and give nothing up.
pub fn place() -> Place {
    Place::new()
        .with("supervisor.backoff_initial_ms", "10")
        .with("supervisor.backoff_max_ms", "100")
        .with("supervisor.start_ramp_per_second", "1000")
        .with("supervisor.panics_before_failed", "1000000")
        .with("outbox.retry_delay_ms", "20")
        .with("outbox.max_attempts", "1000000")
        .with("log.level", "info")
}

/// Settings of a device whose phone scans at once.
pub fn simulated(mut simulator: Value) -> Value {
    simulator["autoScanMs"] = json!(1);
    json!({ "simulator": simulator })
}

/// A device whose network answers at once and whose contacts read at once.
pub fn quick() -> Value {
    simulated(json!({ "ackServerMs": 0, "ackDeviceMs": 1, "ackReadMs": 2 }))
}

/// Creates a device and waits until it can send and receive.
pub async fn create(http: &Http, id: &str, settings: &Value) {
    let body = json!({ "id": id, "engine": "simulator", "settings": settings });
    http.post("devices", &body).await.unwrap().expect("create a device");
    until_ready(http, id).await;
}

/// Waits until a device can send and receive.
pub async fn until_ready(http: &Http, id: &str) {
    until("the device is ready", Duration::from_secs(30), async || {
        http.get(&format!("devices/{id}")).await.is_ok_and(|answer| answer.text("/state") == Some("ready"))
    })
    .await;
}

/// Waits until nothing of a device waits to be sent.
pub async fn until_sent(http: &Http, id: &str, within: Duration) {
    until("the outbox is empty", within, async || {
        let answer = http.get(&format!("devices/{id}/queue-status")).await.unwrap();
        answer.data().pointer("/queue/queuedMessages").and_then(Value::as_i64) == Some(0)
    })
    .await;
}

/// Waits until something holds.
pub async fn until(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !holds().await {
        assert!(Instant::now() < deadline, "after {within:?} still not: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
