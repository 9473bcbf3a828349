//! Coalesces notifications of one device: emits the first of a burst and counts the following ones into one.
//!
//! A burst is one rule, one kind and one tag. Its first trigger is emitted immediately. Triggers within the
//! rule's `group` are counted and emitted once, under the same id; those within `throttle` alone are dropped.
//! Above the limit per minute all triggers are counted into one summary. A quarter of that limit is reserved
//! for high priority.
//!
//! Invariants: the notifications of a minute and the memory are bounded; a waiting trigger is always emitted;
//! a burst never counts triggers of another rule; a trigger of higher priority than its burst does not wait.

use std::collections::BTreeMap;

use super::{About, Decision, Kind, Priority, Trigger};
use crate::domain::clock::Millis;

/// Key and tag of the summary's burst.
const MORE: &str = "more";
/// Divisor of the limit per minute: this share is reserved for high priority.
const KEPT: u32 = 4;
/// Milliseconds between two summaries.
const SUMMARY_MS: i64 = 30_000;

/// A trigger with the decision of its rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The trigger.
    pub happening: Trigger,
    /// The decision of its rule.
    pub decision: Decision,
    /// Display name of the chat, if it has one.
    pub chat_name: Option<String>,
    /// The event as JSON, if a command needs it.
    pub event: Option<String>,
}

impl Candidate {
    /// Key of its burst.
    #[must_use]
    pub fn burst(&self) -> String {
        // Neither rule ids nor kinds contain a space.
        format!("{} {} {}", self.decision.id, self.happening.kind.as_str(), self.happening.tag())
    }
}

/// A notification that stands for one or more triggers.
#[derive(Debug, Clone, PartialEq)]
pub struct Coalesced {
    /// Log position of the burst's first trigger; notifications of one burst share an id made of it.
    pub first_seq: i64,
    /// Log position of the newest trigger.
    pub last_seq: i64,
    /// A notification replaces the earlier one of the same tag.
    pub tag: String,
    /// Key of its burst.
    pub burst: String,
    /// Number of triggers.
    pub count: u32,
    /// The newest trigger.
    pub case: Candidate,
}

/// Limits of a coalescer.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Limit of notifications per minute, without summaries.
    pub per_minute: u32,
    /// Limit of bursts in memory.
    pub bursts: usize,
}

#[derive(Debug, Clone)]
struct Burst {
    first_seq: i64,
    count: u32,
    /// How many of them were emitted.
    reported: u32,
    until: Millis,
    group_ms: i64,
    priority: Priority,
    /// Position of the oldest waiting trigger, and the newest one itself.
    waiting: Option<(i64, Candidate)>,
}

/// The coalescer of one device.
#[derive(Debug)]
pub struct Coalescer {
    limits: Limits,
    bursts: BTreeMap<String, Burst>,
    tokens: f64,
    refilled_at: Millis,
}

impl Coalescer {
    /// A coalescer without bursts and with all tokens.
    #[must_use]
    pub fn new(limits: Limits, now: Millis) -> Self {
        Self { limits, bursts: BTreeMap::new(), tokens: f64::from(limits.per_minute), refilled_at: now }
    }

    /// Adds a trigger; returns the notification that is due immediately, if any.
    pub fn offer(&mut self, case: Candidate, now: Millis) -> Option<Coalesced> {
        self.refill(now);
        let key = case.burst();
        match self.bursts.get_mut(&key) {
            Some(burst) if now < burst.until || burst.waiting.is_some() => {
                let is_more_urgent = case.decision.priority > burst.priority;
                if burst.group_ms <= 0 {
                    return if is_more_urgent { self.begin(key, case, now) } else { None };
                }
                burst.count = burst.count.saturating_add(1);
                let first = burst.waiting.as_ref().map_or(case.happening.seq, |(first, _)| *first);
                burst.waiting = Some((first, case));
                if is_more_urgent { self.release(&key, now) } else { None }
            }
            _ => self.begin(key, case, now),
        }
    }

    fn begin(&mut self, key: String, case: Candidate, now: Millis) -> Option<Coalesced> {
        let Decision { group_ms, throttle_ms, priority, .. } = case.decision;
        let room = self.bursts.contains_key(&key) || self.bursts.len() < self.limits.bursts;
        // High priority is emitted even if there is no room for another burst.
        if !(room || priority == Priority::High) || !self.pay(priority) {
            return self.count_into_summary(1, case.happening.seq, case, now);
        }
        let first_seq = case.happening.seq;
        let tag = case.happening.tag();
        let coalesced = Coalesced { first_seq, last_seq: first_seq, tag, burst: key.clone(), count: 1, case };
        let window = group_ms.max(throttle_ms);
        if window > 0 && room {
            let burst = Burst {
                first_seq,
                count: 1,
                reported: 1,
                until: now.plus(window),
                group_ms,
                priority,
                waiting: None,
            };
            self.bursts.insert(key, burst);
        } else {
            self.bursts.remove(&key);
        }
        Some(coalesced)
    }

    /// Notifications whose waiting time has ended.
    pub fn due(&mut self, now: Millis) -> Vec<Coalesced> {
        self.refill(now);
        let over: Vec<String> =
            self.bursts.iter().filter(|(_, burst)| burst.until <= now).map(|(key, _)| key.clone()).collect();
        over.into_iter().filter_map(|key| self.release(&key, now)).collect()
    }

    /// Emits what waits in a burst and extends the burst; removes a burst in which nothing waits.
    fn release(&mut self, key: &str, now: Millis) -> Option<Coalesced> {
        let mut burst = self.bursts.remove(key)?;
        let (oldest, case) = burst.waiting.take()?;
        if key != MORE && !self.pay(case.decision.priority) {
            let unreported = burst.count.saturating_sub(burst.reported).max(1);
            return self.count_into_summary(unreported, oldest, case, now);
        }
        let coalesced = Coalesced {
            first_seq: burst.first_seq,
            last_seq: case.happening.seq,
            tag: case.happening.tag(),
            burst: key.to_owned(),
            count: burst.count,
            case,
        };
        burst.priority = burst.priority.max(coalesced.case.decision.priority);
        burst.until = now.plus(burst.group_ms);
        burst.reported = burst.count;
        if key == MORE {
            // The next summary starts at zero.
            (burst.count, burst.reported) = (0, 0);
        }
        self.bursts.insert(key.to_owned(), burst);
        Some(coalesced)
    }

    fn count_into_summary(
        &mut self,
        count: u32,
        oldest: i64,
        mut case: Candidate,
        now: Millis,
    ) -> Option<Coalesced> {
        let happening = Trigger {
            kind: Kind::Summary,
            chat: None,
            person: None,
            is_group: false,
            mention: false,
            about: About::Summary,
            ..case.happening
        };
        case.happening = happening;
        case.decision.group_ms = SUMMARY_MS;
        let burst = self.bursts.entry(MORE.to_owned()).or_insert_with(|| Burst {
            first_seq: oldest,
            count: 0,
            reported: 0,
            until: now.plus(SUMMARY_MS),
            group_ms: SUMMARY_MS,
            priority: Priority::High,
            waiting: None,
        });
        if burst.count == 0 {
            // No other notification starts at this position, so the summary's id is unique.
            burst.first_seq = oldest;
        }
        burst.count = burst.count.saturating_add(count);
        let (first, case) = match burst.waiting.take() {
            // An earlier candidate can be newer when its burst waited for a shorter time.
            Some((first, before)) if before.happening.seq > case.happening.seq => {
                (first, Candidate { decision: before.decision.and(case.decision), ..before })
            }
            Some((first, before)) => {
                (first, Candidate { decision: case.decision.and(before.decision), ..case })
            }
            None => (oldest, case),
        };
        burst.waiting = Some((first.min(oldest), case));
        None
    }

    fn refill(&mut self, now: Millis) {
        let set_back = self.refilled_at.since(now);
        if set_back > 0 {
            // After the clock was set back, waiting times stay the same.
            for burst in self.bursts.values_mut() {
                burst.until = Millis(burst.until.0.saturating_sub(set_back));
            }
        }
        let passed = now.since(self.refilled_at).clamp(0, 60_000);
        let most = f64::from(self.limits.per_minute);
        #[expect(clippy::cast_precision_loss, reason = "at most a minute")]
        let earned = most * passed as f64 / 60_000.0;
        self.tokens = (self.tokens + earned).min(most);
        self.refilled_at = now;
    }

    fn pay(&mut self, priority: Priority) -> bool {
        let kept = if priority == Priority::High { 0 } else { self.limits.per_minute / KEPT };
        let enough = self.tokens >= 1.0 + f64::from(kept);
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }

    /// Position of the oldest waiting trigger.
    #[must_use]
    pub fn oldest_waiting(&self) -> Option<i64> {
        self.bursts.values().filter_map(|burst| burst.waiting.as_ref().map(|(first, _)| *first)).min()
    }

    /// Whether it holds no burst.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.bursts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Action;
    use super::super::coalescer::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { per_minute: 60, bursts: 256 };

    fn case(seq: i64, chat: u32, group_ms: i64, throttle_ms: i64, priority: Priority) -> Candidate {
        let chat = format!("1555010{chat:04}@c.us").parse().unwrap();
        Candidate {
            happening: Trigger {
                kind: Kind::Message,
                seq,
                at: Millis(0),
                chat: Some(chat),
                person: None,
                is_group: false,
                mention: false,
                about: About::Message { name: "Anna".to_owned(), text: seq.to_string() },
            },
            decision: Decision {
                id: "r".parse().unwrap(),
                rule: String::new(),
                actions: vec![Action::Dashboard],
                priority,
                sound: None,
                volume: 1.0,
                command: None,
                group_ms,
                throttle_ms,
                respects_quiet_hours: true,
            },
            chat_name: None,
            event: None,
        }
    }

    #[test]
    fn burst_in_chat_becomes_one_counted_notification() {
        let mut gate = Coalescer::new(LIMITS, Millis(0));
        let coalesced: Vec<Coalesced> = (1..=10)
            .filter_map(|seq| gate.offer(case(seq, 1, 10_000, 0, Priority::Normal), Millis(seq)))
            .collect();
        assert_eq!((coalesced.len(), coalesced[0].count), (1, 1));
        assert_eq!(gate.oldest_waiting(), Some(2));
        assert!(gate.due(Millis(10_000)).is_empty());
        let due = gate.due(Millis(10_001));
        assert_eq!((due.len(), due[0].count, due[0].first_seq, due[0].last_seq), (1, 10, 1, 10));
        assert!(gate.due(Millis(30_000)).is_empty() && gate.is_idle());
        assert_eq!(
            gate.offer(case(11, 1, 10_000, 0, Priority::Normal), Millis(30_001)).unwrap().first_seq,
            11
        );
    }

    #[test]
    fn throttled_notifications_are_dropped() {
        let mut gate = Coalescer::new(LIMITS, Millis(0));
        let mut offer = |seq, at| gate.offer(case(seq, 1, 0, 60_000, Priority::Normal), Millis(at));
        assert!(offer(1, 0).is_some());
        assert!(offer(2, 59_999).is_none());
        assert!(offer(3, 60_000).is_some());
    }

    #[test]
    fn higher_priority_passes_at_once() {
        let mut gate = Coalescer::new(LIMITS, Millis(0));
        assert!(gate.offer(case(1, 1, 10_000, 0, Priority::Normal), Millis(0)).is_some());
        assert!(gate.offer(case(2, 1, 10_000, 0, Priority::Normal), Millis(1)).is_none());
        assert_eq!(gate.offer(case(3, 1, 10_000, 0, Priority::High), Millis(2)).unwrap().count, 3);
        assert!(gate.offer(case(4, 1, 10_000, 0, Priority::High), Millis(3)).is_none());
    }

    #[test]
    fn notifications_above_limit_become_one_summary() {
        let mut gate = Coalescer::new(Limits { per_minute: 5, bursts: 256 }, Millis(0));
        let coalesced = (1..=500_u32)
            .filter_map(|n| gate.offer(case(n.into(), n, 10_000, 0, Priority::Normal), Millis(0)))
            .count();
        assert_eq!(coalesced, 4);
        let due = gate.due(Millis(SUMMARY_MS));
        assert_eq!((due.len(), due[0].count, due[0].case.happening.kind), (1, 496, Kind::Summary));
        assert!(gate.due(Millis(SUMMARY_MS * 3)).is_empty() && gate.is_idle());
    }

    fn by_rule(rule: &str, case: Candidate) -> Candidate {
        Candidate { decision: Decision { id: rule.parse().unwrap(), ..case.decision }, ..case }
    }

    #[test]
    fn rules_coalesce_independently() {
        let mut gate = Coalescer::new(LIMITS, Millis(0));
        let promo = |seq| by_rule("promo", case(seq, 1, 0, 3_600_000, Priority::Normal));
        assert!(gate.offer(promo(1), Millis(0)).is_some());
        assert!(gate.offer(promo(2), Millis(1)).is_none());
        let urgent = by_rule("urgent", case(3, 1, 0, 0, Priority::Normal));
        assert!(gate.offer(urgent, Millis(2)).is_some());
        assert!(gate.offer(by_rule("any", case(4, 1, 10_000, 0, Priority::Normal)), Millis(3)).is_some());
        let order = gate.offer(by_rule("order", case(5, 1, 10_000, 0, Priority::Normal)), Millis(4)).unwrap();
        assert!(gate.offer(by_rule("any", case(6, 1, 10_000, 0, Priority::Normal)), Millis(5)).is_none());
        let due = gate.due(Millis(10_004));
        assert_eq!((due.len(), due[0].count, due[0].case.decision.id.as_str()), (1, 2, "any"));
        assert_eq!((order.tag.clone(), order.burst == due[0].burst), (due[0].tag.clone(), false));
    }

    #[test]
    fn throttle_applies_per_trigger_kind() {
        let mut gate = Coalescer::new(LIMITS, Millis(0));
        let link = |seq, kind| {
            let mut case = case(seq, 1, 0, 300_000, Priority::High);
            case.happening = Trigger { kind, chat: None, ..case.happening };
            case
        };
        for (seq, kind) in [(1, Kind::Offline), (2, Kind::Qr), (3, Kind::Error)] {
            assert!(gate.offer(link(seq, kind), Millis(seq)).is_some(), "{kind:?}");
        }
        assert!(gate.offer(link(4, Kind::Offline), Millis(4)).is_none());
    }

    #[test]
    fn higher_priority_is_not_throttled() {
        let mut gate = Coalescer::new(LIMITS, Millis(0));
        assert!(gate.offer(case(1, 1, 0, 60_000, Priority::Normal), Millis(0)).is_some());
        assert!(gate.offer(case(2, 1, 0, 60_000, Priority::High), Millis(1)).is_some());
        assert!(gate.offer(case(3, 1, 0, 60_000, Priority::High), Millis(2)).is_none());
    }

    #[test]
    fn high_priority_passes_during_flood() {
        let mut gate = Coalescer::new(Limits { per_minute: 8, bursts: 4 }, Millis(0));
        for n in 1..=100 {
            gate.offer(case(n, u32::try_from(n).unwrap(), 10_000, 0, Priority::Normal), Millis(0));
        }
        assert!(gate.offer(case(101, 101, 0, 0, Priority::High), Millis(0)).is_some());
        assert!(gate.offer(case(102, 102, 10_000, 0, Priority::High), Millis(0)).is_some());
    }

    #[test]
    fn summary_counts_suppressed_and_has_own_tag() {
        let mut gate = Coalescer::new(Limits { per_minute: 2, bursts: 256 }, Millis(0));
        let grouped = |seq, chat| case(seq, chat, 1_000, 0, Priority::High);
        assert!(gate.offer(grouped(1, 1), Millis(0)).is_some());
        assert!(gate.offer(grouped(2, 1), Millis(1)).is_none());
        assert_eq!(gate.due(Millis(1_000))[0].count, 2);
        for seq in 3..=5 {
            assert!(gate.offer(grouped(seq, 1), Millis(1_001)).is_none());
        }
        assert!(gate.due(Millis(2_001)).is_empty(), "the minute's share is used up");
        let summary = gate.due(Millis(2_001 + SUMMARY_MS)).remove(0);
        assert_eq!((summary.count, summary.first_seq, summary.last_seq), (3, 3, 5));
        // The first is emitted alone; the next is counted into the next summary.
        let at = Millis(2_001 + SUMMARY_MS);
        let alone = gate.offer(grouped(6, 2), at).unwrap();
        assert!(gate.offer(grouped(7, 3), at).is_none());
        let next =
            gate.due(at.plus(SUMMARY_MS)).into_iter().find(|coalesced| coalesced.burst == MORE).unwrap();
        assert_eq!((alone.first_seq, next.first_seq, next.count), (6, 7, 1));
    }

    #[test]
    fn clock_set_back_does_not_delay_notification() {
        let (mut gate, hour) = (Coalescer::new(LIMITS, Millis(7_200_000)), 3_600_000);
        let begun = Millis(7_200_000);
        assert!(gate.offer(case(1, 1, 10_000, 0, Priority::Normal), begun).is_some());
        assert!(gate.offer(case(2, 1, 10_000, 0, Priority::Normal), begun).is_none());
        let back = begun.plus(-hour);
        assert!(gate.due(back).is_empty());
        assert_eq!(gate.due(back.plus(10_000)).len(), 1);
    }

    #[test]
    fn summary_has_all_actions_of_its_notifications() {
        let mut gate = Coalescer::new(Limits { per_minute: 1, bursts: 4 }, Millis(0));
        assert!(gate.offer(case(1, 1, 0, 0, Priority::Normal), Millis(0)).is_some());
        let mut urgent = by_rule("urgent", case(2, 2, 0, 0, Priority::High));
        urgent.decision.actions = vec![Action::Push, Action::Command];
        urgent.decision.command = Some("lamp".to_owned());
        assert!(gate.offer(urgent, Millis(0)).is_none());
        assert!(gate.offer(case(3, 3, 0, 0, Priority::Low), Millis(0)).is_none());
        let due = gate.due(Millis(SUMMARY_MS));
        let decision = &due[0].case.decision;
        assert_eq!((due[0].count, due[0].last_seq, decision.priority), (2, 3, Priority::High));
        assert_eq!(decision.command.as_deref(), Some("lamp"));
        for action in [Action::Dashboard, Action::Push, Action::Command] {
            assert!(decision.conditions(action), "{action:?}");
        }
    }

    proptest! {
        #[test]
        fn coalescer_is_bounded_and_loses_no_pending(
            offers in prop::collection::vec((0_u32..300, 0_i64..400, 0_u8..3), 1..600), bursts in 1_usize..64,
        ) {
            let limits = Limits { per_minute: 20, bursts };
            let mut gate = Coalescer::new(limits, Millis(0));
            let (mut now, mut coalesced, mut grouped) = (0, Vec::new(), 0_u32);
            for (index, (chat, step, priority)) in offers.iter().enumerate() {
                now += step;
                let priority = [Priority::Low, Priority::Normal, Priority::High][usize::from(*priority)];
                coalesced.extend(gate.due(Millis(now)));
                let seq = i64::try_from(index).unwrap() + 1;
                coalesced.extend(gate.offer(case(seq, *chat, 5_000, 0, priority), Millis(now)));
                grouped += 1;
                prop_assert!(gate.bursts.len() <= bursts + 1);
            }
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let most = 20.0 + 20.0 * now as f64 / 60_000.0 + now as f64 / SUMMARY_MS as f64 + 1.0;
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let count = coalesced.len() as f64;
            prop_assert!(count <= most, "{count} of {grouped} in {now} ms");
            let newest = i64::try_from(offers.len()).unwrap();
            for _ in 0..3 {
                now += SUMMARY_MS;
                coalesced.extend(gate.due(Millis(now)));
            }
            prop_assert!(gate.oldest_waiting().is_none());
            prop_assert!(coalesced.iter().any(|coalesced| coalesced.last_seq == newest));
        }
    }
}
