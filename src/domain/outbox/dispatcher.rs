//! Combines order and pace: chooses the next message of a device.
//!
//! A chosen message counts towards every limit until it is sent or released.

use std::collections::HashSet;

use super::{HeldBy, Next, Pace, Pacer, Queue, QueuedMessage, Rules, SendPermission, SentRecord};
use crate::domain::clock::Millis;
use crate::domain::jid::Jid;

/// The next step of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextSend {
    /// Send this message. It is leaving until [`Dispatcher::record_sent`] or [`Dispatcher::release`]. Its
    /// chat is busy until [`Dispatcher::done`], [`Dispatcher::retry`] or [`Dispatcher::requeue`].
    Send(QueuedMessage),
    /// Messages are held until this moment or, without one, until a message in flight leaves or is released.
    Held(Option<Millis>, HeldBy),
    /// No messages are queued, or all of them are for chats with a message in flight.
    Idle,
}

/// The queue and the pace of one device.
#[derive(Debug, Default)]
pub struct Dispatcher {
    queue: Queue,
    pacer: Pacer,
    /// Queued chats without an earlier message, while there is a limit on new chats.
    strangers: HashSet<Jid>,
}

impl Dispatcher {
    /// Queues a message; `new_chat`: its chat has no earlier message in either direction.
    pub fn push(&mut self, entry: QueuedMessage, new_chat: bool) {
        if new_chat && !self.pacer.has_opened(&entry.chat) {
            self.strangers.insert(entry.chat.clone());
        }
        self.queue.push(entry);
    }

    /// The queued messages, in order.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// New chats with queued messages.
    #[must_use]
    pub fn strangers(&self) -> &HashSet<Jid> {
        &self.strangers
    }

    /// Replaces the set of queued chats without an earlier message.
    pub fn set_strangers(&mut self, chats: impl IntoIterator<Item = Jid>) {
        let pacer = &self.pacer;
        self.strangers = chats.into_iter().filter(|chat| !pacer.has_opened(chat)).collect();
    }

    /// Drops the queued messages that are not among these rows.
    pub fn keep(&mut self, exists: impl Fn(i64) -> bool) {
        self.queue.keep(exists);
        let queue = &self.queue;
        self.strangers.retain(|chat| queue.has(chat));
    }

    /// See [`Queue::recompute_group`].
    pub fn recompute_group<'a>(&mut self, entries: impl Iterator<Item = &'a QueuedMessage>) {
        self.queue.recompute_group(entries);
        let queue = &self.queue;
        self.strangers.retain(|chat| queue.has(chat));
    }

    /// Loads earlier sends; see [`Pacer::restore`].
    pub fn restore(&mut self, past: Vec<SentRecord>, pace: Pace, unit: f64) {
        self.pacer.restore(past, pace, unit);
    }

    /// Takes the next message that may leave at `now`.
    pub fn next(&mut self, rules: &Rules, now: Millis) -> NextSend {
        let Some((ready_at, not_ready)) = self.queue.ready_at(now) else { return NextSend::Idle };
        match self.pacer.gate(rules, now) {
            SendPermission::Open => {}
            // Report the reason that holds the queue for longest.
            SendPermission::Until(at, _) if ready_at > at => {
                return NextSend::Held(Some(ready_at), not_ready);
            }
            SendPermission::AfterThose(_) if ready_at > now => {
                return NextSend::Held(Some(ready_at), not_ready);
            }
            SendPermission::Until(at, why) => return NextSend::Held(Some(at), why),
            SendPermission::AfterThose(why) => return NextSend::Held(None, why),
        }
        let strangers = match self.pacer.gate_to_new_chat(rules, now) {
            SendPermission::Open => None,
            SendPermission::Until(at, why) => Some((Some(at), why)),
            SendPermission::AfterThose(why) => Some((None, why)),
        };
        let next = self.queue.next(now, |chat| strangers.is_none() || !self.strangers.contains(chat));
        match (next, strangers) {
            (Next::Send(entry), _) => {
                let opening = self.strangers.remove(&entry.chat).then_some(&entry.chat);
                self.pacer.pick(opening);
                NextSend::Send(entry)
            }
            (Next::At(at, why), Some((limit, limited))) if !self.strangers.is_empty() => {
                // Use the earlier moment, but report the limit as the reason.
                NextSend::Held(Some(limit.map_or(at, |until| until.min(at))), limited.max(why))
            }
            (Next::At(at, why), _) => NextSend::Held(Some(at), why),
            (Next::Idle, Some((at, why))) if !self.strangers.is_empty() => NextSend::Held(at, why),
            (Next::Idle, _) => NextSend::Idle,
        }
    }

    /// Records that a chosen message left; `unit` (0 … 1) determines the pause after it.
    pub fn record_sent(&mut self, rules: &Rules, chat: &Jid, departure: SentRecord, unit: f64) {
        self.strangers.remove(chat);
        self.pacer.record_sent(rules, departure, chat, unit);
    }

    /// Releases a chosen message that was not sent.
    pub fn release(&mut self, chat: &Jid) {
        if self.pacer.release(chat) {
            self.strangers.insert(chat.clone());
        }
    }

    /// See [`Queue::done`].
    pub fn done(&mut self, chat: &Jid) {
        self.queue.done(chat);
        if !self.queue.has(chat) {
            self.strangers.remove(chat);
        }
    }

    /// See [`Queue::retry`].
    pub fn retry(&mut self, entry: QueuedMessage) {
        self.queue.retry(entry);
    }

    /// See [`Queue::requeue`].
    pub fn requeue(&mut self, entry: QueuedMessage) {
        self.queue.requeue(entry);
    }
}
