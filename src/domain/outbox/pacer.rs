//! The pace: when the next message may leave.
//!
//! What counts is when messages leave, and not when they were chosen: one that is still on its way out
//! (the device shows that it is typing, or the store is slow) takes its place in every window, so that no
//! limit is exceeded however long that takes.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Rules;
use crate::domain::clock::Millis;
use crate::domain::jid::Jid;

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
    /// At most so many in any 24 hours.
    pub messages_per_day: u32,
    /// At most so many chats in any 24 hours that have no earlier message in either direction.
    pub new_chats_per_day: u32,
}

/// Why a message does not leave yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// It is scheduled for later.
    Schedule,
    /// A failed try waits to be repeated.
    Retry,
    /// The pause after the last message.
    Delay,
    /// `burstLimit`.
    BurstLimit,
    /// `messagesPerMinute`.
    MessagesPerMinute,
    /// `messagesPerDay`.
    MessagesPerDay,
    /// `newChatsPerDay`.
    NewChatsPerDay,
    /// Quiet hours.
    QuietHours,
}

impl HeldBy {
    /// As a stable word.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Retry => "retry",
            Self::Delay => "delay",
            Self::BurstLimit => "burst_limit",
            Self::MessagesPerMinute => "messages_per_minute",
            Self::MessagesPerDay => "messages_per_day",
            Self::NewChatsPerDay => "new_chats_per_day",
            Self::QuietHours => "quiet_hours",
        }
    }
}

/// Whether a message may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendPermission {
    /// It may.
    Open,
    /// Not before this moment.
    Until(Millis, HeldBy),
    /// Not before one that is on its way out has left.
    AfterThose(HeldBy),
}

/// A message that was handed to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRecord {
    /// When.
    pub at: Millis,
    /// The chat, where it had no earlier message.
    pub opened: Option<Jid>,
}

/// Keeps a device's pace.
#[derive(Debug, Default)]
pub struct Pacer {
    /// When messages left, oldest first, as far back as any limit looks.
    left: VecDeque<Millis>,
    /// The new chats among them.
    opened: VecDeque<(Millis, Jid)>,
    /// Messages on their way out.
    leaving: usize,
    /// New chats that these go to.
    opening: BTreeSet<Jid>,
    /// The end of the pause after the last one.
    earliest: Option<Millis>,
}

pub(super) const MINUTE_MS: i64 = 60_000;
const BURST_MS: i64 = 10_000;
pub(super) const DAY_MS: i64 = 86_400_000;

impl Pacer {
    /// The most that any limit may be, and so the most that needs to be remembered.
    pub const MOST: u32 = 100_000;

    /// Learns what left as far back as any limit looks, oldest first; `unit` chooses the pause after the last.
    /// What was seen leaving is among it, and is known better here.
    pub fn restore(&mut self, past: Vec<SentRecord>, pace: Pace, unit: f64) {
        let unseen = past.len().saturating_sub(self.left.len());
        let seen = std::mem::take(&mut self.left);
        self.left = past[..unseen].iter().map(|departure| departure.at).chain(seen).collect();
        if self.earliest.is_none() {
            self.earliest = self.left.back().map(|last| last.plus(pause(pace, unit)));
        }
        let opened = past.into_iter().filter_map(|departure| Some((departure.at, departure.opened?)));
        self.opened = opened.collect();
    }

    /// Whether a message may begin to leave at `now`.
    pub fn gate(&mut self, rules: &Rules, now: Millis) -> SendPermission {
        self.heed_clock(rules.pace, now);
        let pace = rules.pace_at(now);
        if self.leaving > 0 && pace.min_delay.max(pace.max_delay) > 0 {
            return SendPermission::AfterThose(HeldBy::Delay);
        }
        let mut held = self.earliest.filter(|at| *at > now).map(|at| (at, HeldBy::Delay));
        for (limit, window, why) in [
            (pace.burst_limit, BURST_MS, HeldBy::BurstLimit),
            (pace.messages_per_minute, MINUTE_MS, HeldBy::MessagesPerMinute),
            (pace.messages_per_day, DAY_MS, HeldBy::MessagesPerDay),
        ] {
            match free_at(&self.left, |at| *at, self.leaving, limit, window) {
                Some(Free::AfterThose) => return SendPermission::AfterThose(why),
                Some(Free::At(at)) if at > now => held = held.max(Some((at, why))),
                _ => {}
            }
        }
        close(rules, now, held)
    }

    /// Whether a message to a new chat may begin to leave at `now`, as far as the limit on these goes.
    #[must_use]
    pub fn gate_to_new_chat(&self, rules: &Rules, now: Millis) -> SendPermission {
        let (limit, why) = (rules.pace_at(now).new_chats_per_day, HeldBy::NewChatsPerDay);
        match free_at(&self.opened, |(at, _)| *at, self.opening.len(), limit, DAY_MS) {
            Some(Free::AfterThose) => SendPermission::AfterThose(why),
            Some(Free::At(at)) if at > now => close(rules, now, Some((at, why))),
            _ => SendPermission::Open,
        }
    }

    /// Whether a chat was opened of late, or is being opened.
    #[must_use]
    pub fn has_opened(&self, chat: &Jid) -> bool {
        self.opening.contains(chat) || self.opened.iter().any(|(_, opened)| opened == chat)
    }

    /// A message is on its way out; with a chat, to this new one.
    pub fn pick(&mut self, opening: Option<&Jid>) {
        self.leaving += 1;
        self.opening.extend(opening.cloned());
    }

    /// One that was on its way out left at `now`; `unit` (0 … 1) chooses the pause after it.
    pub fn record_sent(&mut self, rules: &Rules, departure: SentRecord, chat: &Jid, unit: f64) {
        self.release(chat);
        let now = departure.at;
        self.heed_clock(rules.pace, now);
        let kept = now.plus(-rules.horizon_ms());
        while self.left.front().is_some_and(|at| *at <= kept) || self.left.len() >= Self::MOST as usize {
            self.left.pop_front();
        }
        while self.opened.front().is_some_and(|(at, _)| now.since(*at) >= DAY_MS) {
            self.opened.pop_front();
        }
        self.left.push_back(now);
        self.opened.extend(departure.opened.map(|chat| (now, chat)));
        self.earliest = Some(now.plus(pause(rules.pace, unit)));
    }

    /// One that was on its way out is so no longer. Says whether it would have opened its chat.
    pub fn release(&mut self, chat: &Jid) -> bool {
        self.leaving = self.leaving.saturating_sub(1);
        self.opening.remove(chat)
    }

    /// When the clock was put back, what left "later" counts as having left now: nobody waits for hours that
    /// have been before, and no limit is exceeded.
    fn heed_clock(&mut self, pace: Pace, now: Millis) {
        if self.left.back().is_some_and(|last| *last > now) {
            self.left.iter_mut().for_each(|at| *at = (*at).min(now));
            self.opened.iter_mut().for_each(|(at, _)| *at = (*at).min(now));
        }
        let longest = now.plus(pause(pace, 1.0));
        self.earliest = self.earliest.map(|at| at.min(longest));
    }
}

enum Free {
    At(Millis),
    AfterThose,
}

/// When one more fits under a limit: those that left within its window and those on their way out count.
fn free_at<T>(
    left: &VecDeque<T>,
    at: impl Fn(&T) -> Millis,
    leaving: usize,
    limit: u32,
    window: i64,
) -> Option<Free> {
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0)?;
    let must_be_past = (left.len() + leaving).checked_sub(limit)?;
    Some(left.get(must_be_past).map_or(Free::AfterThose, |oldest| Free::At(at(oldest).plus(window))))
}

fn close(rules: &Rules, now: Millis, held: Option<(Millis, HeldBy)>) -> SendPermission {
    let at = held.map_or(now, |(at, _)| at);
    let free = rules.free_at(at);
    match held {
        _ if free > at => SendPermission::Until(free, HeldBy::QuietHours),
        Some((at, why)) => SendPermission::Until(at, why),
        None => SendPermission::Open,
    }
}

fn pause(pace: Pace, unit: f64) -> i64 {
    let spread = f64::from(pace.max_delay.saturating_sub(pace.min_delay)) * unit.clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, reason = "a delay is far below 2^52 ms")]
    let spread = spread as i64;
    i64::from(pace.min_delay) + spread
}

#[cfg(test)]
mod tests {
    use super::super::pacer::*;

    fn chat(n: u8) -> Jid {
        Jid::person(&format!("155501000{n:02}")).unwrap()
    }

    fn send(pacer: &mut Pacer, rules: &Rules, at: i64) {
        pacer.pick(None);
        pacer.record_sent(rules, SentRecord { at: Millis(at), opened: None }, &chat(1), 0.0);
    }

    #[test]
    fn in_flight_send_counts_towards_limits() {
        let rules = Rules { pace: Pace { burst_limit: 1, ..Pace::default() }, ..Rules::default() };
        let mut pacer = Pacer::default();
        pacer.pick(None);
        assert_eq!(pacer.gate(&rules, Millis(0)), SendPermission::AfterThose(HeldBy::BurstLimit));
        pacer.record_sent(&rules, SentRecord { at: Millis(7_000), opened: None }, &chat(1), 0.0);
        assert_eq!(
            pacer.gate(&rules, Millis(7_000)),
            SendPermission::Until(Millis(17_000), HeldBy::BurstLimit)
        );
        assert_eq!(pacer.gate(&rules, Millis(17_000)), SendPermission::Open);
    }

    #[test]
    fn daily_limit_covers_any_24_hours() {
        let rules = Rules { pace: Pace { messages_per_day: 2, ..Pace::default() }, ..Rules::default() };
        let mut pacer = Pacer::default();
        send(&mut pacer, &rules, 0);
        send(&mut pacer, &rules, 50_000_000);
        let until = SendPermission::Until(Millis(DAY_MS), HeldBy::MessagesPerDay);
        assert_eq!(pacer.gate(&rules, Millis(60_000_000)), until);
        send(&mut pacer, &rules, DAY_MS);
        let until = SendPermission::Until(Millis(DAY_MS + 50_000_000), HeldBy::MessagesPerDay);
        assert_eq!(pacer.gate(&rules, Millis(DAY_MS + 1)), until);
    }

    #[test]
    fn clock_set_back_holds_no_longer_than_window() {
        let rules = Rules { pace: Pace { burst_limit: 1, ..Pace::default() }, ..Rules::default() };
        let mut pacer = Pacer::default();
        send(&mut pacer, &rules, 90_000_000);
        assert_eq!(
            pacer.gate(&rules, Millis(5_000)),
            SendPermission::Until(Millis(15_000), HeldBy::BurstLimit)
        );
    }

    #[test]
    fn stored_sends_count_with_their_delay() {
        let rules = Rules {
            pace: Pace { min_delay: 500, max_delay: 500, new_chats_per_day: 1, ..Pace::default() },
            ..Rules::default()
        };
        let mut pacer = Pacer::default();
        pacer.restore(vec![SentRecord { at: Millis(100), opened: Some(chat(1)) }], rules.pace, 0.0);
        assert_eq!(pacer.gate(&rules, Millis(200)), SendPermission::Until(Millis(600), HeldBy::Delay));
        let until = SendPermission::Until(Millis(100 + DAY_MS), HeldBy::NewChatsPerDay);
        assert_eq!(pacer.gate_to_new_chat(&rules, Millis(700)), until);
        assert!(pacer.has_opened(&chat(1)) && !pacer.has_opened(&chat(2)));
    }

    #[test]
    fn observed_sends_are_not_loaded_twice() {
        let rules = Rules { pace: Pace { burst_limit: 3, ..Pace::default() }, ..Rules::default() };
        let mut pacer = Pacer::default();
        send(&mut pacer, &rules, 5_010);
        // Noted in the store a moment before it left.
        let noted = [1_000, 5_000].map(|at| SentRecord { at: Millis(at), opened: None });
        pacer.restore(noted.into(), rules.pace, 0.0);
        assert_eq!(pacer.gate(&rules, Millis(6_000)), SendPermission::Open);
        send(&mut pacer, &rules, 6_000);
        assert_eq!(
            pacer.gate(&rules, Millis(6_000)),
            SendPermission::Until(Millis(11_000), HeldBy::BurstLimit)
        );
    }
}
