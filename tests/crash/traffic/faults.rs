//! Faults besides the kills: of the network, and of one device that changes state constantly.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Halt, Worker};
use crate::fleet;
use crate::process::{Http, SeededRng};

/// Faults that are armed and disarmed.
const KINDS: [&str; 7] = [
    "send_unknown",
    "duplicate_incoming",
    "drop_link",
    "reorder_receipts",
    "send_transient",
    "slow_send",
    "refuse_connect",
];

/// Arms faults of these devices at random.
pub struct NetworkFaults {
    devices: Vec<String>,
    rng: SeededRng,
}

/// Faults of the native engine's testbed.
const NATIVE: [&str; 1] = ["phones_offline"];

impl NetworkFaults {
    /// For these devices.
    pub fn new(devices: &[&str], rng: SeededRng) -> Self {
        Self { devices: devices.iter().map(|&device| device.to_owned()).collect(), rng }
    }

    async fn step(&mut self, http: &Http) -> Result<(), Halt> {
        sleep(Duration::from_millis(self.rng.between(5, 40))).await;
        let native = fleet::native() && self.rng.one_in(20);
        let kind = *self.rng.pick(if native { &NATIVE } else { &KINDS });
        let device = self.rng.pick(&self.devices).clone();
        let mut fault = json!({ "kind": kind, "count": self.rng.between(1, 2) });
        match kind {
            "phones_offline" => fault["durationMs"] = json!(self.rng.between(100, 5_000)),
            "slow_send" => fault["value"] = json!(self.rng.between(5, 60)),
            "send_unknown" if self.rng.one_in(2) => fault["value"] = json!("lost"),
            _ => {}
        }
        arm(http, &device, &fault).await
    }

    /// Removes all faults.
    pub async fn disarm(&self, http: &Http) -> Result<(), Halt> {
        for device in &self.devices {
            for kind in KINDS {
                arm(http, device, &json!({ "kind": kind, "count": 0 })).await?;
            }
        }
        Ok(())
    }
}

async fn arm(http: &Http, device: &str, fault: &Value) -> Result<(), Halt> {
    let answer = http.post(&format!("simulator/{device}/fault"), fault).await?;
    if answer.is_success() || answer.status == 503 {
        return Ok(());
    }
    Err(Halt::Wrong(format!("fault {fault}: {} {}", answer.status, answer.body)))
}

impl Worker for NetworkFaults {
    fn next_step<'a>(&'a mut self, http: &'a Http) -> BoxFuture<'a, Result<(), Halt>> {
        Box::pin(self.step(http))
    }
}

/// Stops, starts, unlinks and breaks one device repeatedly.
pub struct UnstableDevice {
    pub device: String,
    rng: SeededRng,
}

impl UnstableDevice {
    /// For this device.
    pub fn new(device: &str, rng: SeededRng) -> Self {
        Self { device: device.to_owned(), rng }
    }

    async fn step(&mut self, http: &Http) -> Result<(), Halt> {
        sleep(Duration::from_millis(self.rng.between(1, 60))).await;
        let device = &self.device;
        let answer = match self.rng.between(0, 11) {
            0 | 1 => http.post(&format!("devices/{device}/stop"), &json!({})).await?,
            2 => http.post(&format!("devices/{device}/logout"), &json!({})).await?,
            3 => http.post(&format!("devices/{device}/restart"), &json!({})).await?,
            4 if !crate::fleet::native() => {
                http.post(&format!("simulator/{device}/fault"), &json!({ "kind": "panic" })).await?
            }
            5 => http.post(&format!("simulator/{device}/fault"), &json!({ "kind": "log_out" })).await?,
            6 => http.post(&format!("simulator/{device}/fault"), &json!({ "kind": "drop_link" })).await?,
            7 | 8 => http.post(&format!("simulator/{device}/scan"), &json!({})).await?,
            _ => http.post(&format!("devices/{device}/start"), &json!({})).await?,
        };
        // The current state may refuse the operation.
        match answer.status {
            200..300 | 409 | 422 | 503 => Ok(()),
            _ => Err(Halt::Wrong(format!("{device}: {} {}", answer.status, answer.body))),
        }
    }
}

impl Worker for UnstableDevice {
    fn next_step<'a>(&'a mut self, http: &'a Http) -> BoxFuture<'a, Result<(), Halt>> {
        Box::pin(self.step(http))
    }
}
