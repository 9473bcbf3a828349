//! Creates many simulated devices and counts their messages.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::process::{DaemonHome, Http};

/// Concurrent requests while devices are created.
const AT_ONCE: usize = 16;
const READY_WITHIN: Duration = Duration::from_secs(180);

/// The name of device number `n`.
pub fn name(n: u32) -> String {
    format!("d{n:04}")
}

/// Settings of a device that is scanned at once and idles afterwards, because its contacts read nothing.
pub fn settings(per_minute: u32) -> Value {
    json!({ "simulator": {
        "autoScanMs": 1, "ackServerMs": 5, "ackDeviceMs": 20, "ackReadMs": null,
        "trafficPerMinute": per_minute, "contacts": 10,
    } })
}

/// Creates devices 0 to `count` and waits until all are ready.
pub async fn create(http: &Http, count: u32, settings: &Value) {
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, async |n| {
            let body = json!({ "id": name(n), "engine": "simulator", "settings": settings });
            http.post("devices", &body).await.unwrap().expect("create a device");
        })
        .await;
    all_ready(http, count).await;
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

/// Messages received and sent so far, by one device or by all.
pub fn messages(home: &DaemonHome, only: Option<&str>) -> (i64, i64) {
    let connection = Connection::open_with_flags(home.database(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    let sql = "SELECT coalesce(sum(received), 0), coalesce(sum(sent), 0) FROM totals WHERE device_id = coalesce(?1, device_id)";
    connection.query_row(sql, [only], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}
