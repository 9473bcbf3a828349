//! Simulates a day of random load with restarts. No limit is exceeded in any window, chats keep their order,
//! no message is lost, and none is held without a reason.
//!
//! The sends are checked against the rules by counting, not with the code under test.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;

use crate::domain::clock::Millis;
use crate::domain::jid::Jid;
use crate::domain::outbox::{
    Dispatcher, NextSend, Pace, Priority, QueuedMessage, QuietHours, Rules, SentRecord, Warmup,
};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Noon before the night in which the clock in Berlin is set forward.
const START: Millis = Millis(1_774_695_600_000);
const IN_FLIGHT: usize = 4;

/// Random numbers that are reproducible from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((z ^ (z >> 31)) >> 2).unwrap() % n.max(1)
    }

    fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }
}

/// A message in flight: it leaves, and the network answers later.
struct Trip {
    entry: QueuedMessage,
    leaves: Millis,
    ends: Millis,
    has_left: bool,
}

struct SendLogEntry {
    at: Millis,
    chat: Jid,
    row: i64,
}

/// One device with a simulated store and network.
struct World {
    rules: Rules,
    dice: Dice,
    now: Millis,
    dispatch: Dispatcher,
    /// The simulated store: queued rows and sends.
    rows: BTreeMap<i64, QueuedMessage>,
    log: Vec<SendLogEntry>,
    departures: Vec<SentRecord>,
    /// Chats with a message in either direction that arrived.
    contacted: HashSet<Jid>,
    /// The moment of a chat's first incoming message.
    wrote: HashMap<Jid, Millis>,
    trips: Vec<Trip>,
    accepted: Vec<QueuedMessage>,
}

fn chat(n: i64) -> Jid {
    Jid::person(&format!("1555010{n:04}")).unwrap()
}

impl World {
    fn new(rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            dice: Dice(seed),
            now: START,
            dispatch: Dispatcher::default(),
            rows: BTreeMap::new(),
            log: Vec::new(),
            departures: Vec::new(),
            contacted: HashSet::new(),
            wrote: HashMap::new(),
            trips: Vec::new(),
            accepted: Vec::new(),
        }
    }

    fn is_new(&self, chat: &Jid) -> bool {
        !self.contacted.contains(chat)
    }

    fn accept(&mut self) {
        let due = if self.dice.one_in(5) { self.now.plus(self.dice.below(6 * HOUR)) } else { Millis(0) };
        let entry = QueuedMessage {
            row: i64::try_from(self.accepted.len()).unwrap() + 1,
            chat: chat(self.dice.below(40)),
            priority: Priority::of_rank(self.dice.below(3)),
            due,
            retry_at: None,
        };
        let new = self.is_new(&entry.chat);
        self.rows.insert(entry.row, entry.clone());
        self.accepted.push(entry.clone());
        self.dispatch.push(entry, new);
    }

    fn receive(&mut self) {
        let from = chat(self.dice.below(40));
        self.wrote.entry(from.clone()).or_insert(self.now);
        self.contacted.insert(from);
        let strangers: Vec<Jid> = self.dispatch.queue().chats().filter(|c| self.is_new(c)).cloned().collect();
        self.dispatch.set_strangers(strangers);
    }

    /// Drops all memory and loads the dispatcher from the store.
    fn restart(&mut self) {
        self.trips.clear();
        self.dispatch = Dispatcher::default();
        let from = self.now.plus(-self.rules.horizon_ms());
        let past = self.departures.iter().filter(|departure| departure.at > from).cloned().collect();
        let unit = self.unit();
        self.dispatch.restore(past, self.rules.pace, unit);
        for entry in self.rows.values() {
            let new = !self.contacted.contains(&entry.chat);
            self.dispatch.push(entry.clone(), new);
        }
    }

    fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.dice.below(1_001)).unwrap()) / 1_000.0
    }

    /// Starts as many sends as possible. Returns the moment of the next check.
    fn fill(&mut self) -> Option<Millis> {
        while self.trips.len() < IN_FLIGHT {
            match self.dispatch.next(&self.rules, self.now) {
                NextSend::Send(entry) => {
                    assert!(self.trips.iter().all(|trip| trip.entry.chat != entry.chat), "two of a chat");
                    let quiet = self.rules.quiet_hours.as_ref();
                    assert!(
                        quiet.is_none_or(|hours| hours.free_at(self.now) == self.now),
                        "chosen in quiet hours"
                    );
                    let stored = &self.rows[&entry.row];
                    assert!(self.now >= stored.due && stored.retry_at.is_none_or(|at| self.now >= at));
                    let typing = if self.dice.one_in(2) { self.dice.below(8 * SECOND) } else { 0 };
                    let leaves = self.now.plus(typing);
                    let ends = leaves.plus(self.dice.below(3 * SECOND));
                    self.trips.push(Trip { entry, leaves, ends, has_left: false });
                }
                NextSend::Held(at, why) => {
                    assert!(self.is_justified(), "held by {why:?} at {:?} without a cause", self.now);
                    return at;
                }
                NextSend::Idle => {
                    assert!(self.rows.values().all(|e| self.trips.iter().any(|t| t.entry.chat == e.chat)));
                    return None;
                }
            }
        }
        None
    }

    fn advance(&mut self) {
        for mut trip in std::mem::take(&mut self.trips) {
            if !trip.has_left && trip.leaves <= self.now {
                if self.rules.free_at(self.now) > self.now {
                    self.dispatch.release(&trip.entry.chat);
                    self.dispatch.requeue(trip.entry);
                    continue;
                }
                self.leave(&trip.entry);
                trip.has_left = true;
            }
            if trip.has_left && trip.ends <= self.now {
                self.answer(trip.entry);
            } else {
                self.trips.push(trip);
            }
        }
    }

    fn leave(&mut self, entry: &QueuedMessage) {
        let recently = self.now.plus(-DAY);
        let opened = |d: &SentRecord| d.at > recently && d.opened.as_ref() == Some(&entry.chat);
        let opens = self.is_new(&entry.chat) && !self.departures.iter().any(opened);
        let departure = SentRecord { at: self.now, opened: opens.then(|| entry.chat.clone()) };
        self.departures.push(departure.clone());
        self.log.push(SendLogEntry { at: self.now, chat: entry.chat.clone(), row: entry.row });
        let unit = self.unit();
        self.dispatch.record_sent(&self.rules, &entry.chat, departure, unit);
    }

    fn answer(&mut self, entry: QueuedMessage) {
        if self.dice.one_in(6) {
            let retry_at = Some(self.now.plus(self.dice.below(5 * MINUTE)));
            let again = QueuedMessage { retry_at, ..entry };
            self.rows.insert(again.row, again.clone());
            self.dispatch.retry(again);
        } else {
            self.contacted.insert(entry.chat.clone());
            self.rows.remove(&entry.row);
            self.dispatch.done(&entry.chat);
        }
    }

    /// Whether a hold has a reason, by counting: a reached limit, quiet hours, a pause, or no ready message.
    fn is_justified(&self) -> bool {
        let pace = self.rules.pace_at(self.now);
        let leaving = self.trips.iter().filter(|trip| !trip.has_left).count();
        let within = |window: i64| self.log.iter().filter(|l| self.now.since(l.at) < window).count();
        let full = |limit: u32, window| limit > 0 && within(window) + leaving >= limit as usize;
        let pausing = pace.max_delay > 0
            && (leaving > 0
                || self.log.last().is_some_and(|l| self.now.since(l.at) < i64::from(pace.max_delay)));
        let opened = |d: &&SentRecord| d.opened.is_some() && self.now.since(d.at) < DAY;
        let opening = self.trips.iter().filter(|t| !t.has_left && self.is_new(&t.entry.chat)).count();
        let no_more_chats = pace.new_chats_per_day > 0
            && self.departures.iter().filter(opened).count() + opening >= pace.new_chats_per_day as usize;
        full(pace.burst_limit, 10 * SECOND)
            || full(pace.messages_per_minute, MINUTE)
            || full(pace.messages_per_day, DAY)
            || self.rules.free_at(self.now) > self.now
            || pausing
            || !self.rows.values().any(|e| self.is_ready(e, no_more_chats))
    }

    /// Whether this message is the first of its chat, is due, and its chat is free.
    fn is_ready(&self, entry: &QueuedMessage, no_more_chats: bool) -> bool {
        let of_chat = || self.rows.values().filter(|other| other.chat == entry.chat);
        let free = !self.trips.iter().any(|trip| trip.entry.chat == entry.chat);
        let heads = of_chat().all(|other| (other.due, other.row) >= (entry.due, entry.row));
        let waits_for_retry = of_chat().any(|other| other.retry_at.is_some_and(|at| at > self.now));
        let may = !no_more_chats || !self.is_new(&entry.chat);
        free && heads && entry.due <= self.now && !waits_for_retry && may
    }

    /// Runs a day of load, and then until all messages are sent.
    fn run(&mut self, per_day: i64, restarts: i64) {
        let mut arrivals: Vec<(Millis, u8)> = Vec::new();
        for (count, what) in [(per_day, 0), (per_day / 10, 1), (restarts, 2)] {
            arrivals.extend((0..count).map(|_| (START.plus(self.dice.below(DAY)), what)));
        }
        arrivals.sort_unstable_by(|a, b| b.cmp(a));
        for _ in 0..200_000 {
            let wake = self.fill();
            let moves = self.trips.iter().map(|trip| if trip.has_left { trip.ends } else { trip.leaves });
            // Warm-up limits rise without a notification, so check again after an hour at most.
            let check = wake.map(|at| at.min(self.now.plus(HOUR)));
            let next = moves.chain(check).chain(arrivals.last().map(|(at, _)| *at)).min();
            let Some(next) = next else { break };
            self.now = next.max(self.now);
            while let Some((_, what)) = arrivals.pop_if(|(at, _)| *at <= self.now) {
                match what {
                    0 => self.accept(),
                    1 => self.receive(),
                    _ => self.restart(),
                }
            }
            self.advance();
        }
        assert!(self.rows.is_empty() && self.trips.is_empty(), "{} were never sent", self.rows.len());
    }

    /// Checks all sends against the rules by counting.
    fn check(&self) {
        let mut firsts: HashMap<&Jid, Millis> = HashMap::new();
        for (i, sent) in self.log.iter().enumerate() {
            let pace = self.rules.pace_at(sent.at);
            let within = |window: i64| self.log[..=i].iter().filter(|l| sent.at.since(l.at) < window).count();
            for (limit, window) in [
                (pace.burst_limit, 10 * SECOND),
                (pace.messages_per_minute, MINUTE),
                (pace.messages_per_day, DAY),
            ] {
                assert!(limit == 0 || within(window) <= limit as usize, "{limit} in {window} ms exceeded");
            }
            let pause = i.checked_sub(1).map(|before| sent.at.since(self.log[before].at));
            assert!(pause.is_none_or(|pause| pause >= i64::from(pace.min_delay)), "paused {pause:?} ms");
            let quiet = self.rules.quiet_hours.as_ref();
            assert!(quiet.is_none_or(|hours| hours.free_at(sent.at) == sent.at), "left in quiet hours");
            let wrote_before = self.wrote.get(&sent.chat).is_some_and(|at| *at <= sent.at);
            if !wrote_before {
                firsts.entry(&sent.chat).or_insert(sent.at);
            }
            let opened = firsts.values().filter(|at| sent.at.since(**at) < DAY).count();
            assert!(
                pace.new_chats_per_day == 0 || opened <= pace.new_chats_per_day as usize,
                "{opened} chats"
            );
        }
        self.check_order();
    }

    fn check_order(&self) {
        let mut seen = HashSet::new();
        let mut last: HashMap<&Jid, i64> = HashMap::new();
        for sent in self.log.iter().filter(|sent| seen.insert(sent.row)) {
            let entry = &self.accepted[usize::try_from(sent.row).unwrap() - 1];
            assert!(sent.at >= entry.due, "left before it was due");
            if entry.due == Millis(0) {
                let before = last.insert(&sent.chat, sent.row);
                assert!(before.is_none_or(|before| before < sent.row), "{before:?} before {}", sent.row);
            }
        }
        assert_eq!(seen.len(), self.accepted.len(), "each left at least once");
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    let delays = prop_oneof![Just((0, 0)), (0_u32..3_000, 0_u32..4_000).prop_map(|(a, b)| (a, a + b))];
    let limits =
        (0_u32..6, 0_u32..20, prop_oneof![Just(0_u32), 60_u32..200], prop_oneof![Just(0), 3_u32..20]);
    let quiet = prop_oneof![Just(None), Just(Some(("22:00", "07:00"))), Just(Some(("01:30", "02:30")))];
    (delays, limits, quiet, prop::option::of(1_u32..5)).prop_map(|(delays, limits, quiet, warmup)| Rules {
        pace: Pace {
            min_delay: delays.0,
            max_delay: delays.1,
            burst_limit: limits.0,
            messages_per_minute: limits.1,
            messages_per_day: limits.2,
            new_chats_per_day: limits.3,
        },
        warmup: warmup.map(|days| Warmup { started_at: START, days, start_percent: 20 }),
        quiet_hours: quiet.map(|(from, to)| {
            let zone = "Europe/Berlin".parse().unwrap();
            QuietHours::new(from.parse().unwrap(), to.parse().unwrap(), zone).unwrap()
        }),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn simulated_day_keeps_limits_and_order(
        rules in rules(), seed in any::<u64>(), per_day in 20_i64..300, restarts in 0_i64..6
    ) {
        let mut world = World::new(rules, seed);
        world.run(per_day, restarts);
        world.check();
    }
}
