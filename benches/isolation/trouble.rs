//! Three faulty devices: one panics repeatedly, one is silent, one floods.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::fleet::{self, name};
use crate::process::Http;

/// The maximum rate of messages that the simulator generates.
const FLOOD_PER_MINUTE: u32 = 60_000;
/// Interval of injected panics and of messages to the silent device.
const EVERY: Duration = Duration::from_millis(100);

/// The faulty devices, which are the last three.
pub struct Trouble {
    /// Panics whenever it is connected.
    pub panicking: String,
    /// Connected but silent; its messages stay queued.
    pub stalled: String,
    /// Receives as fast as the simulator can generate, and sends as fast as one client can request.
    pub flooding: String,
}

impl Trouble {
    /// Selects them from this many devices.
    pub fn among(devices: u32) -> Self {
        Self { panicking: name(devices - 1), stalled: name(devices - 2), flooding: name(devices - 3) }
    }

    /// Starts all three; dropping the set stops their clients.
    pub async fn begin(&self, http: &Http, until: Instant) -> JoinSet<()> {
        let flood = json!({ "settings": fleet::settings(FLOOD_PER_MINUTE) });
        http.patch(&format!("devices/{}", self.flooding), &flood)
            .await
            .unwrap()
            .expect("settings of a flood");
        http.post(&format!("devices/{}/restart", self.flooding), &json!({})).await.unwrap().expect("restart");
        let silent = json!({ "kind": "stall", "durationMs": 86_400_000 });
        http.post(&format!("simulator/{}/fault", self.stalled), &silent).await.unwrap().expect("stall");

        let mut clients = JoinSet::new();
        clients.spawn(panics(http.clone(), self.panicking.clone(), until));
        clients.spawn(sends(http.clone(), self.stalled.clone(), EVERY, until));
        clients.spawn(sends(http.clone(), self.flooding.clone(), Duration::ZERO, until));
        clients
    }
}

async fn panics(http: Http, device: String, until: Instant) {
    while Instant::now() < until {
        let armed = http.post(&format!("simulator/{device}/fault"), &json!({ "kind": "panic" })).await;
        armed.unwrap().expect("panic");
        sleep(EVERY).await;
    }
}

async fn sends(http: Http, device: String, pause: Duration, until: Instant) {
    let mut count = 0_u64;
    while Instant::now() < until {
        let body = json!({ "to": "15550100001", "text": format!("flood {count}") });
        let answer = http.post(&format!("devices/{device}/messages/send"), &body).await.unwrap();
        // A full outbox refuses; the flood continues.
        assert!(matches!(answer.status, 201 | 429 | 503), "{} {}", answer.status, answer.body);
        count += 1;
        sleep(pause).await;
    }
}
