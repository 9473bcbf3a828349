//! Follows a device's log for sockets, streams and webhooks.
//!
//! One task for each followed device reads new entries once and shares them with all cursors. A [`Cursor`]
//! replays the log, then receives shared entries, and replays again after a gap.
//!
//! Invariants: a cursor yields every entry after its start exactly once and in order. A slow cursor costs a
//! bounded buffer and delays no other cursor. The task ends when there are no cursors.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use super::ContactTyping;
use crate::domain::clock::Millis;
use crate::domain::event::{EphemeralEvent, Stamped};
use crate::domain::ids::DeviceId;
use crate::domain::state::State;
use crate::service::{Logs, ServiceError};
use crate::store::events::LogRow;
use crate::store::{LogHead, RecentEntries};

/// Buffered items of one cursor; above this number it reads from the log again.
const BUFFER: usize = 256;

/// An entry of a log, shared by all cursors.
#[derive(Debug)]
pub struct LogEntry {
    /// The position in the log.
    pub seq: i64,
    /// The wire name of the event.
    pub kind: Cow<'static, str>,
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

/// A cursor cannot continue: its log could not be read. The device may still exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorEnded;

/// The log tails of all followed devices.
#[derive(Default)]
pub(in crate::service) struct LogTails {
    followed: Mutex<HashMap<DeviceId, LogTail>>,
}

#[derive(Clone)]
struct LogTail {
    items: broadcast::Sender<Item>,
    /// The log's head when the task began to follow it; `None` until then.
    start: watch::Receiver<Option<LogHead>>,
    /// The entries that were committed since.
    commits: watch::Receiver<LogHead>,
}

impl LogTail {
    /// The head of the log now; `None` until the task follows it, or if its start could not be read.
    fn head(&self) -> Option<LogHead> {
        let start = self.start.borrow().clone().filter(|start| start.state.is_some())?;
        let committed = self.commits.borrow().clone();
        if committed.newest < start.newest {
            return Some(start);
        }
        Some(LogHead { newest: committed.newest, state: committed.state.or(start.state) })
    }
}

/// One subscriber's position in a log.
pub struct Cursor {
    logs: Logs,
    device: DeviceId,
    last: i64,
    replayed: VecDeque<Arc<LogEntry>>,
    live: bool,
    /// The tail has ended.
    closed: bool,
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
        if let Some(since) = since.filter(|since| self.head(device).is_some_and(|head| head.newest == *since))
        {
            return Ok((self.cursor(device, since, true, items), None));
        }
        let id = device.clone();
        let range = self.store.read(move |store| store.log_range(&id)).await?;
        let gap = since.is_some_and(|since| !range.covers(since));
        let last = if gap { range.newest } else { since.unwrap_or(range.newest) };
        let cursor = self.cursor(device, last, last == range.newest, items);
        let resync = gap.then_some(Resync { oldest_seq: range.oldest, newest_seq: range.newest });
        Ok((cursor, resync))
    }

    fn cursor(&self, device: &DeviceId, last: i64, live: bool, items: broadcast::Receiver<Item>) -> Cursor {
        let (logs, device) = (self.clone(), device.clone());
        Cursor { logs, device, last, replayed: VecDeque::new(), live, closed: false, items }
    }

    /// The head of a log that is followed; `None` if it is not. The state is at least as new as the position.
    pub(super) fn head(&self, device: &DeviceId) -> Option<LogHead> {
        self.tails.get(device)?.head()
    }

    /// The state of a device. It is read from memory while the device's log is followed.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn state(&self, device: &DeviceId) -> Result<Arc<State>, ServiceError> {
        if !self.registry.device_exists(device) {
            return Err(ServiceError::DeviceNotFound);
        }
        if let Some(state) = self.head(device).and_then(|head| head.state) {
            return Ok(state);
        }
        let id = device.clone();
        let stored =
            self.store.read(move |store| store.device(&id)?.ok_or(ServiceError::DeviceNotFound)).await?;
        Ok(Arc::new(stored.state))
    }

    /// Emits an ephemeral event to the current cursors.
    pub(in crate::service) fn emit(&self, device: &DeviceId, event: &EphemeralEvent) {
        if let (EphemeralEvent::Typing { chat_id, on, .. }, Some(followers)) = (event, self.typing.get()) {
            // Without a receiver nothing is to be done.
            let _ = followers.send(ContactTyping { device: device.clone(), chat: chat_id.clone(), on: *on });
        }
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
        let (items, mut start) = self.tail(device);
        // The tail sends the entries after its start position; the cursor reads earlier ones from the log.
        let _ = start.wait_for(Option::is_some).await;
        items
    }

    fn tail(&self, device: &DeviceId) -> (broadcast::Receiver<Item>, watch::Receiver<Option<LogHead>>) {
        let mut followed = self.tails.lock();
        if let Some(tail) = followed.get(device) {
            return (tail.items.subscribe(), tail.start.clone());
        }
        let (items, receiver) = broadcast::channel(BUFFER);
        let (started, start) = watch::channel(None);
        let (commits, recent) = self.store.follow_entries(device);
        let tail = LogTail { items: items.clone(), start: start.clone(), commits: commits.clone() };
        followed.insert(device.clone(), tail);
        let reader = LogTailReader { logs: self.clone(), device: device.clone(), items, commits, recent };
        self.tasks.spawn("log-tail", reader.run(started));
        (receiver, start)
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
    commits: watch::Receiver<LogHead>,
    recent: Arc<RecentEntries>,
}

/// The pause before a failed read of new entries is retried.
const READ_PAUSE: std::time::Duration = std::time::Duration::from_millis(250);
/// How often a tail checks whether it still has cursors.
const IDLE_CHECK: std::time::Duration = std::time::Duration::from_secs(5);

impl LogTailReader {
    async fn run(self, started: watch::Sender<Option<LogHead>>) {
        let mut commits = self.commits.clone();
        let start = self.read_head().await;
        let mut last = start.newest;
        let _ = started.send(Some(start));
        let soft = self.logs.tasks.soft().clone();
        loop {
            tokio::select! {
                () = soft.cancelled() => break,
                changed = tokio::time::timeout(IDLE_CHECK, commits.changed()) => match changed {
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

    async fn read_head(&self) -> LogHead {
        let device = self.device.clone();
        let read = self.logs.store.read::<_, ServiceError, _>(move |store| {
            let newest = store.log_range(&device)?.newest;
            let state = store.device(&device)?.map(|device| Arc::new(device.state));
            Ok(LogHead { newest, state })
        });
        match read.await {
            Ok(head) => head,
            // Start at 0: cursors skip the entries that they have.
            Err(error) => {
                tracing::warn!(device = %self.device, %error, "the head of the log could not be read");
                LogHead::default()
            }
        }
    }

    /// Sends the entries after `last` and returns the position of the last one. They are in memory, unless too
    /// many were committed at once.
    async fn publish(&self, mut last: i64) -> i64 {
        for row in self.recent.take_after(last) {
            last = self.send(Arc::new(row.into()));
        }
        while last < self.commits.borrow().newest {
            match page(&self.logs, &self.device, last).await {
                // The newest entries were pruned.
                Ok(entries) if entries.is_empty() => return last,
                Ok(entries) => {
                    for entry in entries {
                        last = self.send(entry);
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
        last
    }

    fn send(&self, entry: Arc<LogEntry>) -> i64 {
        let seq = entry.seq;
        let _ = self.items.send(Item::Logged(entry));
        seq
    }
}

async fn page(logs: &Logs, device: &DeviceId, after: i64) -> Result<Vec<Arc<LogEntry>>, ServiceError> {
    let (of, limit) = (device.clone(), logs.limits.replay_page);
    let entries = logs.store.read_of(device, move |store| store.events_after(&of, after, limit)).await?;
    Ok(entries.into_iter().map(|entry| Arc::new(entry.into())).collect())
}

impl Cursor {
    /// Waits for the next item. `None` when the device is removed or the daemon drains. Cancel-safe.
    pub async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.try_next() {
                return Some(item);
            }
            if !self.live {
                self.replay().await?;
                continue;
            }
            match self.items.recv().await {
                Ok(item) => match self.accept(item) {
                    Some(item) => return Some(item),
                    None => continue,
                },
                Err(RecvError::Lagged(_)) => self.lag(),
                Err(RecvError::Closed) => return self.next_after_end().await,
            }
        }
    }

    /// The next item that is in memory. `None` when there is none; older entries may have to be read from the
    /// store then, see [`Cursor::is_replaying`].
    pub fn try_next(&mut self) -> Option<Item> {
        if let Some(entry) = self.replayed.pop_front() {
            self.last = entry.seq;
            return Some(Item::Logged(entry));
        }
        while self.live {
            match self.items.try_recv() {
                Ok(item) => {
                    if let Some(item) = self.accept(item) {
                        return Some(item);
                    }
                }
                Err(TryRecvError::Lagged(_)) => self.lag(),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Closed) => {
                    self.closed = true;
                    break;
                }
            }
        }
        None
    }

    /// The next item, read from the store where necessary. `Ok(None)` once the cursor has caught up with its
    /// log. Cancel-safe.
    ///
    /// # Errors
    /// When the device is removed, the daemon drains, or the log cannot be read now.
    pub async fn next_until_caught_up(&mut self) -> Result<Option<Item>, CursorEnded> {
        loop {
            if let Some(item) = self.try_next() {
                return Ok(Some(item));
            }
            if self.closed {
                return self.next_after_end().await.map(Some).ok_or(CursorEnded);
            }
            if self.live {
                return Ok(None);
            }
            self.replay().await.ok_or(CursorEnded)?;
        }
    }

    /// Takes a shared item; `None` if it was yielded before, or if entries before it must be read first.
    fn accept(&mut self, item: Item) -> Option<Item> {
        let Item::Logged(entry) = &item else { return Some(item) };
        if entry.seq <= self.last {
            return None;
        }
        if entry.seq > self.last + 1 {
            self.live = false;
            return None;
        }
        self.last = entry.seq;
        Some(item)
    }

    fn lag(&mut self) {
        self.logs.metrics.bus_lagged.inc();
        self.live = false;
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
