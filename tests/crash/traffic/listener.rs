//! A client that follows one device's events and resumes after each crash.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use wharf::net::sse::{SseEvent, SseParser};

use super::{Halt, Worker};
use crate::process::Http;

/// Follows one device.
pub struct Listener {
    pub device: String,
    /// Received events by `seq`: name and payload.
    pub received: BTreeMap<i64, (String, Value)>,
    last: i64,
}

impl Listener {
    /// Follows from the first event.
    pub fn new(device: &str) -> Self {
        Self { device: device.to_owned(), received: BTreeMap::new(), last: 0 }
    }

    async fn follow(&mut self, http: &Http) -> Result<(), Halt> {
        let mut stream = http.stream(&self.device, Some(self.last), "").await?;
        let mut parser = SseParser::default();
        while let Some(chunk) = stream.chunk().await? {
            for event in parser.push(&chunk).map_err(|error| Halt::Wrong(error.to_string()))? {
                self.take(event)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, event: SseEvent) -> Result<(), Halt> {
        let wrong = |what: &str| Halt::Wrong(format!("the stream of {} {what}: {event:?}", self.device));
        let payload: Value = serde_json::from_str(&event.data).map_err(|_| wrong("sent no JSON"))?;
        // Ephemeral events have no position.
        let Some(seq) = payload.get("seq").and_then(Value::as_i64) else {
            return if event.name == "resync" { Err(wrong("the position was lost")) } else { Ok(()) };
        };
        if seq != self.last + 1 {
            return Err(wrong(&format!("came after {}", self.last)));
        }
        self.last = seq;
        self.received.insert(seq, (event.name, payload));
        Ok(())
    }
}

impl Worker for Listener {
    fn next_step<'a>(&'a mut self, http: &'a Http) -> BoxFuture<'a, Result<(), Halt>> {
        Box::pin(self.follow(http))
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(5)
    }
}
