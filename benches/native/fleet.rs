//! Links many devices and waits until they are ready.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::process::Http;

/// Devices that are linked concurrently.
const AT_ONCE: usize = 8;
const READY_WITHIN: Duration = Duration::from_secs(600);

/// Creates and links this many devices and waits until all are ready.
pub async fn link(http: &Http, count: u32) {
    stream::iter(0..count).for_each_concurrent(AT_ONCE, async |n| one(http, n).await).await;
    all_ready(http, count).await;
}

async fn one(http: &Http, n: u32) {
    let id = format!("d{n:04}");
    let settings = json!({ "whatsapp": { "testbed": { "contacts": 0 } } });
    let body = json!({ "id": id, "engine": "whatsapp", "settings": settings });
    http.post("devices", &body).await.unwrap().expect("create a device");
    let deadline = Instant::now() + READY_WITHIN;
    while http.get(&format!("devices/{id}")).await.unwrap().text("/state") != Some("qr") {
        assert!(Instant::now() < deadline, "{id} shows no code");
        sleep(Duration::from_millis(20)).await;
    }
    http.post(&format!("simulator/{id}/scan"), &json!({})).await.unwrap().expect("scan");
}

/// Waits until this many devices are ready.
pub async fn all_ready(http: &Http, count: u32) {
    let deadline = Instant::now() + READY_WITHIN;
    while ready(http).await < u64::from(count) {
        assert!(Instant::now() < deadline, "the devices did not become ready");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn ready(http: &Http) -> u64 {
    let stats = http.get("stats").await.unwrap();
    stats.data().pointer("/devicesByState/ready").and_then(Value::as_u64).unwrap_or(0)
}
