//! Follows a device's log for sockets, streams and webhooks.
//!
//! One task for each followed device reads new entries once and shares them with all cursors. A [`Cursor`]
//! replays the log, then receives shared entries, and replays again after a gap.
//!
//! Invariants: a cursor yields every entry after its start exactly once and in order. A slow cursor costs a
//! bounded buffer and delays no other cursor. The task ends when there are no cursors.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::{broadcast, watch};

use crate::domain::clock::Millis;
use crate::domain::event::{EphemeralEvent, Stamped};
use crate::domain::ids::DeviceId;
use crate::service::{Logs, ServiceError};
use crate::store::events::LogRow;

/// Buffered items of one cursor; above this number it reads from the log again.
const BUFFER: usize = 256;

/// An entry of a log, shared by all cursors.
#[derive(Debug)]
pub struct LogEntry {
    /// The position in the log.
    pub seq: i64,
    /// The wire name of the event.
    pub kind: String,
    /// When it was appended, in server time.
    pub at: Millis,
    /// The payload in its wire form.
    pub payload: Box<RawValue>,
}

impl From<LogRow> for LogEntry {
    fn from(logged: LogRow) -> Self {
        Self { seq: logged.seq, kind: logged.kind, at: logged.at, payload: logged.payload }
    }
}

/// An ephemeral event, which is not in the log.
#[derive(Debug)]
pub struct LiveEntry {
    /// The wire name of the event.
    pub kind: &'static str,
    /// The payload in its wire form.
    pub payload: Box<RawValue>,
}

/// An item that a cursor yields.
#[derive(Debug, Clone)]
pub enum Item {
    /// An entry of the log, with a position.
    Logged(Arc<LogEntry>),
    /// An ephemeral event.
    Live(Arc<LiveEntry>),
}

/// The log does not cover a client's position: the client must reload over REST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resync {
    /// The position of the oldest entry kept.
    pub oldest_seq: i64,
    /// The position of the newest entry.
    pub newest_seq: i64,
}

/// The log tails of all followed devices.
#[derive(Default)]
pub(in crate::service) struct LogTails {
    followed: Mutex<HashMap<DeviceId, LogTail>>,
}

#[derive(Clone)]
struct LogTail {
    items: broadcast::Sender<Item>,
    /// True once the task has a start position.
    tailing: watch::Receiver<bool>,
}

/// One subscriber's position in a log.
pub struct Cursor {
    logs: Logs,
    device: DeviceId,
    last: i64,
    replayed: VecDeque<Arc<LogEntry>>,
    live: bool,
    items: broadcast::Receiver<Item>,
}

impl Logs {
    /// Follows a device's log: replays all entries after `since`, then yields new ones. Without `since`, only
    /// new entries.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn follow(
        &self,
        device: &DeviceId,
        since: Option<i64>,
    ) -> Result<(Cursor, Option<Resync>), ServiceError> {
        if !self.registry.device_exists(device) {
            return Err(ServiceError::DeviceNotFound);
        }
        let items = self.subscribe(device).await;
        let id = device.clone();
        let range = self.store.read(move |store| store.log_range(&id)).await?;
        let gap = since.is_some_and(|since| !range.covers(since));
        let last = if gap { range.newest } else { since.unwrap_or(range.newest) };
        let cursor = Cursor {
            logs: self.clone(),
            device: device.clone(),
            last,
            replayed: VecDeque::new(),
            live: last == range.newest,
            items,
        };
        let resync = gap.then_some(Resync { oldest_seq: range.oldest, newest_seq: range.newest });
        Ok((cursor, resync))
    }

    /// Emits an ephemeral event to the current cursors.
    pub(in crate::service) fn emit(&self, device: &DeviceId, event: &EphemeralEvent) {
        let Some(tail) = self.tails.get(device) else { return };
        let stamped = Stamped { device_id: device, timestamp: self.clock.now(), seq: None, body: event };
        match serde_json::value::to_raw_value(&stamped) {
            Ok(payload) => {
                let _ = tail.items.send(Item::Live(Arc::new(LiveEntry { kind: event.name(), payload })));
            }
            Err(error) => {
                tracing::error!(%device, %error, event = event.name(), "an event cannot be serialised");
            }
        }
    }

    /// Whether the device has a cursor.
    pub(in crate::service) fn is_followed(&self, device: &DeviceId) -> bool {
        self.tails.get(device).is_some()
    }

    async fn subscribe(&self, device: &DeviceId) -> broadcast::Receiver<Item> {
        let (items, mut tailing) = self.tail(device);
        // The tail sends the entries after its start position; the cursor reads earlier ones from the log.
        let _ = tailing.wait_for(|tailing| *tailing).await;
        items
    }

    fn tail(&self, device: &DeviceId) -> (broadcast::Receiver<Item>, watch::Receiver<bool>) {
        let mut followed = self.tails.lock();
        if let Some(tail) = followed.get(device) {
            return (tail.items.subscribe(), tail.tailing.clone());
        }
        let (items, receiver) = broadcast::channel(BUFFER);
        let (started, tailing) = watch::channel(false);
        followed.insert(device.clone(), LogTail { items: items.clone(), tailing: tailing.clone() });
        let tail = LogTailReader { logs: self.clone(), device: device.clone(), items };
        self.tasks.spawn("feed-tail", tail.run(started));
        (receiver, tailing)
    }
}

impl LogTails {
    fn lock(&self) -> parking_lot::MutexGuard<'_, HashMap<DeviceId, LogTail>> {
        self.followed.lock()
    }

    fn get(&self, device: &DeviceId) -> Option<LogTail> {
        self.lock().get(device).cloned()
    }

    /// Removes a tail without cursors. Holds the lock, so that no cursor is added at the same time.
    fn remove_if_unfollowed(&self, device: &DeviceId) -> bool {
        let mut followed = self.lock();
        // A tail that is not in the map was closed, so its task can end too.
        let alone = followed.get(device).is_none_or(|tail| tail.items.receiver_count() == 0);
        if alone {
            followed.remove(device);
        }
        alone
    }

    /// Ends the log tail of a removed device; its cursors end too.
    pub(in crate::service) fn close(&self, device: &DeviceId) {
        self.lock().remove(device);
    }
}

/// The task that reads a followed log.
struct LogTailReader {
    logs: Logs,
    device: DeviceId,
    items: broadcast::Sender<Item>,
}

/// The pause before a failed read of new entries is retried.
const READ_PAUSE: std::time::Duration = std::time::Duration::from_millis(250);
/// How often a tail checks whether it still has cursors.
const IDLE_CHECK: std::time::Duration = std::time::Duration::from_secs(5);

impl LogTailReader {
    async fn run(self, started: watch::Sender<bool>) {
        let mut changes = self.logs.store.follow(&self.device);
        let mut last = self.newest().await;
        let _ = started.send(true);
        let soft = self.logs.tasks.soft().clone();
        loop {
            tokio::select! {
                () = soft.cancelled() => break,
                changed = tokio::time::timeout(IDLE_CHECK, changes.changed()) => match changed {
                    // Checked on each change too, because steady traffic never reaches the timeout.
                    Ok(Ok(())) if self.is_unfollowed() => break,
                    Ok(Ok(())) => last = self.publish(last).await,
                    Ok(Err(_)) => break,
                    Err(_) if self.is_unfollowed() => break,
                    Err(_) => {}
                }
            }
        }
    }

    fn is_unfollowed(&self) -> bool {
        self.logs.tails.remove_if_unfollowed(&self.device)
    }

    async fn newest(&self) -> i64 {
        let device = self.device.clone();
        match self
            .logs
            .store
            .read::<_, ServiceError, _>(move |store| Ok(store.log_range(&device)?.newest))
            .await
        {
            Ok(newest) => newest,
            // Start at 0: cursors skip the entries that they have.
            Err(error) => {
                tracing::warn!(device = %self.device, %error, "the newest log position could not be read");
                0
            }
        }
    }

    async fn publish(&self, mut last: i64) -> i64 {
        loop {
            match page(&self.logs, &self.device, last).await {
                Ok(entries) if entries.is_empty() => return last,
                Ok(entries) => {
                    for entry in entries {
                        last = entry.seq;
                        let _ = self.items.send(Item::Logged(entry));
                    }
                }
                Err(error) => {
                    tracing::warn!(device = %self.device, %error, "new events could not be read; retrying");
                    tokio::time::sleep(READ_PAUSE).await;
                    if self.logs.tasks.soft().is_cancelled() {
                        return last;
                    }
                }
            }
        }
    }
}

async fn page(logs: &Logs, device: &DeviceId, after: i64) -> Result<Vec<Arc<LogEntry>>, ServiceError> {
    let (device, limit) = (device.clone(), logs.limits.replay_page);
    let entries = logs.store.read(move |store| store.events_after(&device, after, limit)).await?;
    Ok(entries.into_iter().map(|entry| Arc::new(entry.into())).collect())
}

impl Cursor {
    /// Waits for the next item. `None` when the device is removed or the daemon drains. Cancel-safe.
    pub async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(entry) = self.replayed.pop_front() {
                self.last = entry.seq;
                return Some(Item::Logged(entry));
            }
            if !self.live {
                self.replay().await?;
                continue;
            }
            match self.items.recv().await {
                Ok(Item::Live(entry)) => return Some(Item::Live(entry)),
                Ok(Item::Logged(entry)) if entry.seq <= self.last => {}
                Ok(Item::Logged(entry)) if entry.seq == self.last + 1 => {
                    self.last = entry.seq;
                    return Some(Item::Logged(entry));
                }
                Ok(Item::Logged(_)) => self.live = false,
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.logs.metrics.bus_lagged.inc();
                    self.live = false;
                }
                Err(broadcast::error::RecvError::Closed) => return self.next_after_end().await,
            }
        }
    }

    /// The position of the last entry that was yielded.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.last
    }

    /// Whether the cursor still reads older entries from the log.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        !self.live || !self.replayed.is_empty()
    }

    async fn replay(&mut self) -> Option<()> {
        match page(&self.logs, &self.device, self.last).await {
            Ok(entries) if entries.is_empty() => self.live = true,
            Ok(entries) => self.replayed.extend(entries),
            Err(error) => {
                tracing::warn!(device = %self.device, %error, "a replay ended early; the client resumes");
                return None;
            }
        }
        Some(())
    }

    /// Yields the remaining entries of the log after its tail ended.
    async fn next_after_end(&mut self) -> Option<Item> {
        let entries = page(&self.logs, &self.device, self.last).await.unwrap_or_default();
        self.replayed.extend(entries);
        let entry = self.replayed.pop_front()?;
        self.last = entry.seq;
        Some(Item::Logged(entry))
    }
}
