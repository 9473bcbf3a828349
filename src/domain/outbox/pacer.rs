//! The pace: when the next message may leave.
//!
//! Windows count the moment when a message leaves, not when it was chosen. A message that is still leaving
//! (the device shows typing, or the store is slow) counts in every window, so no limit is ever exceeded.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Rules;
use crate::domain::clock::Millis;
use crate::domain::jid::Jid;

/// The limits of a device's sending rate. Zero means no limit. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pace {
    /// The minimum pause between two messages.
    pub min_delay: u32,
    /// The maximum of the random pause between two messages.
    pub max_delay: u32,
    /// Maximum number of messages in any 60 seconds.
    pub messages_per_minute: u32,
    /// Maximum number of messages in any 10 seconds.
    pub burst_limit: u32,
    /// Maximum number of messages in any 24 hours.
    pub messages_per_day: u32,
    /// Maximum number of chats without an earlier message that are opened in any 24 hours.
    pub new_chats_per_day: u32,
}

/// Why a message does not leave yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// It is scheduled for later.
    Schedule,
    /// An earlier attempt failed and its retry is not due.
    Retry,
    /// The pause after the last message.
    Delay,
    /// The limit `burstLimit` is reached.
    BurstLimit,
    /// The limit `messagesPerMinute` is reached.
    MessagesPerMinute,
    /// The limit `messagesPerDay` is reached.
    MessagesPerDay,
    /// The limit `newChatsPerDay` is reached.
    NewChatsPerDay,
    /// The device is in quiet hours.
    QuietHours,
}

impl HeldBy {
    /// The stable code for clients.
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

/// Whether a message may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendPermission {
    /// It may be sent now.
    Open,
    /// Not before this moment.
    Until(Millis, HeldBy),
    /// Not before a message that is leaving has sent.
    AfterThose(HeldBy),
}

/// A message that was handed to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRecord {
    /// The moment when its bytes sent.
    pub at: Millis,
    /// The chat, if it had no earlier message.
    pub opened: Option<Jid>,
}

/// Enforces the pace of a device.
#[derive(Debug, Default)]
pub struct Pacer {
    /// When messages sent, oldest first, for the longest window of any limit.
    sent: VecDeque<Millis>,
    /// The new chats that these messages opened.
    opened: VecDeque<(Millis, Jid)>,
    /// The number of chosen messages that have not sent.
    leaving: usize,
    /// The new chats that those messages will open.
    opening: BTreeSet<Jid>,
    /// The end of the pause after the last message.
    earliest: Option<Millis>,
}

pub(super) const MINUTE_MS: i64 = 60_000;
const BURST_MS: i64 = 10_000;
pub(super) const DAY_MS: i64 = 86_400_000;

impl Pacer {
    /// The maximum of every limit, and therefore of the sends kept in memory.
    pub const MOST: u32 = 100_000;

    /// Loads sends from the store, oldest first, for the longest window; `unit` (0 … 1) determines the pause
    /// after the last. Sends observed by this pacer are among them, and their observed moments are kept.
    pub fn restore(&mut self, past: Vec<SentRecord>, pace: Pace, unit: f64) {
        let unseen = past.len().saturating_sub(self.sent.len());
        let seen = std::mem::take(&mut self.sent);
        self.sent = past[..unseen].iter().map(|departure| departure.at).chain(seen).collect();
        if self.earliest.is_none() {
            self.earliest = self.sent.back().map(|last| last.plus(pause(pace, unit)));
        }
        let opened = past.into_iter().filter_map(|departure| Some((departure.at, departure.opened?)));
        self.opened = opened.collect();
    }

    /// Whether a message may begin to leave at `now`.
    pub fn gate(&mut self, rules: &Rules, now: Millis) -> SendPermission {
        self.clamp_to_clock(rules.pace, now);
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
            match free_at(&self.sent, |at| *at, self.leaving, limit, window) {
                Some(Free::AfterThose) => return SendPermission::AfterThose(why),
                Some(Free::At(at)) if at > now => held = held.max(Some((at, why))),
                _ => {}
            }
        }
        close(rules, now, held)
    }

    /// Whether a message to a new chat may leave at `now` under the limit on new chats.
    #[must_use]
    pub fn gate_to_new_chat(&self, rules: &Rules, now: Millis) -> SendPermission {
        let (limit, why) = (rules.pace_at(now).new_chats_per_day, HeldBy::NewChatsPerDay);
        match free_at(&self.opened, |(at, _)| *at, self.opening.len(), limit, DAY_MS) {
            Some(Free::AfterThose) => SendPermission::AfterThose(why),
            Some(Free::At(at)) if at > now => close(rules, now, Some((at, why))),
            _ => SendPermission::Open,
        }
    }

    /// Whether a chat was opened in the last 24 hours, or is being opened.
    #[must_use]
    pub fn has_opened(&self, chat: &Jid) -> bool {
        self.opening.contains(chat) || self.opened.iter().any(|(_, opened)| opened == chat)
    }

    /// Records a chosen message; `opening` is its chat if that is new.
    pub fn pick(&mut self, opening: Option<&Jid>) {
        self.leaving += 1;
        self.opening.extend(opening.cloned());
    }

    /// Records that a chosen message sent at `departure.at`; `unit` (0 … 1) determines the pause after it.
    pub fn record_sent(&mut self, rules: &Rules, departure: SentRecord, chat: &Jid, unit: f64) {
        self.release(chat);
        let now = departure.at;
        self.clamp_to_clock(rules.pace, now);
        let kept = now.plus(-rules.horizon_ms());
        while self.sent.front().is_some_and(|at| *at <= kept) || self.sent.len() >= Self::MOST as usize {
            self.sent.pop_front();
        }
        while self.opened.front().is_some_and(|(at, _)| now.since(*at) >= DAY_MS) {
            self.opened.pop_front();
        }
        self.sent.push_back(now);
        self.opened.extend(departure.opened.map(|chat| (now, chat)));
        self.earliest = Some(now.plus(pause(rules.pace, unit)));
    }

    /// Releases a chosen message. Returns whether it would have opened its chat.
    pub fn release(&mut self, chat: &Jid) -> bool {
        self.leaving = self.leaving.saturating_sub(1);
        self.opening.remove(chat)
    }

    /// After the clock was set back, later sends count as sent now. So no message waits for hours that have
    /// passed before, and no limit is exceeded.
    fn clamp_to_clock(&mut self, pace: Pace, now: Millis) {
        if self.sent.back().is_some_and(|last| *last > now) {
            self.sent.iter_mut().for_each(|at| *at = (*at).min(now));
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

/// When one more message fits under a limit; sends within the window and leaving messages count.
fn free_at<T>(
    sent: &VecDeque<T>,
    at: impl Fn(&T) -> Millis,
    leaving: usize,
    limit: u32,
    window: i64,
) -> Option<Free> {
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0)?;
    let must_be_past = (sent.len() + leaving).checked_sub(limit)?;
    Some(sent.get(must_be_past).map_or(Free::AfterThose, |oldest| Free::At(at(oldest).plus(window))))
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
        // The store's record is a moment earlier than the observed departure.
        let stored = [1_000, 5_000].map(|at| SentRecord { at: Millis(at), opened: None });
        pacer.restore(stored.into(), rules.pace, 0.0);
        assert_eq!(pacer.gate(&rules, Millis(6_000)), SendPermission::Open);
        send(&mut pacer, &rules, 6_000);
        assert_eq!(
            pacer.gate(&rules, Millis(6_000)),
            SendPermission::Until(Millis(11_000), HeldBy::BurstLimit)
        );
    }
}
