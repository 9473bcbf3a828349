//! Queues stanzas for a companion until it confirms them, and handles `<ib>`.
//!
//! Stanzas are sent in order, once on each connection, after the companion declared itself active
//! ([`active`]). A stanza stays until the companion has confirmed it or, if it needs no confirmation, until
//! it was sent. A queue has at most [`MOST`] entries.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{Mutex, oneshot};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::dispatch::Session;
use super::phone_messages::PhoneMessage;
use super::state::Account;
use crate::wire::connection::Link;
use crate::wire::nodes;

/// The most queued stanzas of one companion.
const MOST: usize = 20_000;

/// Unconfirmed stanzas of a companion, oldest first.
#[derive(Default)]
pub struct Queue {
    entries: VecDeque<QueuedStanza>,
    /// Held while stanzas are sent.
    send_lock: Arc<Mutex<()>>,
}

impl Queue {
    /// The number of unconfirmed stanzas.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the queue is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A queued stanza.
pub struct QueuedStanza {
    stanza: Node,
    /// The message in it, if a phone can encrypt it again.
    phone_message: Option<Arc<PhoneMessage>>,
    /// Completed on confirmation.
    done: Option<oneshot::Sender<()>>,
    /// Whether it stays until it is confirmed.
    confirmed: bool,
    /// The last connection that it was sent on.
    sent_on: Option<u64>,
    /// Acks that belong to an earlier encryption of it.
    spare_acks: u32,
    /// Whether it could not be sent at once.
    late: bool,
}

impl QueuedStanza {
    /// A stanza that stays until it is confirmed.
    #[must_use]
    pub fn new(stanza: Node) -> Self {
        Self {
            stanza,
            phone_message: None,
            done: None,
            confirmed: true,
            sent_on: None,
            spare_acks: 0,
            late: false,
        }
    }

    /// The same without confirmation.
    #[must_use]
    pub fn unconfirmed(mut self) -> Self {
        self.confirmed = false;
        self
    }

    /// The same with the message in it, so that it can be encrypted again.
    #[must_use]
    pub fn of(mut self, phone_message: Arc<PhoneMessage>) -> Self {
        self.phone_message = Some(phone_message);
        self
    }

    /// The same with a notification of its confirmation.
    #[must_use]
    pub fn notifying(mut self, done: Option<oneshot::Sender<()>>) -> Self {
        self.done = done;
        self
    }
}

/// The stanza that a companion confirms.
#[derive(Debug, Clone, Copy)]
pub struct Confirmation<'a> {
    /// Its tag: `message`, `receipt` and others.
    pub tag: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its sender, as the companion repeats it.
    pub from: &'a str,
    /// Its `type`, as the companion repeats it.
    pub kind: Option<&'a str>,
    /// Whether the confirmation is a bare `<ack>`.
    pub bare: bool,
}

/// Queues a stanza for a companion; `None` if the queue is full or the companion was unlinked.
#[must_use]
pub fn queue(account: &Account, device: u16, mut entry: QueuedStanza) -> Option<()> {
    let mut state = account.lock();
    let companion = state.companions.get_mut(&device)?;
    if companion.queue.entries.len() >= MOST {
        return None;
    }
    entry.late = !companion.active;
    companion.queue.entries.push_back(entry);
    Some(())
}

/// Queues a stanza for all companions of an account and sends it to those online.
pub async fn post(account: &Arc<Account>, stanza: &Node, confirmed: bool) -> Vec<oneshot::Receiver<()>> {
    let mut receivers = Vec::new();
    for device in account.devices() {
        let (done, receiver) = oneshot::channel();
        let entry = QueuedStanza::new(stanza.clone()).notifying(Some(done));
        let entry = if confirmed { entry } else { entry.unconfirmed() };
        if queue(account, device, entry).is_some() {
            receivers.push(receiver);
            flush(account, device).await;
        }
    }
    receivers
}

/// Sends queued stanzas on the companion's connection, if it is active; returns their number.
pub async fn flush(account: &Arc<Account>, device: u16) -> usize {
    let Some(send_lock) = account.with(device, |companion| Arc::clone(&companion.queue.send_lock)) else {
        return 0;
    };
    let _gate = send_lock.lock().await;
    let mut left = 0;
    while let Some((link, stanza)) = next(account, device) {
        if !link.send(stanza).await {
            break;
        }
        left += 1;
    }
    left
}

fn next(account: &Account, device: u16) -> Option<(Link, Node)> {
    let mut state = account.lock();
    let companion = state.companions.get_mut(&device).filter(|companion| companion.active)?;
    let link = companion.link.clone()?;
    let entries = &mut companion.queue.entries;
    let at = entries.iter().position(|entry| entry.sent_on != Some(link.id()))?;
    let entry = entries.get_mut(at)?;
    let offline = entry.late || entry.sent_on.is_some();
    let mut stanza = entry.stanza.clone();
    entry.sent_on = Some(link.id());
    if !entry.confirmed {
        let done = entries.remove(at).and_then(|entry| entry.done);
        // The waiting call may be gone.
        done.map(|done| done.send(()));
    } else if offline {
        stanza.attrs.push("offline", "1");
    }
    Some((link, stanza))
}

/// Marks a companion as active: announces the number of queued stanzas, sends them, and reports the end.
pub async fn active(session: &Session) {
    let waiting = session.account.with(session.device, |companion| {
        let link = session.link.id();
        companion.queue.entries.iter_mut().for_each(|entry| entry.late = true);
        let waiting = companion.queue.entries.iter().filter(|entry| entry.sent_on != Some(link));
        waiting.filter(|entry| entry.confirmed).fold((0_u32, 0_u32), |(messages, others), entry| {
            if entry.stanza.tag == "message" { (messages + 1, others) } else { (messages, others + 1) }
        })
    });
    let (messages, others) = waiting.unwrap_or_default();
    let count = messages + others;
    if count > 0 {
        let preview = NodeBuilder::new("offline_preview")
            .attr("count", count)
            .attr("message", messages)
            .attr("receipt", others)
            .attr("notification", 0_u32)
            .attr("appdata", 0_u32)
            .build();
        session.send(NodeBuilder::new("ib").children([preview]).build()).await;
    }
    flush(&session.account, session.device).await;
    let offline = NodeBuilder::new("offline").attr("count", count).build();
    session.send(NodeBuilder::new("ib").children([offline]).build()).await;
}

/// Handles `<ib>` of a companion (`<offline_batch>`, `<unified_session>`), for which everything was
/// sent already.
pub async fn ib(session: &Session, _ib: &Node) {
    flush(&session.account, session.device).await;
}

/// Removes a confirmed stanza; returns the message in it.
pub fn confirm(account: &Account, device: u16, what: Confirmation<'_>) -> Option<Option<Arc<PhoneMessage>>> {
    let mut state = account.lock();
    let entries = &mut state.companions.get_mut(&device)?.queue.entries;
    let at = place(entries, what)?;
    let entry = entries.get_mut(at)?;
    if what.bare && entry.spare_acks > 0 {
        entry.spare_acks -= 1;
        return None;
    }
    let entry = entries.remove(at)?;
    // The waiting call may be gone.
    entry.done.map(|done| done.send(()));
    Some(entry.phone_message)
}

/// A queued message that a companion could not decrypt.
#[must_use]
pub fn waiting(account: &Account, device: u16, id: &str, from: &str) -> Option<Arc<PhoneMessage>> {
    let state = account.lock();
    let entries = &state.companions.get(&device)?.queue.entries;
    let what = Confirmation { tag: "message", id, from, kind: None, bare: false };
    entries.get(place(entries, what)?)?.phone_message.clone()
}

/// Replaces a stanza by one that was encrypted again; it is not sent yet.
pub fn replace(account: &Account, device: u16, id: &str, from: &str, stanza: Node) {
    let mut state = account.lock();
    let Some(companion) = state.companions.get_mut(&device) else { return };
    let entries = &mut companion.queue.entries;
    let what = Confirmation { tag: "message", id, from, kind: None, bare: false };
    let Some(entry) = place(entries, what).and_then(|at| entries.get_mut(at)) else { return };
    entry.stanza = stanza;
    entry.sent_on = None;
    entry.late = false;
    // The companion also acks what it could not decrypt.
    entry.spare_acks += 1;
}

/// The first sent stanza that matches; by its sender if that matches, else by its id only.
fn place(entries: &VecDeque<QueuedStanza>, what: Confirmation<'_>) -> Option<usize> {
    let fits = |entry: &QueuedStanza| {
        entry.sent_on.is_some()
            && entry.stanza.tag == what.tag
            && nodes::attr(&entry.stanza, "id") == what.id
            && (matches!(what.tag, "message" | "call")
                || nodes::attr(&entry.stanza, "type") == what.kind.unwrap_or_default())
    };
    let exactly = |entry: &QueuedStanza| fits(entry) && nodes::attr(&entry.stanza, "from") == what.from;
    entries.iter().position(exactly).or_else(|| entries.iter().position(fits))
}
