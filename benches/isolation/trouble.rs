//! One device that panics over and over, one that is silent, one that floods.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::fleet::{self, name};
use crate::process::Http;

/// The most that the simulator's contacts write by themselves in a minute.
const FLOOD_PER_MINUTE: u32 = 60_000;
/// Between two panics that are asked for, and two messages for the silent device.
const EVERY: Duration = Duration::from_millis(100);

/// The devices in trouble; the last three.
pub struct Trouble {
    /// Panics whenever it is connected.
    pub panicking: String,
    /// Connected and silent; what is sent through it waits.
    pub stalled: String,
    /// Gets as much as the simulator can write, and sends as fast as one client can ask.
    pub flooding: String,
}

impl Trouble {
    /// Of this many devices.
    pub fn among(devices: u32) -> Self {
        Self { panicking: name(devices - 1), stalled: name(devices - 2), flooding: name(devices - 3) }
    }

    /// Begins all three; dropping the set ends what clients do.
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
        // A full outbox is refused, and a flood goes on.
        assert!(matches!(answer.status, 201 | 429 | 503), "{} {}", answer.status, answer.body);
        count += 1;
        sleep(pause).await;
    }
}
