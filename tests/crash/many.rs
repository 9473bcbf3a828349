//! A start with many devices.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};

use crate::fleet::{self, quick, until};
use crate::process::Http;

const DEVICES: usize = 1_000;
/// For a debug build on a loaded machine. The bench measures; this only keeps it from becoming minutes.
const START_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_start_with_a_thousand_devices_is_quick() {
    let place = fleet::place().await;
    let daemon = place.start().await;
    let http = &daemon.http;
    stream::iter(0..DEVICES)
        .for_each_concurrent(16, async |n| {
            let body = json!({ "id": format!("d{n:04}"), "engine": fleet::engine(), "settings": quick() });
            http.post("devices", &body).await.unwrap().expect("create a device");
        })
        .await;
    all_ready(http).await;
    daemon.stop().await;

    for _ in 0..3 {
        let daemon = place.start().await;
        let took = daemon.age();
        eprintln!("a start with {DEVICES} devices answers after {took:.0?}");
        assert!(took < START_WITHIN, "{took:?}");
        all_ready(&daemon.http).await;
        eprintln!("all of them are ready after {:.1?}", daemon.age());
        daemon.stop().await;
    }
}

async fn all_ready(http: &Http) {
    until("all devices are ready", Duration::from_secs(60), async || {
        let stats = http.get("stats").await.unwrap();
        stats.data().pointer("/devicesByState/ready").and_then(Value::as_u64) == Some(DEVICES as u64)
    })
    .await;
}
