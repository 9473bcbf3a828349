//! Following a device's log: what sockets, streams and webhooks have in common.
//!
//! One tail task for each followed device reads new entries, once, and hands shared copies to all who
//! follow. A [`Cursor`] is one follower: it replays from the log by itself, then goes live, and goes back
//! to the log whenever it fell behind or sees a gap.
//!
//! Invariants: a cursor yields every entry after its start exactly once and in order; a slow follower
//! costs a bounded buffer and delays nobody; the tail ends when nobody follows.

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

/// Items that may wait for one follower before it reads from the log again.
const BUFFER: usize = 256;

/// An entry of a log, shared by all who follow.
#[derive(Debug)]
pub struct LogEntry {
    /// Its position.
    pub seq: i64,
    /// The event's name.
    pub kind: String,
    /// When it was appended.
    pub at: Millis,
    /// The payload, as it goes over the wire.
    pub payload: Box<RawValue>,
}

impl From<LogRow> for LogEntry {
    fn from(logged: LogRow) -> Self {
        Self { seq: logged.seq, kind: logged.kind, at: logged.at, payload: logged.payload }
    }
}

/// An event that the log does not keep.
#[derive(Debug)]
pub struct LiveEntry {
    /// The event's name.
    pub kind: &'static str,
    /// The payload, as it goes over the wire.
    pub payload: Box<RawValue>,
}

/// What a follower gets.
#[derive(Debug, Clone)]
pub enum Item {
    /// An entry of the log.
    Logged(Arc<LogEntry>),
    /// Something that is not in the log.
    Live(Arc<LiveEntry>),
}

/// A client's position is not covered by the log: it must reload over REST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resync {
    /// The oldest entry kept.
    pub oldest_seq: i64,
    /// The newest entry.
    pub newest_seq: i64,
}

/// The logs that are followed.
#[derive(Default)]
pub(in crate::service) struct LogTails {
    followed: Mutex<HashMap<DeviceId, LogTail>>,
}

#[derive(Clone)]
struct LogTail {
    items: broadcast::Sender<Item>,
    /// True once the tail knows from which entry on it tells.
    tailing: watch::Receiver<bool>,
}

/// One follower's place in a log.
pub struct Cursor {
    logs: Logs,
    device: DeviceId,
    last: i64,
    replayed: VecDeque<Arc<LogEntry>>,
    live: bool,
    items: broadcast::Receiver<Item>,
}

impl Logs {
    /// Follows a device's log: everything after `since`, then what comes; only what comes, without it.
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

    /// Passes on something that the log does not keep, to those who follow right now.
    pub(in crate::service) fn emit(&self, device: &DeviceId, event: &EphemeralEvent) {
        let Some(feed) = self.tails.get(device) else { return };
        let stamped = Stamped { device_id: device, timestamp: self.clock.now(), seq: None, body: event };
        match serde_json::value::to_raw_value(&stamped) {
            Ok(payload) => {
                let _ = feed.items.send(Item::Live(Arc::new(LiveEntry { kind: event.name(), payload })));
            }
            Err(error) => {
                tracing::error!(%device, %error, event = event.name(), "an event cannot be serialised");
            }
        }
    }

    /// Whether anybody follows this device right now.
    pub(in crate::service) fn is_followed(&self, device: &DeviceId) -> bool {
        self.tails.get(device).is_some()
    }

    async fn subscribe(&self, device: &DeviceId) -> broadcast::Receiver<Item> {
        let (items, mut tailing) = self.feed(device);
        // Entries committed after the tail's first look are told; earlier ones the cursor finds in the log.
        let _ = tailing.wait_for(|tailing| *tailing).await;
        items
    }

    fn feed(&self, device: &DeviceId) -> (broadcast::Receiver<Item>, watch::Receiver<bool>) {
        let mut followed = self.tails.lock();
        if let Some(feed) = followed.get(device) {
            return (feed.items.subscribe(), feed.tailing.clone());
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

    /// Ends a feed that nobody follows any more. Under the lock, so that nobody joins in between.
    fn remove_if_alone(&self, device: &DeviceId) -> bool {
        let mut followed = self.lock();
        // A feed that is gone from the map was closed; its tail has nothing left to do either.
        let alone = followed.get(device).is_none_or(|feed| feed.items.receiver_count() == 0);
        if alone {
            followed.remove(device);
        }
        alone
    }

    /// Ends the feed of a device that is gone; its followers see the end.
    pub(in crate::service) fn close(&self, device: &DeviceId) {
        self.lock().remove(device);
    }
}

/// The one task that reads a followed log.
struct LogTailReader {
    logs: Logs,
    device: DeviceId,
    items: broadcast::Sender<Item>,
}

/// The pause before a failed read of new events is tried again.
const READ_PAUSE: std::time::Duration = std::time::Duration::from_millis(250);
/// How often a tail looks whether anybody still follows.
const IDLE_CHECK: std::time::Duration = std::time::Duration::from_secs(5);

impl LogTailReader {
    async fn run(self, started: watch::Sender<bool>) {
        let mut head = self.logs.store.follow(&self.device);
        let mut last = self.newest().await;
        let _ = started.send(true);
        let soft = self.logs.tasks.soft().clone();
        loop {
            tokio::select! {
                () = soft.cancelled() => break,
                changed = tokio::time::timeout(IDLE_CHECK, head.changed()) => match changed {
                    // Also under steady traffic a log that nobody follows any more is not read on.
                    Ok(Ok(())) if self.is_alone() => break,
                    Ok(Ok(())) => last = self.pass_on(last).await,
                    Ok(Err(_)) => break,
                    Err(_) if self.is_alone() => break,
                    Err(_) => {}
                }
            }
        }
    }

    fn is_alone(&self) -> bool {
        self.logs.tails.remove_if_alone(&self.device)
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
            // From the beginning: cursors skip what they have.
            Err(error) => {
                tracing::warn!(device = %self.device, %error, "the log's head could not be read");
                0
            }
        }
    }

    async fn pass_on(&self, mut last: i64) -> i64 {
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
                    tracing::warn!(device = %self.device, %error, "new events could not be read; trying again");
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
    /// The next item; waits for it. `None` when the device is gone or the daemon drains. Dropping the
    /// future loses nothing.
    pub async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(entry) = self.replayed.pop_front() {
                self.last = entry.seq;
                return Some(Item::Logged(entry));
            }
            if !self.live {
                self.read_on().await?;
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
                Err(broadcast::error::RecvError::Closed) => return self.last_words().await,
            }
        }
    }

    /// The position of the last entry that was yielded.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.last
    }

    /// Whether it still reads what is past.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        !self.live || !self.replayed.is_empty()
    }

    async fn read_on(&mut self) -> Option<()> {
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

    /// The feed ended: what the log still holds, and then nothing.
    async fn last_words(&mut self) -> Option<Item> {
        let entries = page(&self.logs, &self.device, self.last).await.unwrap_or_default();
        self.replayed.extend(entries);
        let entry = self.replayed.pop_front()?;
        self.last = entry.seq;
        Some(Item::Logged(entry))
    }
}
