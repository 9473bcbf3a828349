//! Starts with many devices.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::fleet::{self, quick, until};
use crate::process::{DaemonHome, Http};

const DEVICES: usize = 1_000;
/// A loose bound for a debug build on a loaded machine; the bench measures exactly.
const START_WITHIN: Duration = Duration::from_secs(5);

/// Devices of the native engine on a testbed; the bench links a thousand.
const NATIVE: usize = 200;
const NATIVE_BACK_WITHIN: Duration = Duration::from_secs(30);
/// The bound for a thousand devices, also for a debug build.
const NATIVE_MOST_KIB: u64 = 512 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_thousand_devices_start_quickly() {
    let home = fleet::home().await;
    let daemon = home.start().await;
    let http = &daemon.http;
    stream::iter(0..DEVICES)
        .for_each_concurrent(16, async |n| {
            let body = json!({ "id": format!("d{n:04}"), "engine": "simulator", "settings": quick() });
            http.post("devices", &body).await.unwrap().expect("create a device");
        })
        .await;
    all_ready(http, DEVICES).await;
    daemon.stop().await;

    for _ in 0..3 {
        let daemon = home.start().await;
        let elapsed = daemon.age();
        eprintln!("a start with {DEVICES} devices answers after {elapsed:.0?}");
        assert!(elapsed < START_WITHIN, "{elapsed:?}");
        all_ready(&daemon.http, DEVICES).await;
        eprintln!("all of them are ready after {:.1?}", daemon.age());
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_native_devices_idle_in_bounded_memory_and_return() {
    let home = fleet::with_testbed(DaemonHome::new()).await;
    let daemon = home.start().await;
    let (http, settings) = (&daemon.http, json!({ "whatsapp": { "testbed": { "contacts": 0 } } }));
    stream::iter(0..NATIVE)
        .for_each_concurrent(8, async |n| fleet::link(http, &format!("n{n:04}"), &settings).await)
        .await;
    daemon.stop().await;

    let daemon = home.start().await;
    all_ready(&daemon.http, NATIVE).await;
    let back = daemon.age();
    sleep(Duration::from_secs(5)).await;
    let resident = daemon.resident_kib();
    eprintln!("{NATIVE} linked devices: ready after {back:.1?}, {resident} KiB in all");
    assert!(back <= NATIVE_BACK_WITHIN, "{back:?}");
    assert!(resident <= NATIVE_MOST_KIB, "{resident} KiB");
    daemon.stop().await;
}

async fn all_ready(http: &Http, devices: usize) {
    until("all devices are ready", Duration::from_secs(60), async || {
        let stats = http.get("stats").await.unwrap();
        stats.data().pointer("/devicesByState/ready").and_then(Value::as_u64) == Some(devices as u64)
    })
    .await;
}
