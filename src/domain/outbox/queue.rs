//! The order of messages: first in, first out within a chat; the highest priority first among chats.
//!
//! At most one message of a chat is in flight.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::{HeldBy, Priority};
use crate::domain::clock::Millis;
use crate::domain::jid::Jid;

/// The longest pause before another attempt, in milliseconds.
pub const LONGEST_RETRY_MS: u64 = 5 * 60_000;

/// One message in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// The outbox row; later rows have higher numbers.
    pub row: i64,
    /// The chat it goes to.
    pub chat: Jid,
    /// The priority among the first messages of all chats.
    pub priority: Priority,
    /// The earliest moment to send it; 0 for one that is not scheduled.
    pub due: Millis,
    /// After a failed attempt: the moment of the next one. Until then the chat's other messages wait.
    pub retry_at: Option<Millis>,
}

#[derive(Debug, Default)]
struct ChatQueue {
    waiting: BTreeMap<(Millis, i64), Priority>,
    /// The retry that blocks the chat: its moment and its row.
    blocked: Option<(Millis, i64)>,
    under_way: bool,
}

impl ChatQueue {
    fn ready_at(&self, now: Millis) -> Option<(Millis, HeldBy)> {
        let ((due, _), _) = self.waiting.first_key_value()?;
        // A retry is never planned later than this: the clock was set back, and its pause is over.
        let latest = now.plus(LONGEST_RETRY_MS.cast_signed());
        Some(match self.blocked {
            Some((until, _)) if until > *due && until <= latest => (until, HeldBy::Retry),
            _ => (*due, HeldBy::Schedule),
        })
    }
}

/// The next step of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send this message; its chat is busy until [`Queue::done`], [`Queue::retry`] or [`Queue::requeue`].
    Send(QueuedMessage),
    /// No message may be sent before this moment.
    At(Millis, HeldBy),
    /// No messages are queued, or all of them are for busy chats.
    Idle,
}

/// The queued messages of one device, in order.
#[derive(Debug, Default)]
pub struct Queue {
    lanes: HashMap<Jid, ChatQueue>,
}

impl Queue {
    /// Queues a message. Queueing a row again changes nothing.
    pub fn push(&mut self, entry: QueuedMessage) {
        let lane = self.lanes.entry(entry.chat).or_default();
        lane.waiting.insert((entry.due, entry.row), entry.priority);
        if let Some(until) = entry.retry_at {
            lane.blocked = lane.blocked.max(Some((until, entry.row)));
        }
    }

    /// The number of queued messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.waiting.len()).sum()
    }

    /// Whether no message is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.values().all(|lane| lane.waiting.is_empty())
    }

    /// The chats with queued messages.
    pub fn chats(&self) -> impl Iterator<Item = &Jid> {
        self.lanes.iter().filter(|(_, lane)| !lane.waiting.is_empty()).map(|(chat, _)| chat)
    }

    /// Whether a message to this chat is queued or in flight.
    #[must_use]
    pub fn has(&self, chat: &Jid) -> bool {
        self.lanes.contains_key(chat)
    }

    /// Drops the queued messages that are not among these rows, and the blocks of dropped retries.
    pub fn keep(&mut self, exists: impl Fn(i64) -> bool) {
        self.lanes.retain(|_, lane| {
            lane.waiting.retain(|(_, row), _| exists(*row));
            lane.blocked = lane.blocked.filter(|(_, row)| exists(*row));
            lane.under_way || !lane.waiting.is_empty()
        });
    }

    /// Moves queued messages to the chats that these entries name, after chats were merged.
    pub fn recompute_group<'a>(&mut self, entries: impl Iterator<Item = &'a QueuedMessage>) {
        let chats: HashMap<i64, &Jid> = entries.map(|entry| (entry.row, &entry.chat)).collect();
        let mut moved = Vec::new();
        for (chat, lane) in &mut self.lanes {
            let elsewhere = |row: i64| chats.get(&row).copied().filter(|now| *now != chat);
            let blocked = lane.blocked;
            moved.extend(lane.waiting.extract_if(.., |(_, row), _| elsewhere(*row).is_some()).filter_map(
                |((due, row), priority)| {
                    let retry_at = blocked.filter(|(_, of)| *of == row).map(|(until, _)| until);
                    Some(QueuedMessage { row, chat: elsewhere(row)?.clone(), priority, due, retry_at })
                },
            ));
            lane.blocked = lane.blocked.filter(|(_, row)| elsewhere(*row).is_none());
        }
        self.lanes.retain(|_, lane| lane.under_way || !lane.waiting.is_empty());
        moved.into_iter().for_each(|entry| self.push(entry));
    }

    /// When the first queued message may be sent, by the order alone, and why not earlier. `None` when no
    /// messages are queued, or all of them are for busy chats.
    #[must_use]
    pub fn ready_at(&self, now: Millis) -> Option<(Millis, HeldBy)> {
        self.lanes.values().filter(|lane| !lane.under_way).filter_map(|lane| lane.ready_at(now)).min()
    }

    /// Takes the next message that may be sent at `now`, to a chat that `may` allows.
    pub fn next(&mut self, now: Millis, may: impl Fn(&Jid) -> bool) -> Next {
        let mut best: Option<(Priority, (Millis, i64), &Jid)> = None;
        let mut earliest: Option<(Millis, HeldBy)> = None;
        for (chat, lane) in self.lanes.iter().filter(|(chat, lane)| !lane.under_way && may(chat)) {
            let (Some((ready_at, why)), Some((key, priority))) =
                (lane.ready_at(now), lane.waiting.first_key_value())
            else {
                continue;
            };
            if ready_at > now {
                earliest = Some(earliest.map_or((ready_at, why), |e| e.min((ready_at, why))));
                continue;
            }
            let better = best.as_ref().is_none_or(|(p, k, _)| (*priority, Reverse(*key)) > (*p, Reverse(*k)));
            if better {
                best = Some((*priority, *key, chat));
            }
        }
        let Some((priority, key, chat)) = best else {
            return earliest.map_or(Next::Idle, |(at, why)| Next::At(at, why));
        };
        let chat = chat.clone();
        if let Some(lane) = self.lanes.get_mut(&chat) {
            lane.waiting.remove(&key);
            lane.under_way = true;
            lane.blocked = None;
        }
        Next::Send(QueuedMessage { row: key.1, chat, priority, due: key.0, retry_at: None })
    }

    /// Marks the chat as free: its message in flight was sent or given up.
    pub fn done(&mut self, chat: &Jid) {
        let Some(lane) = self.lanes.get_mut(chat) else { return };
        lane.under_way = false;
        if lane.waiting.is_empty() {
            self.lanes.remove(chat);
        }
    }

    /// Queues the message in flight again, for `entry.retry_at`; it blocks its chat until then.
    pub fn retry(&mut self, entry: QueuedMessage) {
        if let Some(lane) = self.lanes.get_mut(&entry.chat) {
            lane.under_way = false;
        }
        self.push(entry);
    }

    /// Returns a chosen message that was not sent to its place.
    pub fn requeue(&mut self, entry: QueuedMessage) {
        self.retry(QueuedMessage { retry_at: None, ..entry });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chat(n: u8) -> Jid {
        Jid::person(&format!("155501000{n:02}")).unwrap()
    }

    fn entry(row: i64, n: u8, priority: Priority) -> QueuedMessage {
        QueuedMessage { row, chat: chat(n), priority, due: Millis(0), retry_at: None }
    }

    fn all(_: &Jid) -> bool {
        true
    }

    fn sent(next: Next) -> Option<i64> {
        if let Next::Send(entry) = next { Some(entry.row) } else { None }
    }

    #[test]
    fn merged_chats_keep_message_order() {
        let mut queue = Queue::default();
        queue.push(entry(1, 1, Priority::Normal));
        queue.push(entry(2, 2, Priority::Normal));
        queue.push(entry(3, 1, Priority::Normal));
        let now = [1, 2, 3].map(|row| entry(row, 2, Priority::Normal));
        queue.recompute_group(now.iter());
        assert!(!queue.has(&chat(1)));
        for row in 1..=3 {
            assert_eq!(sent(queue.next(Millis(0), all)), Some(row));
            assert_eq!(sent(queue.next(Millis(0), all)), None, "one at a time");
            queue.done(&chat(2));
        }
    }

    #[test]
    fn urgent_chats_go_first_and_chats_keep_order() {
        let mut queue = Queue::default();
        queue.push(entry(1, 1, Priority::Normal));
        queue.push(entry(2, 1, Priority::High));
        queue.push(entry(3, 2, Priority::High));
        assert_eq!(sent(queue.next(Millis(0), all)), Some(3));
        assert_eq!(sent(queue.next(Millis(0), all)), Some(1));
        assert_eq!(queue.next(Millis(0), all), Next::Idle);
        queue.done(&chat(1));
        assert_eq!(sent(queue.next(Millis(0), all)), Some(2));
    }

    #[test]
    fn retry_blocks_its_chat_only() {
        let mut queue = Queue::default();
        queue.push(entry(1, 1, Priority::Normal));
        queue.push(entry(2, 1, Priority::Normal));
        queue.push(entry(3, 2, Priority::Low));
        let Next::Send(mut first) = queue.next(Millis(0), all) else { panic!("nothing to send") };
        first.retry_at = Some(Millis(500));
        queue.retry(first);
        assert_eq!(sent(queue.next(Millis(10), all)), Some(3));
        assert_eq!(queue.next(Millis(10), all), Next::At(Millis(500), HeldBy::Retry));
        assert_eq!(sent(queue.next(Millis(500), all)), Some(1));
    }

    #[test]
    fn clock_set_back_does_not_delay_retry() {
        let day = 86_400_000;
        let mut queue = Queue::default();
        queue.push(QueuedMessage { retry_at: Some(Millis(90 * day)), ..entry(1, 1, Priority::Normal) });
        assert_eq!(queue.ready_at(Millis(day)), Some((Millis(0), HeldBy::Schedule)));
        assert_eq!(sent(queue.next(Millis(day), all)), Some(1));
    }

    #[test]
    fn removed_retry_does_not_block_chat() {
        let mut queue = Queue::default();
        queue.push(QueuedMessage { retry_at: Some(Millis(500)), ..entry(1, 1, Priority::Normal) });
        queue.push(entry(2, 1, Priority::Normal));
        queue.keep(|_| true);
        assert_eq!(queue.next(Millis(0), all), Next::At(Millis(500), HeldBy::Retry));
        queue.keep(|row| row != 1);
        assert_eq!(sent(queue.next(Millis(0), all)), Some(2));
    }

    #[test]
    fn scheduled_message_does_not_block_earlier_ones() {
        let mut queue = Queue::default();
        queue.push(QueuedMessage { due: Millis(1_000), ..entry(1, 1, Priority::Normal) });
        queue.push(entry(2, 1, Priority::Normal));
        assert_eq!(sent(queue.next(Millis(0), all)), Some(2));
        queue.done(&chat(1));
        assert_eq!(queue.next(Millis(0), all), Next::At(Millis(1_000), HeldBy::Schedule));
    }

    proptest! {
        #[test]
        fn queue_loses_nothing_and_chats_keep_order(
            entries in prop::collection::vec((0_u8..5, 0_i64..=2, any::<bool>()), 1..80)
        ) {
            let mut queue = Queue::default();
            for (row, (n, rank, _)) in (0..).zip(&entries) {
                queue.push(entry(row, *n, Priority::of_rank(*rank)));
            }
            let mut out: HashMap<Jid, Vec<i64>> = HashMap::new();
            let (mut now, mut count, mut turns) = (Millis(0), 0, entries.iter().cycle());
            while count < entries.len() {
                match queue.next(now, all) {
                    Next::Send(mut e) => {
                        let again = turns.next().is_some_and(|t| t.2) && e.retry_at.is_none() && now.0 < 500;
                        if again {
                            e.retry_at = Some(now.plus(7));
                            queue.retry(e);
                        } else {
                            queue.done(&e.chat);
                            out.entry(e.chat).or_default().push(e.row);
                            count += 1;
                        }
                    }
                    Next::At(at, _) => now = at,
                    Next::Idle => prop_assert!(false, "idle with {count} of {}", entries.len()),
                }
                now = now.plus(1);
            }
            prop_assert!(queue.is_empty());
            for rows in out.values() {
                prop_assert!(rows.is_sorted(), "{rows:?}");
            }
        }
    }
}
