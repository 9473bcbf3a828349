//! What goes wrong besides the crashes: faults of the network, and a device that is never left alone.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Halt, Worker};
use crate::fleet;
use crate::process::{Dice, Http};

/// Kinds of faults that come and go.
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
pub struct Mischief {
    devices: Vec<String>,
    dice: Dice,
}

/// What besides befalls the testbed of the native engine.
const NATIVE: [&str; 1] = ["phones_offline"];

impl Mischief {
    /// For these devices.
    pub fn new(devices: &[&str], dice: Dice) -> Self {
        Self { devices: devices.iter().map(|&device| device.to_owned()).collect(), dice }
    }

    async fn step(&mut self, http: &Http) -> Result<(), Halt> {
        sleep(Duration::from_millis(self.dice.between(5, 40))).await;
        let native = fleet::native() && self.dice.one_in(20);
        let kind = *self.dice.pick(if native { &NATIVE } else { &KINDS });
        let device = self.dice.pick(&self.devices).clone();
        let mut fault = json!({ "kind": kind, "count": self.dice.between(1, 2) });
        match kind {
            "phones_offline" => fault["durationMs"] = json!(self.dice.between(100, 5_000)),
            "slow_send" => fault["value"] = json!(self.dice.between(5, 60)),
            "send_unknown" if self.dice.one_in(2) => fault["value"] = json!("lost"),
            _ => {}
        }
        arm(http, &device, &fault).await
    }

    /// Takes all faults away again.
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

impl Worker for Mischief {
    fn run<'a>(&'a mut self, http: &'a Http) -> BoxFuture<'a, Halt> {
        Box::pin(async move {
            loop {
                if let Err(halt) = self.step(http).await {
                    return halt;
                }
            }
        })
    }
}

/// Stops, starts, unlinks and breaks one device, over and over.
pub struct Restless {
    /// The device.
    pub device: String,
    dice: Dice,
}

impl Restless {
    /// For this device.
    pub fn new(device: &str, dice: Dice) -> Self {
        Self { device: device.to_owned(), dice }
    }

    async fn step(&mut self, http: &Http) -> Result<(), Halt> {
        sleep(Duration::from_millis(self.dice.between(1, 60))).await;
        let device = &self.device;
        let answer = match self.dice.between(0, 11) {
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
        // A wish that the present state does not allow is refused, and that is right.
        match answer.status {
            200..300 | 409 | 422 | 503 => Ok(()),
            _ => Err(Halt::Wrong(format!("{device}: {} {}", answer.status, answer.body))),
        }
    }
}

impl Worker for Restless {
    fn run<'a>(&'a mut self, http: &'a Http) -> BoxFuture<'a, Halt> {
        Box::pin(async move {
            loop {
                if let Err(halt) = self.step(http).await {
                    return halt;
                }
            }
        })
    }
}
