//! The queues of one device: messages that it has not acknowledged, and events that are due later.
//!
//! Both are bounded in number and in bytes. An entry stays until the daemon has ingested it, so that a
//! session that ends in the middle loses nothing.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::network_message::NetworkMessage;
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, IncomingChange};

/// Messages that may wait for one device.
pub(super) const MAX_PENDING: usize = 10_000;
/// Events that may wait for one device.
const MAX_DUE: usize = 20_000;
/// Bytes that may wait in each of the two queues of one device.
const MAX_BYTES: usize = 8 << 20;
/// Bytes of an entry besides its text.
const OVERHEAD: usize = 256;

/// A message that the daemon has not acknowledged yet.
pub(super) struct UnacknowledgedMessage {
    /// Its number within the device.
    pub(super) number: u64,
    pub(super) message: NetworkMessage,
    /// Whether the vault has it, or is about to.
    pub(super) is_stored: bool,
    /// Whether it was read from the vault: an earlier process accepted it.
    pub(super) is_restored: bool,
    /// Whether the daemon has ingested it; it is then removed from the vault and the queue.
    pub(super) is_ingested: bool,
    /// Resolved when the acknowledgement is on disk.
    pub(super) waiter: Option<oneshot::Sender<()>>,
}

/// Messages in the order in which they were accepted.
#[derive(Default)]
pub(super) struct PendingMessages {
    messages: VecDeque<UnacknowledgedMessage>,
    bytes: usize,
}

impl PendingMessages {
    /// Adds a message; gives it back when the queue is full.
    pub(super) fn push(&mut self, message: UnacknowledgedMessage) -> bool {
        let bytes = cost(message.message.text_len());
        if self.messages.len() >= MAX_PENDING || self.bytes + bytes > MAX_BYTES {
            return false;
        }
        self.bytes += bytes;
        self.messages.push_back(message);
        true
    }

    pub(super) fn oldest_first(&self) -> impl Iterator<Item = &UnacknowledgedMessage> {
        self.messages.iter()
    }

    /// All messages, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &NetworkMessage> {
        self.messages.iter().rev().map(|pending| &pending.message)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut UnacknowledgedMessage> {
        let at = self.messages.binary_search_by_key(&number, |pending| pending.number).ok()?;
        self.messages.get_mut(at)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<UnacknowledgedMessage> {
        let at = self.messages.binary_search_by_key(&number, |pending| pending.number).ok()?;
        let pending = self.messages.remove(at)?;
        self.bytes -= cost(pending.message.text_len());
        Some(pending)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// An action at a given time.
#[derive(Debug, Clone)]
pub(super) enum Due {
    /// An event is delivered to the daemon.
    Event(Box<EngineEvent>),
    /// A contact answers a message.
    Echo { chat: Jid, from: Jid, body: String },
}

impl Due {
    pub(super) fn event(event: EngineEvent) -> Self {
        Self::Event(Box::new(event))
    }

    fn cost(&self) -> usize {
        match self {
            Self::Event(event) => cost(text_of(event)),
            Self::Echo { body, .. } => cost(body.len()),
        }
    }

    /// Whether it is kept until the device is connected again.
    fn survives_disconnect(&self) -> bool {
        match self {
            Self::Event(event) => {
                !matches!(**event, EngineEvent::Typing { .. } | EngineEvent::Presence { .. })
            }
            Self::Echo { .. } => true,
        }
    }
}

/// Identifies an entry by its time and its position among those of the same time.
pub(super) type DueKey = (Instant, u64);

struct LedgerEntry {
    due: Due,
    waiter: Option<oneshot::Sender<()>>,
}

/// Entries in the order of their times.
#[derive(Default)]
pub(super) struct DueQueue {
    entries: BTreeMap<DueKey, LedgerEntry>,
    bytes: usize,
    next: u64,
}

impl DueQueue {
    /// Adds an entry for `at`; returns false when the queue is full.
    pub(super) fn add(&mut self, at: Instant, due: Due, waiter: Option<oneshot::Sender<()>>) -> bool {
        let cost = due.cost();
        if self.entries.len() >= MAX_DUE || self.bytes + cost > MAX_BYTES {
            return false;
        }
        self.bytes += cost;
        self.next += 1;
        self.entries.insert((at, self.next), LedgerEntry { due, waiter });
        true
    }

    /// The entries that are due at `now`, oldest first.
    pub(super) fn until(&self, now: Instant) -> impl Iterator<Item = (DueKey, &Due)> {
        self.entries.range(..=(now, u64::MAX)).map(|(key, entry)| (*key, &entry.due))
    }

    /// The time of the next entry.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|(key, _)| key.0)
    }

    /// Removes an entry that was executed, and resolves its waiter.
    pub(super) fn complete(&mut self, key: DueKey) {
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        self.bytes -= entry.due.cost();
        if let Some(waiter) = entry.waiter {
            let _ = waiter.send(());
        }
    }

    /// Removes the entries that are of no use after a disconnect.
    pub(super) fn drop_ephemeral(&mut self) {
        self.entries.retain(|_, entry| entry.due.survives_disconnect());
        self.bytes = self.entries.values().map(|entry| entry.due.cost()).sum();
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

/// Roughly the bytes of an event's text.
fn text_of(event: &EngineEvent) -> usize {
    match event {
        EngineEvent::MessageChange(IncomingChange::Edited { body, .. }) => body.len(),
        EngineEvent::MessageChange(IncomingChange::Vote { options, .. }) => {
            options.iter().map(String::len).sum()
        }
        EngineEvent::Groups { groups, .. } => {
            groups.iter().map(|group| OVERHEAD + OVERHEAD * group.participants.len()).sum()
        }
        EngineEvent::GroupChanged { participants, text, .. } => {
            participants.len() * OVERHEAD + text.as_ref().map_or(0, String::len)
        }
        _ => 0,
    }
}

fn cost(text: usize) -> usize {
    text + OVERHEAD
}
