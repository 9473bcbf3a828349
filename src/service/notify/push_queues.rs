//! Queues pushes per operator, with separate limits, so that a slow push service delays only its own
//! operator. A subscription that failed is paused before the next attempt.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::clock::Millis;
use crate::domain::notify::{OperatorId, Priority};
use crate::store::push_subscriptions::Subscription;

/// Pushes of one operator that may wait.
const WAITING: usize = 64;
/// Concurrent pushes of one operator.
const AT_ONCE: usize = 4;
/// Pauses in milliseconds after the first, the second and every later consecutive failure.
const RESTS_MS: [i64; 3] = [60_000, 300_000, 1_800_000];
/// Limit of failing subscriptions in memory.
const MAX_FAILING: usize = 10_000;

/// A push to one browser.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) to: Subscription,
    pub(super) payload: Arc<[u8]>,
    pub(super) priority: Priority,
}

#[derive(Debug, Default)]
struct OperatorQueue {
    waiting: VecDeque<Job>,
    /// Subscriptions with a push in progress. Their next push waits, which preserves the order.
    busy: HashSet<String>,
    workers: usize,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    in_a_row: usize,
    rests_until: Millis,
}

/// Waiting pushes by operator. A queue is removed with its last worker.
#[derive(Debug, Default)]
pub(super) struct OperatorQueues {
    lanes: Mutex<HashMap<OperatorId, OperatorQueue>>,
    failing: Mutex<HashMap<String, Failing>>,
}

/// The result of offering a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// All workers of this operator are busy; one of them takes the job later.
    Waits,
    /// The caller must start a worker that calls [`OperatorQueues::next`] until it returns `None`.
    NeedsWorker,
    /// The queue is full.
    Dropped,
}

impl OperatorQueues {
    /// Adds a job to its operator's queue.
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

    /// The next job of a worker that finished `done`; `None` ends the worker.
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
        // The remaining jobs belong to subscriptions that other workers push to and will continue with.
        lane.workers = lane.workers.saturating_sub(1);
        if lane.workers == 0 {
            lanes.remove(operator);
        }
        None
    }

    /// Whether a subscription is paused after a failure.
    pub(super) fn rests(&self, id: &str, now: Millis) -> bool {
        self.failing().get(id).is_some_and(|failing| now < failing.rests_until)
    }

    /// Records a failed push and the pause that the push service requests in seconds; `true` when the
    /// subscription worked before.
    pub(super) fn failed(&self, id: &str, now: Millis, requested_s: Option<u64>) -> bool {
        let mut all = self.failing();
        if all.len() >= MAX_FAILING {
            all.retain(|_, failing| now < failing.rests_until);
        }
        let before = all.get(id).copied();
        // Pushes that ran concurrently failed for the same reason.
        if before.is_some_and(|failing| now < failing.rests_until) {
            return false;
        }
        let in_a_row = before.map_or(0, |failing| failing.in_a_row);
        let longest = RESTS_MS[RESTS_MS.len() - 1];
        let requested = requested_s.and_then(|s| i64::try_from(s).ok()).unwrap_or(0).saturating_mul(1_000);
        let rest = RESTS_MS.get(in_a_row).copied().unwrap_or(longest).max(requested.min(longest));
        let failing = Failing { in_a_row: in_a_row + 1, rests_until: now.plus(rest) };
        if all.len() < MAX_FAILING {
            all.insert(id.to_owned(), failing);
        }
        before.is_none()
    }

    /// Records that a subscription works or was deleted; `true` when it failed before.
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
        assert!(lanes.failed("a", start, None), "the first failure is reported");
        assert!(!lanes.failed("a", start, None), "the same failure");
        let mut at = start;
        for rest in RESTS_MS {
            assert!(lanes.rests("a", at.plus(rest - 1)) && !lanes.rests("a", at.plus(rest)));
            at = at.plus(rest);
            assert!(!lanes.failed("a", at, None), "a repeated failure is not reported");
        }
        assert!(lanes.rests("a", at.plus(RESTS_MS[2] - 1)) && !lanes.rests("b", at));
        assert!(lanes.forget("a") && !lanes.forget("a"));
        assert!(lanes.failed("a", at, Some(120)));
        assert!(lanes.rests("a", at.plus(119_999)) && !lanes.rests("a", at.plus(120_000)));
    }
}
