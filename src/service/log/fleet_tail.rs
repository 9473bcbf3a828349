//! Follows the logs of all devices together, for `/devices` and `GET /events`.
//!
//! One task reads the new entries of all logs once and shares them with all cursors; it exists only while there is
//! a cursor. Invariants: a cursor yields the entries of one device in order, and [`FleetItem::Gap`] after it fell
//! behind; it does not replay.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use super::tail::{LiveEntry, LogEntry};
use crate::domain::event::Stamped;
use crate::domain::ids::DeviceId;
use crate::service::{DeviceLifecycleEvent, Logs, ServiceError};

/// Items buffered for all cursors together; a cursor that falls further behind gets [`FleetItem::Gap`].
const BUFFER: usize = 1_024;
/// The event of a new device, which is in no log.
const DEVICE_CREATED: &str = "device:created";
/// The pause before a failed read is retried.
const READ_PAUSE: Duration = Duration::from_millis(250);
/// How often the task checks whether it still has cursors.
const IDLE_CHECK: Duration = Duration::from_secs(5);

/// An item of all logs.
#[derive(Debug, Clone)]
pub enum FleetItem {
    /// A device was created: `device:created`.
    Created(DeviceId, Arc<LiveEntry>),
    /// An entry of a device's log.
    Logged(DeviceId, Arc<LogEntry>),
    /// The cursor fell behind: items are missing.
    Gap,
}

/// The body of `device:created`. Its `seq` is the position of the device's log; later entries follow.
#[derive(Serialize)]
struct DeviceCreatedEvent {}

/// A subscriber of all logs.
pub struct FleetCursor {
    logs: Logs,
    items: broadcast::Receiver<FleetItem>,
}

/// The task that reads all logs, while it runs.
#[derive(Default)]
pub(in crate::service) struct FleetTail {
    running: Mutex<Option<Running>>,
}

#[derive(Clone)]
struct Running {
    items: broadcast::Sender<FleetItem>,
    /// True once the task has its start positions.
    started: watch::Receiver<bool>,
}

impl Logs {
    /// Follows the logs of all devices: yields everything that is appended from now on.
    pub async fn follow_all(&self) -> FleetCursor {
        let (items, mut started) = self.fleet_items();
        let _ = started.wait_for(|started| *started).await;
        FleetCursor { logs: self.clone(), items }
    }

    fn fleet_items(&self) -> (broadcast::Receiver<FleetItem>, watch::Receiver<bool>) {
        let mut running = self.fleet.running.lock();
        if let Some(running) = &*running {
            return (running.items.subscribe(), running.started.clone());
        }
        let (items, receiver) = broadcast::channel(BUFFER);
        let (tell_started, started) = watch::channel(false);
        *running = Some(Running { items: items.clone(), started: started.clone() });
        self.store.follow_all_logs(true);
        // Subscribed before the positions are read: no device is missed.
        let changes = self.registry.device_changes();
        let reader = FleetReader { logs: self.clone(), items, positions: HashMap::new(), changes };
        self.tasks.spawn("fleet-tail", reader.run(tell_started));
        (receiver, started)
    }

    /// Ends the task's place if it has no cursor. Holds the lock, so that no cursor is added at the same time.
    fn remove_fleet_tail(&self, items: &broadcast::Sender<FleetItem>) -> bool {
        let mut running = self.fleet.running.lock();
        let is_unused = items.receiver_count() == 0;
        if is_unused {
            *running = None;
            self.store.follow_all_logs(false);
        }
        is_unused
    }
}

impl FleetCursor {
    /// Waits for the next item. `None` when the daemon drains. Cancel-safe.
    pub async fn next(&mut self) -> Option<FleetItem> {
        match self.items.recv().await {
            Ok(item) => Some(item),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                self.logs.metrics.bus_lagged.inc();
                Some(FleetItem::Gap)
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// The last entry of a log that was sent, and whether its device exists.
struct Position {
    seq: i64,
    exists: bool,
}

struct FleetReader {
    logs: Logs,
    items: broadcast::Sender<FleetItem>,
    positions: HashMap<DeviceId, Position>,
    changes: broadcast::Receiver<DeviceLifecycleEvent>,
}

impl FleetReader {
    async fn run(mut self, started: watch::Sender<bool>) {
        let soft = self.logs.tasks.soft().clone();
        if soft.run_until_cancelled(self.read_positions()).await.is_none() {
            return;
        }
        let _ = started.send(true);
        let logs = self.logs.clone();
        loop {
            tokio::select! {
                () = soft.cancelled() => break,
                change = self.changes.recv() => self.apply(change),
                grown = logs.store.next_of_all_logs() => {
                    for device in grown {
                        self.publish(&device).await;
                    }
                }
                () = tokio::time::sleep(IDLE_CHECK) => {}
            }
            if self.logs.remove_fleet_tail(&self.items) {
                break;
            }
        }
    }

    /// Reads where each log ends now.
    async fn read_positions(&mut self) {
        let heads = loop {
            match self.logs.store.read::<_, ServiceError, _>(|store| Ok(store.log_heads()?)).await {
                Ok(heads) => break heads,
                Err(error) => tracing::warn!(%error, "the log positions could not be read; retrying"),
            }
            tokio::time::sleep(READ_PAUSE).await;
        };
        let registry = &self.logs.registry;
        for (device, seq) in heads {
            let exists = registry.device_exists(&device);
            self.positions.insert(device, Position { seq, exists });
        }
        for device in registry.device_ids() {
            self.positions.entry(device).or_insert(Position { seq: 0, exists: true });
        }
    }

    fn apply(&mut self, change: Result<DeviceLifecycleEvent, broadcast::error::RecvError>) {
        match change {
            Ok(DeviceLifecycleEvent::Added(device)) => {
                self.position_of(&device);
            }
            Ok(DeviceLifecycleEvent::Removed(device)) => {
                // Its log may go on if it is created again.
                if let Some(position) = self.positions.get_mut(&device) {
                    position.exists = false;
                }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {
                for device in self.logs.registry.device_ids() {
                    self.position_of(&device);
                }
            }
            Err(broadcast::error::RecvError::Closed) => {}
        }
    }

    /// The position of a log. Announces its device if that is new, before any entry of it.
    fn position_of(&mut self, device: &DeviceId) -> i64 {
        let exists = self.logs.registry.device_exists(device);
        let (seq, is_new) = match self.positions.entry(device.clone()) {
            Entry::Vacant(vacant) => (vacant.insert(Position { seq: 0, exists }).seq, exists),
            Entry::Occupied(mut known) => {
                let is_new = exists && !known.get().exists;
                known.get_mut().exists |= exists;
                (known.get().seq, is_new)
            }
        };
        if is_new {
            self.announce(device, seq);
        }
        seq
    }

    fn announce(&self, device: &DeviceId, seq: i64) {
        let timestamp = self.logs.clock.now();
        let body = DeviceCreatedEvent {};
        let stamped = Stamped { device_id: device, timestamp, seq: Some(seq), body: &body };
        match serde_json::value::to_raw_value(&stamped) {
            Ok(payload) => {
                let entry = Arc::new(LiveEntry { kind: DEVICE_CREATED, payload });
                let _ = self.items.send(FleetItem::Created(device.clone(), entry));
            }
            Err(error) => tracing::error!(%device, %error, "an event cannot be serialised"),
        }
    }

    async fn publish(&mut self, device: &DeviceId) {
        let mut last = self.position_of(device);
        loop {
            let (of, limit) = (device.clone(), self.logs.limits.replay_page);
            match self.logs.store.read(move |store| store.events_after(&of, last, limit)).await {
                Ok(rows) if rows.is_empty() => break,
                Ok(rows) => {
                    for row in rows {
                        last = row.seq;
                        let _ = self.items.send(FleetItem::Logged(device.clone(), Arc::new(row.into())));
                    }
                }
                Err(error) => {
                    tracing::warn!(%device, %error, "new events could not be read; retrying");
                    tokio::time::sleep(READ_PAUSE).await;
                    if self.logs.tasks.soft().is_cancelled() {
                        break;
                    }
                }
            }
        }
        if let Some(position) = self.positions.get_mut(device) {
            position.seq = last;
        }
    }
}
