//! Retries media downloads without blocking later messages. After the last attempt the message is delivered
//! without its media.
//!
//! Attempts are counted per message, whether the upstream repeats its callback or the queue here retries. All
//! of it is in memory and bounded: the stored position stays before a waiting message, so that the next
//! session reads it again.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::hash::Hash;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::client::UpstreamFailure;
use crate::net::NetError;

/// Messages whose attempts are counted; beyond that the oldest count is dropped.
const MAX_COUNTED: usize = 1_000;

/// How often, how long and how many downloads are retried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MediaRetryPolicy {
    pub(crate) max_attempts: u32,
    /// Measured from the first attempt; an attempt after that is the last.
    pub(crate) max_age: Duration,
    /// The pause after the first attempt; each further one is twice as long.
    pub(crate) first_delay: Duration,
    pub(crate) max_doublings: u32,
    /// Messages that wait in the queue at once.
    pub(crate) max_waiting: usize,
    /// Downloads from the queue at once.
    pub(crate) max_parallel: usize,
}

impl MediaRetryPolicy {
    /// The pause after the attempt of this number; none after number 0.
    pub(crate) fn delay(&self, attempt: u32) -> Duration {
        match attempt {
            0 => Duration::ZERO,
            number => self.first_delay * (1 << (number - 1).min(self.max_doublings)),
        }
    }
}

/// Why a file could not be downloaded. The sentences are safe to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaFetchError {
    /// A later attempt may succeed.
    Temporary(&'static str),
    /// No attempt will succeed.
    Permanent(&'static str),
    /// The daemon's own store failed.
    NotStored,
}

impl From<UpstreamFailure> for MediaFetchError {
    fn from(failure: UpstreamFailure) -> Self {
        match failure {
            UpstreamFailure::NoAnswer(NetError::TooLarge(_)) => Self::Permanent("the file is too large"),
            failure if failure.is_temporary() => Self::Temporary("the upstream does not serve the file now"),
            _ => Self::Permanent("the upstream does not serve the file"),
        }
    }
}

/// One attempt to download a message's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MediaAttempt {
    /// The number of the attempt, from 1.
    pub(crate) number: u32,
    pub(crate) is_last: bool,
    /// All attempts were used already: earlier callers disconnected before the last attempt ended.
    pub(crate) is_exhausted: bool,
}

/// The attempts and the queue of one device. `K` identifies a message, `T` is the message itself.
pub(crate) struct MediaRetries<K, T> {
    policy: MediaRetryPolicy,
    state: Mutex<RetryState<K, T>>,
    changed: Notify,
}

struct RetryState<K, T> {
    /// Counted messages in the order of their first attempt.
    order: VecDeque<K>,
    counts: HashMap<K, AttemptCount>,
    waiting: Vec<WaitingMedia<K, T>>,
    running: Vec<K>,
}

#[derive(Clone, Copy)]
struct AttemptCount {
    attempts: u32,
    since: Instant,
    is_done: bool,
}

struct WaitingMedia<K, T> {
    key: K,
    item: T,
    due: Instant,
}

impl<K: Clone + Eq + Hash, T> MediaRetries<K, T> {
    pub(crate) fn new(policy: MediaRetryPolicy) -> Self {
        let (order, counts, waiting, running) = (VecDeque::new(), HashMap::new(), Vec::new(), Vec::new());
        let state = Mutex::new(RetryState { order, counts, waiting, running });
        Self { policy, state, changed: Notify::new() }
    }

    pub(crate) fn policy(&self) -> &MediaRetryPolicy {
        &self.policy
    }

    /// Counts an attempt before it begins: the caller may disconnect before it ends.
    pub(crate) fn begin(&self, key: &K) -> MediaAttempt {
        let mut state = self.state();
        let count = match state.counts.get(key) {
            Some(count) if !count.is_done => {
                AttemptCount { attempts: count.attempts.saturating_add(1), ..*count }
            }
            _ => AttemptCount { attempts: 1, since: Instant::now(), is_done: false },
        };
        state.set(key, count);
        let (number, max) = (count.attempts, self.policy.max_attempts);
        let is_last = number >= max || count.since.elapsed() >= self.policy.max_age;
        MediaAttempt { number, is_last, is_exhausted: number > max }
    }

    /// Records that the message was ingested, with its file or without.
    pub(crate) fn finish(&self, key: &K) {
        self.state().set(key, AttemptCount { attempts: 0, since: Instant::now(), is_done: true });
    }

    /// Whether the message was ingested recently.
    pub(crate) fn is_finished(&self, key: &K) -> bool {
        self.state().counts.get(key).is_some_and(|count| count.is_done)
    }

    /// Whether no message waits or is being retried.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().queued() == 0
    }

    /// Whether the message waits or is being retried.
    #[allow(dead_code, reason = "for engines whose upstream repeats messages")]
    pub(crate) fn contains(&self, key: &K) -> bool {
        let state = self.state();
        state.running.contains(key) || state.waiting.iter().any(|waiting| waiting.key == *key)
    }

    /// Queues a message.
    ///
    /// # Errors
    /// Returns the message when the queue is full.
    pub(crate) fn try_push(&self, key: K, item: T, delay: Duration) -> Result<(), Box<T>> {
        let mut state = self.state();
        if state.queued() >= self.policy.max_waiting {
            return Err(Box::new(item));
        }
        state.waiting.push(WaitingMedia { key, item, due: Instant::now() + delay });
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Queues a message once there is room; later messages wait too.
    pub(crate) async fn push(&self, key: K, mut item: T, delay: Duration) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.try_push(key.clone(), item, delay) {
                Ok(()) => return,
                Err(full) => item = *full,
            }
            changed.await;
        }
    }

    /// Retries due messages until `retry` fails. `retry` returns the message with a pause to have it
    /// retried again.
    ///
    /// # Errors
    /// The error of `retry`.
    pub(crate) async fn run<'a, E>(
        &self,
        retry: impl Fn(T) -> BoxFuture<'a, Result<Option<(T, Duration)>, E>> + Send + Sync,
    ) -> Result<Infallible, E>
    where
        T: 'a,
    {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (due, next) = self.take_due();
            if due.is_empty() {
                tokio::select! {
                    () = changed => {}
                    () = sleep_until(next) => {}
                }
                continue;
            }
            let (keys, items): (Vec<K>, Vec<T>) = due.into_iter().unzip();
            let results: Result<Vec<_>, E> =
                join_all(items.into_iter().map(&retry)).await.into_iter().collect();
            self.requeue(keys.into_iter().zip(results?));
        }
    }

    fn take_due(&self) -> (Vec<(K, T)>, Option<Instant>) {
        let now = Instant::now();
        let mut state = self.state();
        let mut due = Vec::new();
        while due.len() < self.policy.max_parallel {
            let Some(at) = state.waiting.iter().position(|waiting| waiting.due <= now) else { break };
            let WaitingMedia { key, item, .. } = state.waiting.remove(at);
            state.running.push(key.clone());
            due.push((key, item));
        }
        let next = state.waiting.iter().map(|waiting| waiting.due).min();
        (due, next)
    }

    fn requeue(&self, results: impl Iterator<Item = (K, Option<(T, Duration)>)>) {
        let mut state = self.state();
        state.running.clear();
        for (key, again) in results {
            if let Some((item, delay)) = again {
                state.waiting.push(WaitingMedia { key, item, due: Instant::now() + delay });
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, RetryState<K, T>> {
        self.state.lock()
    }
}

impl<K: Clone + Eq + Hash, T> RetryState<K, T> {
    fn queued(&self) -> usize {
        self.waiting.len() + self.running.len()
    }

    fn set(&mut self, key: &K, count: AttemptCount) {
        if self.counts.insert(key.clone(), count).is_some() {
            return;
        }
        self.order.push_back(key.clone());
        if self.order.len() > MAX_COUNTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
        }
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: MediaRetryPolicy = MediaRetryPolicy {
        max_attempts: 3,
        max_age: Duration::from_secs(100),
        first_delay: Duration::from_secs(2),
        max_doublings: 2,
        max_waiting: 2,
        max_parallel: 2,
    };

    fn retries() -> MediaRetries<u32, u32> {
        MediaRetries::new(POLICY)
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_counted_per_message_until_it_is_ingested() {
        let retries = retries();
        let attempts: Vec<MediaAttempt> = (0..4).map(|_| retries.begin(&1)).collect();
        assert_eq!(attempts.iter().position(|attempt| attempt.is_last), Some(2));
        assert_eq!(attempts.iter().position(|attempt| attempt.is_exhausted), Some(3));
        assert!(!retries.begin(&2).is_last && !retries.is_finished(&1));
        tokio::time::advance(POLICY.max_age).await;
        assert!(retries.begin(&2).is_last, "the message exceeded its maximum age");
        retries.finish(&1);
        assert!(retries.is_finished(&1));
        assert_eq!(retries.begin(&1).number, 1);
    }

    #[test]
    fn counted_messages_are_bounded() {
        let retries: MediaRetries<usize, ()> = MediaRetries::new(POLICY);
        (0..=MAX_COUNTED).for_each(|n| retries.finish(&n));
        assert!(!retries.is_finished(&0) && retries.is_finished(&1));
        let state = retries.state();
        assert_eq!((state.order.len(), state.counts.len()), (MAX_COUNTED, MAX_COUNTED));
    }

    #[test]
    fn delays_double_up_to_a_limit() {
        let delays = [0, 1, 2, 3, 9].map(|attempt| POLICY.delay(attempt).as_secs());
        assert_eq!(delays, [0, 2, 4, 8, 8]);
    }

    #[tokio::test(start_paused = true)]
    async fn full_queue_makes_the_next_message_wait() {
        let retries = retries();
        for n in 0..2 {
            retries.try_push(n, n, Duration::from_secs(5)).unwrap();
        }
        assert!(retries.contains(&1) && !retries.contains(&2) && !retries.is_idle());
        assert_eq!(retries.try_push(2, 2, Duration::ZERO), Err(Box::new(2)));
        let began = Instant::now();
        let ingest = |_: u32| -> BoxFuture<'static, Result<_, ()>> { Box::pin(async { Ok(None) }) };
        tokio::select! {
            () = retries.push(2, 2, Duration::ZERO) => {}
            _ = retries.run(ingest) => {}
        }
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn retried_message_is_tried_again_after_its_pause() {
        let retries = retries();
        retries.try_push(7, 7, Duration::ZERO).unwrap();
        let began = Instant::now();
        let retry = |item: u32| -> BoxFuture<'_, Result<_, u32>> {
            let attempt = retries.begin(&item);
            Box::pin(async move {
                if attempt.is_last {
                    Err(attempt.number)
                } else {
                    Ok(Some((item, POLICY.delay(attempt.number))))
                }
            })
        };
        assert_eq!(retries.run(retry).await.err(), Some(3));
        assert_eq!(began.elapsed(), Duration::from_secs(6));
    }
}
