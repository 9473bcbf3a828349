//! Lists, clears and configures the queues of the fleet.
//!
//! Only messages that are not being sent can be cancelled; each batch is one transaction.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::settings::{as_settings, limits_of, warmup_of};
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::device::{Device, DeviceChange};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::message::SendFailure;
use crate::domain::queries::WaitingKind;
use crate::service::messaging::ingest::{AckUpdate, raise_ack};
use crate::service::{Messaging, ServiceError};
use crate::store::Tx;
use crate::store::outbox_admin::{QueueRow, WaitingFilter};

/// Messages cancelled in one write, so that no other device waits long for its turn.
const BATCH: usize = 200;

/// Why the next message of a queue is not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldReason {
    /// Stable, snake_case: a limit's name, `quiet_hours`, `schedule`, `retry` or `not_ready`.
    pub reason: &'static str,
    /// When the hold ends, if that moment is fixed.
    pub until: Option<Millis>,
}

/// The queue of one device.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceQueue {
    /// The device that owns the queue.
    pub device_id: DeviceId,
    /// The display name of the device.
    pub name: String,
    /// The wire name of the device's state.
    pub state: &'static str,
    /// The numbers of queued messages.
    #[serde(flatten)]
    pub totals: QueueTotals,
    /// When the oldest due message was accepted.
    pub oldest: Option<Millis>,
    /// Why the next message is not sent yet.
    pub held_by: Option<HoldReason>,
    /// The settings in effect, before warm-up lowers them.
    pub config: Map<String, Value>,
    /// The current phase of the device's warm-up.
    pub warmup_phase: Option<String>,
}

/// Numbers of messages in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueTotals {
    /// All messages in the queue.
    pub queued_messages: i64,
    /// Messages that are not due yet.
    pub scheduled: i64,
    /// Messages that wait for another attempt.
    pub retrying: i64,
    /// Messages handed to the network, without an answer yet.
    pub under_way: i64,
    /// Messages handed to the network in the last 60 seconds.
    pub messages_in_last60s: i64,
}

/// The queues of several devices.
#[derive(Debug, Clone, Serialize)]
pub struct FleetQueue {
    /// The sums over all listed devices.
    pub totals: QueueTotals,
    /// One entry for each device.
    pub devices: Vec<DeviceQueue>,
}

/// A filter for the messages to cancel.
#[derive(Debug, Clone, Default)]
pub struct ClearQueue {
    /// Only messages to this chat.
    pub chat: Option<Jid>,
    /// Only messages of this kind.
    pub kind: Option<WaitingKind>,
}

/// The result of clearing queues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cleared {
    /// The number of cancelled messages.
    pub cancelled: usize,
    /// The number by device; devices without cancelled messages are absent.
    pub devices: BTreeMap<String, usize>,
}

/// A change of a device's warm-up.
#[derive(Debug, Clone, Copy, Default)]
pub struct WarmupChange {
    /// Whether the warm-up is to run.
    pub enabled: bool,
    /// The length of the warm-up in days.
    pub days: Option<u32>,
    /// The share of the limits on the first day, in percent.
    pub start_percent: Option<u32>,
    /// When the first day begins; by default now, for a warm-up that is not running.
    pub started_at: Option<Millis>,
}

impl Messaging {
    /// The queues of these devices, or of all.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fleet_queue(&self, only: Option<&[DeviceId]>) -> Result<FleetQueue, ServiceError> {
        let (messaging, now, only) = (self.clone(), self.clock.now(), only.map(<[DeviceId]>::to_vec));
        self.store
            .read(move |store| {
                let waiting: std::collections::HashMap<DeviceId, QueueRow> =
                    store.waiting(now)?.into_iter().collect();
                let selected = |device: &Device| only.as_ref().is_none_or(|ids| ids.contains(&device.id));
                let mut fleet = FleetQueue { totals: QueueTotals::default(), devices: Vec::new() };
                for device in store.devices()?.into_iter().filter(selected) {
                    let waits = waiting.get(&device.id).copied().unwrap_or_default();
                    let sent = store.sends_since(&device.id, now.plus(-60_000))?;
                    let queue = messaging.device_queue(device, waits, sent, now);
                    fleet.totals.add(queue.totals);
                    fleet.devices.push(queue);
                }
                Ok(fleet)
            })
            .await
    }

    fn device_queue(&self, device: Device, waits: QueueRow, sent: i64, now: Millis) -> DeviceQueue {
        let limits = limits_of(&self.limits.outbox, &device);
        DeviceQueue {
            totals: QueueTotals {
                queued_messages: waits.total,
                scheduled: waits.scheduled,
                retrying: waits.retrying,
                under_way: waits.under_way,
                messages_in_last60s: sent,
            },
            oldest: waits.oldest,
            held_by: self.held(&device, waits.total),
            config: as_settings(&limits),
            warmup_phase: limits.rules.phase(now).map(|phase| phase.to_string()),
            state: device.state.name(),
            name: device.name,
            device_id: device.id,
        }
    }

    /// Why the next message of a queue with `waiting` messages is not sent yet.
    pub(in crate::service) fn held(&self, device: &Device, waiting: i64) -> Option<HoldReason> {
        if waiting == 0 {
            return None;
        }
        if !device.state.is_ready() {
            return Some(HoldReason { reason: "not_ready", until: None });
        }
        let (until, why) = self.registry.live(&device.id).ok()?.liveness.held()?;
        Some(HoldReason { reason: why.code(), until })
    }

    /// Cancels the messages of these queues that are not being sent.
    ///
    /// # Errors
    /// When a device does not exist, or the store fails. Messages cancelled before the error stay cancelled.
    pub async fn clear_queues(
        &self,
        devices: &[DeviceId],
        what: &ClearQueue,
    ) -> Result<Cleared, ServiceError> {
        if devices.iter().any(|id| !self.registry.device_exists(id)) {
            return Err(ServiceError::DeviceNotFound);
        }
        let mut cleared = Cleared { cancelled: 0, devices: BTreeMap::new() };
        for device in devices {
            let count = self.clear_queue(device, what).await?;
            cleared.cancelled += count;
            if count > 0 {
                cleared.devices.insert(device.to_string(), count);
            }
        }
        Ok(cleared)
    }

    async fn clear_queue(&self, device: &DeviceId, what: &ClearQueue) -> Result<usize, ServiceError> {
        // Messages queued in the meantime are not counted, so that the loop ends.
        let most = self.limits.outbox.max_queued;
        let mut count = 0;
        while count < most {
            let (id, now) = (device.clone(), self.clock.now());
            let chat = match &what.chat {
                Some(chat) => Some(self.canonical_chat(device, chat).await?),
                None => None,
            };
            let which = WaitingFilter { chat, kind: what.kind };
            let some = self
                .store
                .write_patiently(move |tx| {
                    let messages = tx.waiting_messages(&id, &which, now, BATCH)?;
                    messages.iter().try_for_each(|message| cancel(tx, &id, message, now).map(|_| ()))?;
                    Ok::<_, ServiceError>(messages.len())
                })
                .await?;
            count += some;
            if some < BATCH {
                break;
            }
        }
        if count > 0 {
            self.recheck_queue(device);
        }
        Ok(count)
    }

    /// Cancels one queued message that is not being sent.
    ///
    /// # Errors
    /// When there is no such device or message, it is not in the queue, or the store fails.
    pub async fn cancel_message(&self, device: &DeviceId, message: &MessageId) -> Result<(), ServiceError> {
        let (id, of, now) = (device.clone(), message.clone(), self.clock.now());
        self.store
            .write(move |tx| {
                tx.device(&id)?.ok_or(ServiceError::DeviceNotFound)?;
                if tx.ack_row(&id, &of)?.is_none() {
                    return Err(ServiceError::MessageNotFound);
                }
                if cancel(tx, &id, &of, now)? { Ok(()) } else { Err(ServiceError::NotQueued) }
            })
            .await?;
        self.recheck_queue(device);
        Ok(())
    }

    /// Makes the outbox of this device check which of its messages are still queued.
    pub(in crate::service) fn recheck_queue(&self, device: &DeviceId) {
        if let Ok(live) = self.registry.live(device) {
            live.liveness.set_rows_removed();
            live.outbox.notify_one();
        }
    }

    /// Sets fields of `settings.outbox` of these devices, all or none of them. `null` restores a field's
    /// default.
    ///
    /// # Errors
    /// When a device does not exist, a value is invalid, a file sets the field, or the store fails.
    pub async fn configure_queues(
        &self,
        devices: &[DeviceId],
        fields: Map<String, Value>,
    ) -> Result<(), ServiceError> {
        let (messaging, ids) = (self.clone(), devices.to_vec());
        self.store
            .write(move |tx| {
                ids.iter().try_for_each(|id| {
                    let device = tx.device(id)?.ok_or(ServiceError::DeviceNotFound)?;
                    messaging.set_outbox(tx, device, &fields)
                })
            })
            .await?;
        devices.iter().for_each(|id| self.registry.wake_outbox(id));
        Ok(())
    }

    fn set_outbox(
        &self,
        tx: &Tx<'_>,
        mut device: Device,
        fields: &Map<String, Value>,
    ) -> Result<(), ServiceError> {
        let mut outbox =
            device.settings.get("outbox").and_then(Value::as_object).cloned().unwrap_or_default();
        for (field, value) in fields {
            if value.is_null() {
                outbox.remove(field);
            } else {
                outbox.insert(field.clone(), value.clone());
            }
        }
        let settings = Map::from_iter([("outbox".to_owned(), Value::Object(outbox))]);
        let change = DeviceChange { settings: Some(settings.clone()), ..DeviceChange::default() };
        if let Some(field) = device.declared_conflict(&change) {
            return Err(ServiceError::SetByFile(format!("{field} of {}", device.id)));
        }
        device.settings.extend(settings);
        super::settings::check(&device.settings)?;
        Ok(tx.configure_device(&device)?)
    }

    /// Starts, changes or stops a device's warm-up. A running warm-up keeps all values that are not given.
    ///
    /// # Errors
    /// When there is no such device, a value is invalid, a file sets the field, or the store fails.
    pub async fn set_warmup(&self, device: &DeviceId, change: WarmupChange) -> Result<(), ServiceError> {
        let (messaging, id, now) = (self.clone(), device.clone(), self.clock.now());
        self.store
            .write(move |tx| {
                let device = tx.device(&id)?.ok_or(ServiceError::DeviceNotFound)?;
                let outbox = device.settings.get("outbox");
                let present = outbox.and_then(|outbox| outbox.get("warmup"));
                let value = change.enabled.then(|| change.over(present, &device, now));
                let fields = Map::from_iter([("warmup".to_owned(), value.unwrap_or(Value::Null))]);
                messaging.set_outbox(tx, device, &fields)
            })
            .await?;
        self.registry.wake_outbox(device);
        Ok(())
    }
}

impl WarmupChange {
    fn over(&self, present: Option<&Value>, device: &Device, now: Millis) -> Value {
        let running =
            present.map(|warmup| warmup_of(warmup, device)).filter(|warmup| warmup.phase(now).is_some());
        let base = running.unwrap_or_else(|| {
            let fresh = warmup_of(&Value::Null, device);
            crate::domain::outbox::Warmup { started_at: now, ..fresh }
        });
        serde_json::json!({
            "startedAt": self.started_at.unwrap_or(base.started_at),
            "days": self.days.unwrap_or(base.days),
            "startPercent": self.start_percent.unwrap_or(base.start_percent),
        })
    }
}

impl QueueTotals {
    fn add(&mut self, other: Self) {
        self.queued_messages += other.queued_messages;
        self.scheduled += other.scheduled;
        self.retrying += other.retrying;
        self.under_way += other.under_way;
        self.messages_in_last60s += other.messages_in_last60s;
    }
}

/// Fails a queued message that is not being sent; `false` when there is none.
fn cancel(tx: &Tx<'_>, device: &DeviceId, id: &MessageId, now: Millis) -> Result<bool, ServiceError> {
    let Some(row) = tx.ack_row(device, id)? else { return Ok(false) };
    // Remove it first: a cancelled message is not counted as a failure of the device.
    if !tx.outbox_remove_waiting(row.pk)? {
        return Ok(false);
    }
    let failure =
        SendFailure { code: "cancelled".into(), message: "it was cancelled before it was sent".into() };
    let raise = AckUpdate { level: Ack::Error, failure: Some(failure), reader: None };
    raise_ack(tx, device, &row, &raise, now)?;
    Ok(true)
}
