//! What waits in the network for one device: messages, and events that are due at some time.
//!
//! Both queues are bounded in number and in bytes. Nothing leaves them before the daemon has taken it, so
//! that a session that ends in the middle loses nothing.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::journal::JournalError;
use super::letter::NetworkMessage;
use crate::domain::jid::Jid;
use crate::engine::EngineEvent;

/// Messages that may wait for one device.
pub(super) const MAX_PENDING: usize = 10_000;
/// Events that may wait for one device.
const MAX_DUE: usize = 20_000;
/// Bytes that may wait in each of the two queues of one device.
const MAX_BYTES: usize = 8 << 20;
/// What a waiting thing costs besides its text.
const OVERHEAD: usize = 256;

/// Told once a message was acknowledged and the acknowledgement is on disk.
pub(super) type Acknowledged = oneshot::Sender<Result<(), JournalError>>;

/// A message that the daemon has not acknowledged yet.
pub(super) struct UnacknowledgedMessage {
    /// Its number in the journal.
    pub(super) no: u64,
    pub(super) letter: NetworkMessage,
    /// A control call that waits for it.
    pub(super) waiter: Option<Acknowledged>,
}

/// Messages in the order in which they were written.
#[derive(Default)]
pub(super) struct Pending {
    parcels: VecDeque<UnacknowledgedMessage>,
    bytes: usize,
}

impl Pending {
    /// Whether one more may wait.
    pub(super) fn has_room(&self, letter: &NetworkMessage) -> bool {
        self.parcels.len() < MAX_PENDING && self.bytes + cost(letter.text_len()) <= MAX_BYTES
    }

    pub(super) fn push(&mut self, parcel: UnacknowledgedMessage) {
        self.bytes += cost(parcel.letter.text_len());
        self.parcels.push_back(parcel);
    }

    pub(super) fn front(&self) -> Option<&UnacknowledgedMessage> {
        self.parcels.front()
    }

    /// Takes out the first one, if it is the one with this number.
    pub(super) fn remove(&mut self, no: u64) -> Option<UnacknowledgedMessage> {
        let parcel = self.parcels.pop_front_if(|parcel| parcel.no == no)?;
        self.bytes -= cost(parcel.letter.text_len());
        Some(parcel)
    }

    /// Takes out everything.
    pub(super) fn clear(&mut self) -> Vec<UnacknowledgedMessage> {
        std::mem::take(self).parcels.into()
    }
}

/// What happens at some time.
#[derive(Debug, Clone)]
pub(super) enum Due {
    /// The daemon is told.
    Event(Box<EngineEvent>),
    /// A contact answers what they were sent.
    Echo { chat: Jid, from: Jid, body: String },
}

impl Due {
    /// The daemon is told.
    pub(super) fn event(event: EngineEvent) -> Self {
        Self::Event(Box::new(event))
    }

    fn cost(&self) -> usize {
        match self {
            Self::Event(event) => cost(text_of(event)),
            Self::Echo { body, .. } => cost(body.len()),
        }
    }

    /// Whether it still matters when the device comes back later.
    fn survives_disconnect(&self) -> bool {
        match self {
            Self::Event(event) => {
                !matches!(**event, EngineEvent::Typing { .. } | EngineEvent::Presence { .. })
            }
            Self::Echo { .. } => true,
        }
    }
}

/// Names a due thing: when, and in which order of those due at the same time.
pub(super) type DueKey = (Instant, u64);

struct Entry {
    due: Due,
    waiter: Option<oneshot::Sender<()>>,
}

/// Due things in the order of their times.
#[derive(Default)]
pub(super) struct DueQueue {
    entries: BTreeMap<DueKey, Entry>,
    bytes: usize,
    next: u64,
}

impl DueQueue {
    /// Notes something for `at`; false when there is no room, and it is forgotten.
    pub(super) fn add(&mut self, at: Instant, due: Due, waiter: Option<oneshot::Sender<()>>) -> bool {
        let cost = due.cost();
        if self.entries.len() >= MAX_DUE || self.bytes + cost > MAX_BYTES {
            return false;
        }
        self.bytes += cost;
        self.next += 1;
        self.entries.insert((at, self.next), Entry { due, waiter });
        true
    }

    /// What comes first.
    pub(super) fn first(&self) -> Option<(DueKey, &Due)> {
        self.entries.first_key_value().map(|(key, entry)| (*key, &entry.due))
    }

    /// It was done: takes it out and tells who waits for it.
    pub(super) fn complete(&mut self, key: DueKey) {
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        self.bytes -= entry.due.cost();
        if let Some(waiter) = entry.waiter {
            let _ = waiter.send(());
        }
    }

    /// Forgets what nobody wants to hear later.
    pub(super) fn drop_ephemeral(&mut self) {
        self.entries.retain(|_, entry| entry.due.survives_disconnect());
        self.bytes = self.entries.values().map(|entry| entry.due.cost()).sum();
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

/// Roughly the bytes of what an event says.
fn text_of(event: &EngineEvent) -> usize {
    match event {
        EngineEvent::Edited { body, .. } => body.len(),
        EngineEvent::Vote { options, .. } => options.iter().map(String::len).sum(),
        EngineEvent::Groups { groups, .. } => {
            groups.iter().map(|group| OVERHEAD + OVERHEAD * group.participants.len()).sum()
        }
        EngineEvent::GroupChanged { participants, text, .. } => {
            participants.len() * OVERHEAD + text.as_ref().map_or(0, String::len)
        }
        _ => 0,
    }
}

fn cost(body: usize) -> usize {
    body + OVERHEAD
}
