//! Who is pushed to next: each operator has waiting places and tries of their own, so that a push service that hangs
//! keeps nobody waiting but those who chose it. A subscription that failed rests before it is tried again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::clock::Millis;
use crate::domain::notify::{OperatorId, Priority};
use crate::store::push_subscriptions::Subscription;

/// Pushes of one operator that may wait.
const WAITING: usize = 64;
/// Pushes of one operator under way at once.
const AT_ONCE: usize = 4;
/// Milliseconds of rest after the first failure in a row, the second, and all after it.
const RESTS_MS: [i64; 3] = [60_000, 300_000, 1_800_000];
/// Failing subscriptions that are remembered.
const MAX_FAILING: usize = 10_000;

/// Something to be pushed to one browser.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) to: Subscription,
    pub(super) payload: Arc<[u8]>,
    pub(super) priority: Priority,
}

#[derive(Debug, Default)]
struct OperatorQueue {
    waiting: VecDeque<Job>,
    /// Subscriptions that are pushed to now: what is next for them waits, so that nothing comes in another order.
    busy: HashSet<String>,
    workers: usize,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    in_a_row: usize,
    rests_until: Millis,
}

/// What waits, by operator. A lane ends with what waits in it.
#[derive(Debug, Default)]
pub(super) struct OperatorQueues {
    lanes: Mutex<HashMap<OperatorId, OperatorQueue>>,
    failing: Mutex<HashMap<String, Failing>>,
}

/// What became of a job that was offered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// Somebody works in this lane as much as may be.
    Waits,
    /// The caller has to see to it that [`Lanes::next`] is asked until there is nothing.
    NeedsWorker,
    /// As many wait as may.
    Dropped,
}

impl OperatorQueues {
    /// Puts a job into its operator's lane.
    pub(super) fn offer(&self, job: Job) -> Offered {
        let mut lanes = self.lanes.lock();
        let lane = lanes.entry(job.to.operator.clone()).or_default();
        if lane.waiting.len() >= WAITING {
            return Offered::Dropped;
        }
        lane.waiting.push_back(job);
        if lane.workers >= AT_ONCE {
            return Offered::Waits;
        }
        lane.workers += 1;
        Offered::NeedsWorker
    }

    /// The next job of a worker that is done with its last one; it ends when there is none.
    pub(super) fn next(&self, operator: &OperatorId, done: Option<&str>) -> Option<Job> {
        let mut lanes = self.lanes.lock();
        let lane = lanes.get_mut(operator)?;
        if let Some(id) = done {
            lane.busy.remove(id);
        }
        let free = lane.waiting.iter().position(|job| !lane.busy.contains(&job.to.id));
        if let Some(job) = free.and_then(|at| lane.waiting.remove(at)) {
            lane.busy.insert(job.to.id.clone());
            return Some(job);
        }
        // What waits is for browsers that others push to, who come back for it.
        lane.workers = lane.workers.saturating_sub(1);
        if lane.workers == 0 {
            lanes.remove(operator);
        }
        None
    }

    /// Whether a subscription rests after a failure.
    pub(super) fn rests(&self, id: &str, now: Millis) -> bool {
        self.failing().get(id).is_some_and(|failing| now < failing.rests_until)
    }

    /// Notes that a subscription failed, whose service may want it to rest longer; `true` when it worked before.
    pub(super) fn failed(&self, id: &str, now: Millis, wanted_s: Option<u64>) -> bool {
        let mut all = self.failing();
        if all.len() >= MAX_FAILING {
            all.retain(|_, failing| now < failing.rests_until);
        }
        let before = all.get(id).copied();
        // What was under way at the same time failed for the same reason.
        if before.is_some_and(|failing| now < failing.rests_until) {
            return false;
        }
        let in_a_row = before.map_or(0, |failing| failing.in_a_row);
        let longest = RESTS_MS[RESTS_MS.len() - 1];
        let wanted = wanted_s.and_then(|s| i64::try_from(s).ok()).unwrap_or(0).saturating_mul(1_000);
        let rest = RESTS_MS.get(in_a_row).copied().unwrap_or(longest).max(wanted.min(longest));
        let failing = Failing { in_a_row: in_a_row + 1, rests_until: now.plus(rest) };
        if all.len() < MAX_FAILING {
            all.insert(id.to_owned(), failing);
        }
        before.is_none()
    }

    /// Notes that a subscription works, or is no more; `true` when it failed before.
    pub(super) fn forget(&self, id: &str) -> bool {
        self.failing().remove(id).is_some()
    }

    fn failing(&self) -> parking_lot::MutexGuard<'_, HashMap<String, Failing>> {
        self.failing.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(operator: &str) -> Job {
        let operator = OperatorId::verified(operator);
        let to = Subscription::new("np_1".to_owned(), operator, "k".to_owned(), String::new(), Millis(0));
        Job { to, payload: Vec::new().into(), priority: Priority::Normal }
    }

    #[test]
    fn push_queue_limit_is_per_operator() {
        let lanes = OperatorQueues::default();
        for _ in 0..AT_ONCE {
            assert_eq!(lanes.offer(job("anna")), Offered::NeedsWorker);
        }
        for _ in AT_ONCE..WAITING {
            assert_eq!(lanes.offer(job("anna")), Offered::Waits);
        }
        assert_eq!(lanes.offer(job("anna")), Offered::Dropped);
        assert_eq!(lanes.offer(job("ben")), Offered::NeedsWorker);
    }

    #[test]
    fn empty_push_queue_is_removed() {
        let (lanes, anna) = (OperatorQueues::default(), OperatorId::verified("anna"));
        lanes.offer(job("anna"));
        lanes.offer(job("anna"));
        assert!(lanes.next(&anna, None).is_some());
        assert!(lanes.next(&anna, None).is_none(), "the same browser's next push waits for this one");
        assert!(lanes.next(&anna, Some("np_1")).is_some());
        assert!(lanes.next(&anna, Some("np_1")).is_none());
        assert!(lanes.lanes.lock().is_empty());
        assert_eq!(lanes.offer(job("anna")), Offered::NeedsWorker);
    }

    #[test]
    fn failing_push_backs_off_and_is_logged_once() {
        let (lanes, start) = (OperatorQueues::default(), Millis(1_000));
        assert!(!lanes.rests("a", start));
        assert!(lanes.failed("a", start, None), "news");
        assert!(!lanes.failed("a", start, None), "the same failure");
        let mut at = start;
        for rest in RESTS_MS {
            assert!(lanes.rests("a", at.plus(rest - 1)) && !lanes.rests("a", at.plus(rest)));
            at = at.plus(rest);
            assert!(!lanes.failed("a", at, None), "no news");
        }
        assert!(lanes.rests("a", at.plus(RESTS_MS[2] - 1)) && !lanes.rests("b", at));
        assert!(lanes.forget("a") && !lanes.forget("a"));
        assert!(lanes.failed("a", at, Some(120)));
        assert!(lanes.rests("a", at.plus(119_999)) && !lanes.rests("a", at.plus(120_000)));
    }
}
