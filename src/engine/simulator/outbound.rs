//! Sends a message: its copies are recorded in the ledger, and receipts come back.
//!
//! A copy is on disk before it counts as arrived. `Sent` is the network's own acknowledgement, `ackServerMs`
//! after the arrival. Later receipts are scheduled in memory, so that a kill loses them.

use std::time::Duration;

use tokio::time::Instant;

use super::content::{self, MAX_BODY, MessageParts};
use super::delivery_queue::Due;
use super::faults::{FaultKind, FaultMode};
use super::generator;
use super::network_view::LedgerEntry;
use super::session::SimulatorSession;
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::{EngineEvent, IncomingReceipt, Outgoing, SendError, SendOutcome};

/// Between the read receipt and the echo.
const ECHO_AFTER_READ_MS: u64 = 100;
/// Between the arrival and the echo, where messages are never read.
const ECHO_UNREAD_MS: u64 = 300;

impl SimulatorSession {
    /// See [`crate::engine::Session::send`].
    pub(super) async fn send_message(&self, message: Outgoing) -> SendOutcome {
        match self.try_send(message).await {
            Ok(participants) => SendOutcome::Sent { participants },
            Err(outcome) => outcome,
        }
    }

    async fn try_send(&self, message: Outgoing) -> Result<Vec<Jid>, SendOutcome> {
        self.reach_network().await?;
        let unknown = self.device.take_fault(FaultKind::SendUnknown);
        if unknown == Some(FaultMode::Lost) {
            return Err(lost_while_sending());
        }
        if unknown.is_none() {
            self.ensure_accepted(&message)?;
        }
        let participants = self.participants(&message.chat).await?;
        let parts = self.upload_file(&message).await?;
        let arrival = Arrival { instant: Instant::now(), at: self.clock.now() };
        self.record_arrival(&message, &parts, arrival.at).await?;
        if self.device.is_first_copy(&message.chat, &message.id.network) {
            self.schedule(&message, &participants, arrival);
        }
        if unknown.is_some() {
            return Err(lost_while_sending());
        }
        self.wait_for_server_ack(arrival.instant).await?;
        Ok(participants)
    }

    /// Waits for the end of a stall and of a slow link, before any copy is sent.
    async fn reach_network(&self) -> Result<(), SendOutcome> {
        let offline = || transient("not_connected", "the device is not connected to its network");
        if !self.is_online() {
            return Err(offline());
        }
        let way = async {
            self.device.wait_out_stall().await;
            if let Some(FaultMode::Delay(delay)) = self.device.take_fault(FaultKind::SlowSend) {
                tokio::time::sleep(delay).await;
            }
        };
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Err(offline()),
            () = way => Ok(()),
        }
    }

    fn ensure_accepted(&self, message: &Outgoing) -> Result<(), SendOutcome> {
        if self.device.take_fault(FaultKind::SendTransient).is_some() {
            return Err(transient("recipient_unavailable", "the recipient cannot be reached now"));
        }
        if self.device.take_fault(FaultKind::SendPermanent).is_some()
            || !generator::is_on_network(&message.chat)
        {
            return Err(permanent("not_on_network", "the recipient is not on the network"));
        }
        if message.body.len() > MAX_BODY {
            return Err(permanent("message_too_large", "a text has at most 65536 bytes"));
        }
        match message.chat.kind() {
            JidKind::Person | JidKind::Lid | JidKind::Group => Ok(()),
            JidKind::Status | JidKind::Newsletter => {
                Err(permanent("recipient_not_supported", "the simulated network has people and groups only"))
            }
        }
    }

    /// The recipients of a message to a group; an unknown group has default members.
    async fn participants(&self, chat: &Jid) -> Result<Vec<Jid>, SendOutcome> {
        if !chat.is_group() {
            return Ok(Vec::new());
        }
        let context = self.device.group_context();
        if let Some(group) = self.device.groups.get(&context, chat).await {
            return group
                .others(context.me.as_ref())
                .ok_or_else(|| permanent("not_in_group", "the account is not in this group"));
        }
        Ok(generator::default_members(&self.settings))
    }

    async fn record_arrival(
        &self,
        message: &Outgoing,
        parts: &MessageParts,
        at: Millis,
    ) -> Result<(), SendOutcome> {
        let (network_id, to, body) = (&message.id.network, &message.chat, message.body.as_str());
        let recorded = self.record(LedgerEntry::Sent { network_id, to, body, at, parts }).await;
        recorded.map_err(|error| {
            tracing::warn!(device = %self.device.id, %error, "sent message not recorded");
            transient("network_storage", "the simulated network could not store the message")
        })
    }

    /// Waits for the network's own acknowledgement.
    async fn wait_for_server_ack(&self, arrival: Instant) -> Result<(), SendOutcome> {
        let Some(delay) = self.settings.ack_server_ms else {
            self.gone.cancelled().await;
            return Err(lost_while_sending());
        };
        if delay == 0 {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Err(lost_while_sending()),
            () = tokio::time::sleep_until(arrival + Duration::from_millis(delay)) => Ok(()),
        }
    }

    fn schedule(&self, message: &Outgoing, participants: &[Jid], arrival: Arrival) {
        let device = self.settings.ack_device_ms.map(|ms| (Ack::Device, ms));
        let read = self.settings.ack_read_ms.map(|ms| (Ack::Read, ms));
        let receipts = match (device, read) {
            (Some(device), Some(read)) if self.device.take_fault(FaultKind::ReorderReceipts).is_some() => {
                [Some((Ack::Read, device.1)), Some((Ack::Device, read.1))]
            }
            other => [other.0, other.1],
        };
        for (ack, ms) in receipts.into_iter().flatten() {
            if participants.is_empty() {
                self.schedule_receipt(message, None, ack, arrival.after(ms));
            }
            for participant in participants {
                self.schedule_receipt(message, Some(participant.clone()), ack, arrival.after(ms));
            }
        }
        if self.settings.echo {
            self.schedule_echo(message, participants, arrival);
        }
    }

    fn schedule_receipt(&self, message: &Outgoing, participant: Option<Jid>, ack: Ack, due: Arrival) {
        let receipt = IncomingReceipt {
            chat: message.chat.clone(),
            network_id: message.id.network.clone(),
            ack,
            participant,
            timestamp: due.at,
            error: None,
        };
        self.device.schedule(due.instant, Due::event(EngineEvent::Receipt(receipt)), None);
    }

    fn schedule_echo(&self, message: &Outgoing, participants: &[Jid], arrival: Arrival) {
        let delay =
            self.settings.ack_read_ms.map_or(ECHO_UNREAD_MS, |ms| ms.saturating_add(ECHO_AFTER_READ_MS));
        let mut body = format!("echo: {}", content::summary(message));
        body.truncate(body.floor_char_boundary(MAX_BODY));
        let from = participants.first().unwrap_or(&message.chat).clone();
        let echo = Due::Echo { chat: message.chat.clone(), from, body };
        self.device.schedule(arrival.after(delay).instant, echo, None);
    }
}

/// The moment of an arrival, by the timer and by the wall clock.
#[derive(Clone, Copy)]
struct Arrival {
    instant: Instant,
    at: Millis,
}

impl Arrival {
    fn after(self, ms: u64) -> Self {
        let instant = self.instant + Duration::from_millis(ms);
        Self { instant, at: self.at.plus(i64::try_from(ms).unwrap_or(i64::MAX)) }
    }
}

pub(super) fn transient(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Transient(SendError { code, message: message.to_owned() })
}

pub(super) fn permanent(code: &'static str, message: &str) -> SendOutcome {
    SendOutcome::Permanent(SendError { code, message: message.to_owned() })
}

fn lost_while_sending() -> SendOutcome {
    let message = "the link broke before the network answered".to_owned();
    SendOutcome::Unknown(SendError { code: "link_lost_while_sending", message })
}
