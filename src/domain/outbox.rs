//! Which message goes out next, and when.
//!
//! [`Queue`] is the order: first in, first out within a chat, the highest priority first among chats, at
//! most one message of a chat under way. [`Pacer`] is the pace. Both are mirrors in memory of what the
//! store holds, and pure: the same calls give the same answers.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::jid::Jid;

/// How urgent a message is among those of other chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After everything else.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before everything else.
    High,
}

impl Priority {
    /// As a number for the store; higher is more urgent.
    #[must_use]
    pub fn rank(self) -> i64 {
        match self {
            Self::Low => 0,
            Self::Normal => 1,
            Self::High => 2,
        }
    }

    /// From the store's number.
    #[must_use]
    pub fn of_rank(rank: i64) -> Self {
        match rank {
            ..=0 => Self::Low,
            1 => Self::Normal,
            _ => Self::High,
        }
    }
}

/// One message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The outbox row; later rows have higher numbers.
    pub row: i64,
    /// The chat it goes to.
    pub chat: Jid,
    /// How urgent it is.
    pub priority: Priority,
    /// Not before this moment.
    pub due: Millis,
    /// After a failed try: not before this moment, and nothing else of the chat before it.
    pub retry_at: Option<Millis>,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeMap<(Millis, i64), Priority>,
    blocked_until: Option<Millis>,
    under_way: bool,
}

impl Lane {
    fn ready_at(&self) -> Option<Millis> {
        let ((due, _), _) = self.waiting.first_key_value()?;
        Some(self.blocked_until.map_or(*due, |until| until.max(*due)))
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send this one; its chat is under way until [`Queue::done`] or [`Queue::retry`].
    Send(Entry),
    /// Nothing before this moment.
    At(Millis),
    /// Nothing waits, or all that waits belongs to chats under way.
    Idle,
}

/// The messages of one device that wait, in order.
#[derive(Debug, Default)]
pub struct Queue {
    lanes: HashMap<Jid, Lane>,
}

impl Queue {
    /// Puts a message in. Putting the same row in twice changes nothing.
    pub fn push(&mut self, entry: Entry) {
        let lane = self.lanes.entry(entry.chat).or_default();
        lane.waiting.insert((entry.due, entry.row), entry.priority);
        if let Some(until) = entry.retry_at {
            lane.blocked_until = Some(lane.blocked_until.map_or(until, |old| old.max(until)));
        }
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.waiting.len()).sum()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.values().all(|lane| lane.waiting.is_empty())
    }

    /// Takes the next message that may go out at `now`.
    pub fn next(&mut self, now: Millis) -> Next {
        let mut best: Option<(Priority, (Millis, i64), Jid)> = None;
        let mut earliest: Option<Millis> = None;
        for (chat, lane) in self.lanes.iter().filter(|(_, lane)| !lane.under_way) {
            let (Some(ready_at), Some((key, priority))) = (lane.ready_at(), lane.waiting.first_key_value())
            else {
                continue;
            };
            if ready_at > now {
                earliest = Some(earliest.map_or(ready_at, |e| e.min(ready_at)));
                continue;
            }
            let better = best
                .as_ref()
                .is_none_or(|(p, k, _)| (*priority, std::cmp::Reverse(*key)) > (*p, std::cmp::Reverse(*k)));
            if better {
                best = Some((*priority, *key, chat.clone()));
            }
        }
        let Some((priority, key, chat)) = best else {
            return earliest.map_or(Next::Idle, Next::At);
        };
        if let Some(lane) = self.lanes.get_mut(&chat) {
            lane.waiting.remove(&key);
            lane.under_way = true;
            lane.blocked_until = None;
        }
        Next::Send(Entry { row: key.1, chat, priority, due: key.0, retry_at: None })
    }

    /// The message of this chat that was under way is out, or given up.
    pub fn done(&mut self, chat: &Jid) {
        let Some(lane) = self.lanes.get_mut(chat) else { return };
        lane.under_way = false;
        if lane.waiting.is_empty() {
            self.lanes.remove(chat);
        }
    }

    /// The message that was under way must be tried again, at `entry.retry_at`, before any other of its chat.
    pub fn retry(&mut self, entry: Entry) {
        if let Some(lane) = self.lanes.get_mut(&entry.chat) {
            lane.under_way = false;
        }
        self.push(entry);
    }
}

/// How fast a device may send. Zero means no limit. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pace {
    /// The shortest pause between two messages.
    pub min_delay: u32,
    /// The longest pause that chance may choose.
    pub max_delay: u32,
    /// At most so many in any 60 seconds.
    pub messages_per_minute: u32,
    /// At most so many in any 10 seconds.
    pub burst_limit: u32,
}

/// Keeps a device's pace.
#[derive(Debug, Default)]
pub struct Pacer {
    recent: VecDeque<Millis>,
    earliest: Option<Millis>,
}

const MINUTE_MS: i64 = 60_000;
const BURST_MS: i64 = 10_000;

impl Pacer {
    /// The first moment from `now` on at which a message may leave.
    #[must_use]
    pub fn ready_at(&self, pace: Pace, now: Millis) -> Millis {
        let by_pause = self.earliest.unwrap_or(now);
        let by_minute = self.free_at(pace.messages_per_minute, MINUTE_MS);
        let by_burst = self.free_at(pace.burst_limit, BURST_MS);
        [by_minute, by_burst].into_iter().flatten().fold(by_pause.max(now), Millis::max)
    }

    fn free_at(&self, limit: u32, window: i64) -> Option<Millis> {
        let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0)?;
        let oldest = self.recent.len().checked_sub(limit)?;
        self.recent.get(oldest).map(|at| at.plus(window))
    }

    /// A message left at `now`; `unit` (0 … 1) chooses the pause after it.
    pub fn record(&mut self, pace: Pace, now: Millis, unit: f64) {
        while self.recent.front().is_some_and(|at| now.since(*at) >= MINUTE_MS) {
            self.recent.pop_front();
        }
        if pace.messages_per_minute > 0 || pace.burst_limit > 0 {
            self.recent.push_back(now);
        }
        let spread = f64::from(pace.max_delay.saturating_sub(pace.min_delay)) * unit.clamp(0.0, 1.0);
        #[expect(clippy::cast_possible_truncation, reason = "a delay is far below 2^52 ms")]
        let pause = i64::from(pace.min_delay) + spread as i64;
        self.earliest = Some(now.plus(pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chat(n: u8) -> Jid {
        Jid::person(&format!("155501000{n:02}")).unwrap()
    }

    fn entry(row: i64, n: u8, priority: Priority) -> Entry {
        Entry { row, chat: chat(n), priority, due: Millis(0), retry_at: None }
    }

    fn sent(next: Next) -> Option<i64> {
        if let Next::Send(entry) = next { Some(entry.row) } else { None }
    }

    #[test]
    fn urgent_chats_go_first_and_a_chat_keeps_its_order() {
        let mut queue = Queue::default();
        queue.push(entry(1, 1, Priority::Normal));
        queue.push(entry(2, 1, Priority::High));
        queue.push(entry(3, 2, Priority::High));
        assert_eq!(sent(queue.next(Millis(0))), Some(3));
        assert_eq!(sent(queue.next(Millis(0))), Some(1));
        assert_eq!(queue.next(Millis(0)), Next::Idle);
        queue.done(&chat(1));
        assert_eq!(sent(queue.next(Millis(0))), Some(2));
    }

    #[test]
    fn a_retry_holds_back_its_chat_and_no_other() {
        let mut queue = Queue::default();
        queue.push(entry(1, 1, Priority::Normal));
        queue.push(entry(2, 1, Priority::Normal));
        queue.push(entry(3, 2, Priority::Low));
        let Next::Send(mut first) = queue.next(Millis(0)) else { panic!("nothing to send") };
        first.retry_at = Some(Millis(500));
        queue.retry(first);
        assert_eq!(sent(queue.next(Millis(10))), Some(3));
        assert_eq!(queue.next(Millis(10)), Next::At(Millis(500)));
        assert_eq!(sent(queue.next(Millis(500))), Some(1));
    }

    #[test]
    fn a_scheduled_message_does_not_hold_back_the_ones_before_it() {
        let mut queue = Queue::default();
        queue.push(Entry { due: Millis(1_000), ..entry(1, 1, Priority::Normal) });
        queue.push(entry(2, 1, Priority::Normal));
        assert_eq!(sent(queue.next(Millis(0))), Some(2));
        queue.done(&chat(1));
        assert_eq!(queue.next(Millis(0)), Next::At(Millis(1_000)));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_each_chat_keeps_its_order(
            entries in prop::collection::vec((0_u8..5, 0_i64..=2, any::<bool>()), 1..80)
        ) {
            let mut queue = Queue::default();
            for (row, (n, rank, _)) in (0..).zip(&entries) {
                queue.push(entry(row, *n, Priority::of_rank(*rank)));
            }
            let mut out: HashMap<Jid, Vec<i64>> = HashMap::new();
            let (mut now, mut count, mut turns) = (Millis(0), 0, entries.iter().cycle());
            while count < entries.len() {
                match queue.next(now) {
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
                    Next::At(at) => now = at,
                    Next::Idle => prop_assert!(false, "idle with {count} of {}", entries.len()),
                }
                now = now.plus(1);
            }
            prop_assert!(queue.is_empty());
            for rows in out.values() {
                prop_assert!(rows.is_sorted(), "{rows:?}");
            }
        }

        #[test]
        fn no_limit_is_ever_exceeded(units in prop::collection::vec(0.0_f64..=1.0, 1..200), per_minute in 0_u32..20, burst in 0_u32..6) {
            let pace = Pace { min_delay: 100, max_delay: 3_000, messages_per_minute: per_minute, burst_limit: burst };
            let (mut pacer, mut now, mut left) = (Pacer::default(), Millis(0), Vec::new());
            for unit in units {
                now = pacer.ready_at(pace, now);
                pacer.record(pace, now, unit);
                left.push(now);
            }
            for (i, at) in left.iter().enumerate() {
                let within = |window: i64| left[..=i].iter().filter(|t| at.since(**t) < window).count();
                prop_assert!(per_minute == 0 || within(MINUTE_MS) <= per_minute as usize);
                prop_assert!(burst == 0 || within(BURST_MS) <= burst as usize);
                prop_assert!(i == 0 || at.since(left[i - 1]) >= 100);
            }
        }
    }
}
