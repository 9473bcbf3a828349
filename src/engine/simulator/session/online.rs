//! A session that is connected: what it delivers, one thing at a time, and what ends it.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::SimulatorSession;
use crate::domain::ids::NetworkId;
use crate::domain::reason::Reason;
use crate::engine::simulator::delivery_queue::{Due, DueKey};
use crate::engine::simulator::device::Step;
use crate::engine::simulator::faults::{FaultKind, Manner};
use crate::engine::simulator::generator::{self, Traffic};
use crate::engine::simulator::journal::JournalError;
use crate::engine::simulator::letter::NetworkMessage;
use crate::engine::simulator::network::AcceptError;
use crate::engine::{Ended, EngineEvent, Incoming};

/// How often the round trip is measured.
const BEAT: Duration = Duration::from_secs(30);

impl SimulatorSession {
    /// Delivers news as long as the link holds.
    pub(in super::super) async fn run_online(&self) -> Result<Infallible, Ended> {
        let now = Instant::now();
        let mut traffic = Traffic::new(&self.settings, self.seed, now);
        // Spread by the seed, so that many devices do not measure in the same instant.
        let mut beat = now + Duration::from_millis(self.seed % 1_000);
        loop {
            self.check_session_faults()?;
            self.check_account_faults().await?;
            let now = Instant::now();
            if let Some(traffic) = &mut traffic {
                self.generate_traffic(traffic, now).await?;
            }
            if beat <= now {
                beat = now + BEAT;
                self.report_latency(now).await?;
            }
            match self.device.next_step(now) {
                Step::Incoming(no, letter) => self.deliver_message(no, *letter).await?,
                Step::Due(key, due) => self.run_due(key, due).await?,
                Step::Wait(until) => {
                    let next = [until, traffic.as_ref().map(Traffic::next_at)].into_iter().flatten();
                    self.wait_for_change(next.fold(beat, Instant::min)).await;
                }
            }
        }
    }

    /// Waits until something changes in the network, or this moment.
    pub(in super::super) async fn wait_for_change(&self, until: Instant) {
        tokio::select! {
            () = self.device.changed.notified() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }

    /// Faults that strike a session at any time.
    pub(in super::super) fn check_session_faults(&self) -> Result<(), Ended> {
        if self.device.take_fault(FaultKind::Panic).is_some() {
            break_down();
        }
        match self.device.take_fault(FaultKind::DropLink) {
            Some(_) => Err(Ended::LinkLost(Reason::LinkDropped)),
            None => Ok(()),
        }
    }

    /// Faults that strike a linked device.
    pub(in super::super) async fn check_account_faults(&self) -> Result<(), Ended> {
        if let Some(manner) = self.device.take_fault(FaultKind::Ban) {
            let temporary = manner == Manner::Temporary;
            return Err(Ended::Fatal(if temporary { Reason::TemporaryBan } else { Reason::Banned }));
        }
        if self.device.take_fault(FaultKind::LogOut).is_none() {
            return Ok(());
        }
        self.store_or_end(None).await?;
        self.unlink().await;
        Err(Ended::LoggedOut(Reason::LoggedOutOnPhone))
    }

    pub(in super::super) async fn unlink(&self) {
        if let Err(error) = self.network.unlink(&self.device).await {
            tracing::warn!(device = %self.device.id, %error, "the simulated network did not note a log-out");
        }
    }

    async fn report_latency(&self, now: Instant) -> Result<(), Ended> {
        match self.settings.ack_server_ms {
            Some(ms) if self.device.stalled(now).is_none() => {
                self.deliver(EngineEvent::Latency { ms: ms.max(1) }).await
            }
            _ => Ok(()),
        }
    }

    async fn generate_traffic(&self, traffic: &mut Traffic, now: Instant) -> Result<(), Ended> {
        match traffic.message(&self.settings, self.random.as_ref(), now, self.clock.now()) {
            Some(message) => self.accept(message).await,
            None => Ok(()),
        }
    }

    /// Takes a message that the simulated world wrote by itself; when too many wait, it is not written.
    async fn accept(&self, message: Incoming) -> Result<(), Ended> {
        match self.network.accept(&self.device, NetworkMessage::bare(message), None).await {
            Ok(()) | Err(AcceptError::Full) => Ok(()),
            Err(AcceptError::Journal(error)) => Err(self.journal_failed(&error)),
        }
    }

    pub(in super::super) fn journal_failed(&self, error: &JournalError) -> Ended {
        tracing::warn!(device = %self.device.id, %error, "the simulated network could not note a message");
        Ended::LinkLost(Reason::EngineError)
    }

    async fn run_due(&self, key: DueKey, due: Due) -> Result<(), Ended> {
        match due {
            Due::Event(event) => self.deliver(*event).await?,
            Due::Echo { chat, from, body } => {
                let notify_name = generator::name_of(&self.settings, &from);
                let network_id = NetworkId::random(self.random.as_ref());
                let timestamp = self.clock.now();
                let text = Incoming::text(network_id, chat, from, body, timestamp);
                self.accept(Incoming { notify_name, ..text }).await?;
            }
        }
        self.device.complete_due(key);
        Ok(())
    }
}

#[expect(clippy::panic, reason = "the fault `panic` is there to prove that a panic stays its device's own")]
fn break_down() {
    panic!("the simulator was told to panic");
}
