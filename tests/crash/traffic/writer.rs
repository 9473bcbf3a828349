//! Contacts that write to one device, each message with its own network id.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::time::sleep;

use super::{BUSY, Halt, PAUSE_WHEN_BUSY, Worker};
use crate::process::{Http, SeededRng};

/// Codes of the simulator while the device cannot receive.
const NOT_NOW: [&str; 3] = ["not_linked", "not_acknowledged", "network_full"];

/// A message that was written at least once.
pub struct Written {
    pub network_id: String,
    /// The body, unique among all messages.
    pub body: String,
    /// Our message id, once the device acknowledged the message.
    pub id: Option<String>,
}

/// Writes to one device.
pub struct Writer {
    /// The device.
    pub device: String,
    /// All messages so far.
    pub written: Vec<Written>,
    group: Option<String>,
    pause: Duration,
    open: VecDeque<usize>,
    rng: SeededRng,
}

impl Writer {
    /// Writes to this group, or else to the device directly, with a pause after each message.
    pub fn new(device: &str, group: Option<&str>, pause: Duration, rng: SeededRng) -> Self {
        let group = group.map(str::to_owned);
        Self { device: device.to_owned(), written: Vec::new(), group, pause, open: VecDeque::new(), rng }
    }

    /// Repeats every unacknowledged message.
    pub async fn finish(&mut self, http: &Http) -> Result<(), Halt> {
        while let Some(at) = self.open.front().copied() {
            self.write(http, at).await?;
        }
        Ok(())
    }

    /// Writes the next message: an unacknowledged one, sometimes an acknowledged one, else a new one.
    pub async fn step(&mut self, http: &Http) -> Result<(), Halt> {
        let at = match self.open.front().copied() {
            Some(at) => at,
            None if !self.written.is_empty() && self.rng.one_in(12) => self.written.len() - 1,
            None => self.compose(),
        };
        self.write(http, at).await
    }

    fn compose(&mut self) -> usize {
        let at = self.written.len();
        let (network_id, body) = (format!("IN{at:08}"), format!("quokka in {} {at}", self.device));
        self.written.push(Written { network_id, body, id: None });
        self.open.push_back(at);
        at
    }

    async fn write(&mut self, http: &Http, at: usize) -> Result<(), Halt> {
        let written = &mut self.written[at];
        // The index selects the chat, so that a network id always belongs to the same chat.
        let from = match &self.group {
            // Only members can write to the group.
            Some(_) => 101 + at % 3,
            None => 100 + at % 7,
        };
        let from = format!("1555010{from:04}");
        let mut body = json!({ "from": from, "body": written.body, "networkId": written.network_id });
        if crate::fleet::native() {
            // The network names people by number, or by hidden id with the number.
            body["naming"] = json!(if at.is_multiple_of(2) { "number" } else { "lid" });
        }
        if let Some(group) = &self.group {
            body["groupId"] = json!(group);
        }
        let answer = http.post(&format!("simulator/{}/incoming", self.device), &body).await?;
        match (answer.is_success(), answer.text("/messageId")) {
            (true, Some(id)) => written.id = Some(id.to_owned()),
            (false, _) if answer.status == BUSY || NOT_NOW.contains(&answer.code()) => {
                sleep(PAUSE_WHEN_BUSY).await;
                return Ok(());
            }
            _ => {
                return Err(Halt::Wrong(format!(
                    "incoming {}: {} {}",
                    written.network_id, answer.status, answer.body
                )));
            }
        }
        self.open.retain(|open| *open != at);
        Ok(())
    }
}

impl Worker for Writer {
    fn next_step<'a>(&'a mut self, http: &'a Http) -> BoxFuture<'a, Result<(), Halt>> {
        Box::pin(self.step(http))
    }

    fn pause(&self) -> Duration {
        self.pause
    }
}
