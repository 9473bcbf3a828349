//! The loop of an online session: delivers messages and due events in small batches until the link ends.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::delivery_queue::{Due, DueKey};
use super::device::Step;
use super::faults::{FaultKind, FaultMode};
use super::generator::{self, Traffic};
use super::session::SimulatorSession;
use crate::domain::ids::NetworkId;
use crate::domain::reason::Reason;
use crate::engine::{EngineEvent, Incoming, SessionEnd};

/// The pause between two measurements of the round trip.
const LATENCY_INTERVAL: Duration = Duration::from_secs(30);

impl SimulatorSession {
    /// Runs until the link ends.
    pub(super) async fn run_online(&self) -> Result<Infallible, SessionEnd> {
        let now = Instant::now();
        let mut traffic = Traffic::new(&self.settings, self.seed, now);
        // The seed staggers the measurements of many devices.
        let mut next_latency = now + Duration::from_millis(self.seed % 1_000);
        loop {
            self.check_session_faults()?;
            self.check_account_faults().await?;
            let now = Instant::now();
            if let Some(traffic) = &mut traffic {
                self.generate_traffic(traffic, now);
            }
            if next_latency <= now {
                next_latency = now + LATENCY_INTERVAL;
                self.report_latency(now).await?;
            }
            match self.device.next_step(now) {
                Step::Deliver(messages) => self.deliver_messages(messages).await?,
                Step::Due(entries) => self.run_due(entries).await?,
                Step::Wait(until) => {
                    let next = [until, traffic.as_ref().map(Traffic::next_at)].into_iter().flatten();
                    self.wait_for_change(next.fold(next_latency, Instant::min)).await;
                }
            }
        }
    }

    /// Waits until the device changes, or until this moment.
    pub(super) async fn wait_for_change(&self, until: Instant) {
        tokio::select! {
            () = self.device.changed.notified() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }

    /// Applies the faults that can end any session.
    pub(super) fn check_session_faults(&self) -> Result<(), SessionEnd> {
        if self.device.take_fault(FaultKind::Panic).is_some() {
            panic_now();
        }
        match self.device.take_fault(FaultKind::DropLink) {
            Some(_) => Err(SessionEnd::LinkLost(Reason::LinkDropped)),
            None => Ok(()),
        }
    }

    /// Applies the faults that can end a linked session.
    pub(super) async fn check_account_faults(&self) -> Result<(), SessionEnd> {
        if let Some(mode) = self.device.take_fault(FaultKind::Ban) {
            let is_temporary = mode == FaultMode::Temporary;
            return Err(SessionEnd::Fatal(if is_temporary { Reason::TemporaryBan } else { Reason::Banned }));
        }
        if self.device.take_fault(FaultKind::LogOut).is_none() {
            return Ok(());
        }
        self.device.unlink().await.map_err(|error| self.storage_failed(&error))?;
        Err(SessionEnd::LoggedOut(Reason::LoggedOutOnPhone))
    }

    async fn report_latency(&self, now: Instant) -> Result<(), SessionEnd> {
        match self.settings.ack_server_ms {
            Some(ms) if self.device.stalled(now).is_none() => {
                self.deliver(EngineEvent::Latency { ms: ms.max(1) }).await
            }
            _ => Ok(()),
        }
    }

    fn generate_traffic(&self, traffic: &mut Traffic, now: Instant) {
        let message = traffic.message(&self.settings, self.random.as_ref(), now, self.clock.now());
        if let Some(message) = message {
            self.queue_generated(message);
        }
    }

    /// Queues a message that the simulated world generated. It is in memory only, and dropped when the queue
    /// is full.
    fn queue_generated(&self, message: Incoming) {
        self.device.queue(message.into(), None);
    }

    /// An entry is completed after the daemon has its event.
    async fn run_due(&self, entries: Vec<(DueKey, Due)>) -> Result<(), SessionEnd> {
        let keys: Vec<_> = entries.iter().map(|(key, _)| *key).collect();
        let mut events = Vec::with_capacity(entries.len());
        let mut echoes = Vec::new();
        for (_, due) in entries {
            match due {
                Due::Event(event) => events.push(*event),
                Due::Echo { chat, from, body } => echoes.push((chat, from, body)),
            }
        }
        self.deliver_all(events).await?;
        for (chat, from, body) in echoes {
            let notify_name = generator::name_of(&self.settings, &from);
            let network_id = NetworkId::random(self.random.as_ref());
            let text = Incoming::text(network_id, chat, from, body, self.clock.now());
            self.queue_generated(Incoming { notify_name, ..text });
        }
        keys.into_iter().for_each(|key| self.device.complete_due(key));
        Ok(())
    }
}

#[expect(clippy::panic, reason = "the fault `panic` proves that a panic fails its own device only")]
fn panic_now() {
    panic!("the fault `panic` was armed");
}
