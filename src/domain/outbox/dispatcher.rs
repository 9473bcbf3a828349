//! Order and pace together: what a device sends next.

use std::collections::HashSet;

use super::{HeldBy, Next, Pace, Pacer, Queue, QueuedMessage, Rules, SendPermission, SentRecord};
use crate::domain::clock::Millis;
use crate::domain::jid::Jid;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextSend {
    /// Send this one. It is on its way out until [`Dispatch::left`] or [`Dispatch::release`], and its chat is
    /// under way until [`Dispatch::done`], [`Dispatch::retry`] or [`Dispatch::put_back`].
    Send(QueuedMessage),
    /// Something waits, and is held back until this moment, or, without one, until something under way
    /// moves on.
    Held(Option<Millis>, HeldBy),
    /// Nothing waits, or all that waits belongs to chats under way.
    Idle,
}

/// The queue and the pace of one device.
#[derive(Debug, Default)]
pub struct Dispatcher {
    queue: Queue,
    pacer: Pacer,
    /// Chats in the queue that have no earlier message, while there is a limit on these.
    strangers: HashSet<Jid>,
}

impl Dispatcher {
    /// Puts a message in; `new_chat`: its chat has no earlier message in either direction.
    pub fn push(&mut self, entry: QueuedMessage, new_chat: bool) {
        if new_chat && !self.pacer.has_opened(&entry.chat) {
            self.strangers.insert(entry.chat.clone());
        }
        self.queue.push(entry);
    }

    /// What is in the queue.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Chats that wait to be opened.
    #[must_use]
    pub fn strangers(&self) -> &HashSet<Jid> {
        &self.strangers
    }

    /// Which of the chats that are in the queue have no earlier message, as now known.
    pub fn set_strangers(&mut self, chats: impl IntoIterator<Item = Jid>) {
        let pacer = &self.pacer;
        self.strangers = chats.into_iter().filter(|chat| !pacer.has_opened(chat)).collect();
    }

    /// Forgets what waits and is not among these rows.
    pub fn keep(&mut self, there: impl Fn(i64) -> bool) {
        self.queue.keep(there);
        let queue = &self.queue;
        self.strangers.retain(|chat| queue.has(chat));
    }

    /// See [`Queue::regroup`].
    pub fn recompute_group<'a>(&mut self, entries: impl Iterator<Item = &'a QueuedMessage>) {
        self.queue.recompute_group(entries);
        let queue = &self.queue;
        self.strangers.retain(|chat| queue.has(chat));
    }

    /// Learns what left before; see [`Pacer::learn`].
    pub fn learn(&mut self, past: Vec<SentRecord>, pace: Pace, unit: f64) {
        self.pacer.restore(past, pace, unit);
    }

    /// Takes the next message that may leave at `now`.
    pub fn next(&mut self, rules: &Rules, now: Millis) -> NextSend {
        let Some((ready_at, not_ready)) = self.queue.ready_at() else { return NextSend::Idle };
        match self.pacer.gate(rules, now) {
            SendPermission::Open => {}
            // Told is what holds it back for longest.
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
                // Whichever comes first; the limit is the more telling reason.
                NextSend::Held(Some(limit.map_or(at, |until| until.min(at))), limited.max(why))
            }
            (Next::At(at, why), _) => NextSend::Held(Some(at), why),
            (Next::Idle, Some((at, why))) if !self.strangers.is_empty() => NextSend::Held(at, why),
            (Next::Idle, _) => NextSend::Idle,
        }
    }

    /// A message on its way out has left; `unit` (0 … 1) chooses the pause after it.
    pub fn record_sent(&mut self, rules: &Rules, chat: &Jid, departure: SentRecord, unit: f64) {
        self.strangers.remove(chat);
        self.pacer.record_sent(rules, departure, chat, unit);
    }

    /// A message on its way out does not leave after all.
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

    /// See [`Queue::put_back`].
    pub fn requeue(&mut self, entry: QueuedMessage) {
        self.queue.requeue(entry);
    }
}
