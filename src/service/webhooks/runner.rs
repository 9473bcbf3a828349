//! Runs the deliveries of one webhook while any are waiting.
//!
//! Invariants: at most one delivery per ordering key is in flight, and its result is stored before the next
//! one starts. A failing webhook has one attempt at a time. A runner ends when nothing waits; the next
//! wake-up starts a new one.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

use super::attempt::{AttemptPermit, Target};
use super::record_result::record_result;
use crate::domain::clock::Millis;
use crate::domain::webhook::DeliveryKey;
use crate::service::{ServiceError, Webhooks};
use crate::store::EndpointWakeup;
use crate::store::webhook_deliveries::DueDelivery;
use crate::store::webhook_endpoints::EndpointKey;

/// Pause after an error of the store.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Maximum wait before the clock is read again, because it may be set.
const LONGEST_WAIT_MS: i64 = 60_000;
/// Deliveries read per permit.
const READ_AHEAD: usize = 4;
/// Time that running attempts get at shutdown.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// Wakes a runner after new deliveries or a change of its webhook.
#[derive(Debug, Default)]
pub(super) struct Wake {
    called: AtomicBool,
    /// Incremented by each change of the webhook; deliveries read before are outdated.
    revision: AtomicU64,
    notify: Notify,
}

impl Wake {
    pub(super) fn call(&self, hint: EndpointWakeup) {
        if hint == EndpointWakeup::Changed {
            self.revision.fetch_add(1, Ordering::SeqCst);
        }
        self.called.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }

    fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }
}

/// Result of polling the store.
struct PollDecision {
    /// The endpoint; `None` when nothing must be sent.
    target: Option<Arc<Target>>,
    due: Vec<DueDelivery>,
    /// Time of the next scheduled delivery.
    next: Option<Millis>,
}

pub(super) struct Runner {
    webhooks: Webhooks,
    key: EndpointKey,
    wake: Arc<Wake>,
    target: Option<Arc<Target>>,
    ready: VecDeque<DueDelivery>,
    under_way: HashSet<DeliveryKey>,
    next: Option<Millis>,
    /// Revision of the webhook that was last read.
    revision: u64,
    /// Time of the last poll; detects a clock that was set back.
    last_checked_at: Option<Millis>,
}

/// Running attempts; each returns its delivery and whether it was delivered.
type Trying = FuturesUnordered<BoxFuture<'static, (DeliveryKey, bool)>>;

impl Runner {
    pub(super) fn new(webhooks: Webhooks, key: EndpointKey, wake: Arc<Wake>) -> Self {
        let (ready, under_way) = (VecDeque::new(), HashSet::new());
        let (target, next, last_checked_at) = (None, None, None);
        Self { webhooks, key, wake, target, ready, under_way, next, revision: 0, last_checked_at }
    }

    pub(super) async fn run(mut self) {
        let soft = self.webhooks.tasks.soft().clone();
        let mut trying = Trying::new();
        let mut stale = true;
        while !soft.is_cancelled() {
            if self.wake.revision() != self.revision {
                self.ready.clear();
                stale = true;
            }
            if stale && self.ready.is_empty() && trying.len() < self.places() {
                self.wake.called.store(false, Ordering::SeqCst);
                stale = false;
                if let Err(error) = self.read_due().await {
                    tracing::warn!(%error, "cannot read the deliveries of a webhook; trying again");
                    let _ = tokio::time::timeout(STORE_PAUSE, soft.cancelled()).await;
                    stale = true;
                    continue;
                }
            }
            self.begin(&mut trying);
            if trying.is_empty() && self.next.is_none() && !stale && self.ends() {
                return;
            }
            tokio::select! {
                biased;
                () = soft.cancelled() => break,
                Some((done, delivered)) = trying.next(), if !trying.is_empty() => {
                    self.under_way.remove(&done);
                    if !delivered {
                        // The webhook may be failing now: reread the deliveries, with its reduced
                        // concurrency.
                        self.ready.clear();
                    }
                    stale = true;
                }
                () = self.wake.notify.notified() => stale = true,
                () = wait_until(&self.webhooks, self.next), if self.next.is_some() => {
                    // The next poll sets this time again.
                    self.next = None;
                    stale = true;
                }
            }
        }
        let rest = async { while trying.next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_ANSWERS, rest).await;
    }

    /// Ends the runner when nothing waits. Returns `false` when a delivery arrived meanwhile.
    fn ends(&self) -> bool {
        let mut runners = self.webhooks.state.runners();
        if self.wake.called.load(Ordering::SeqCst) {
            return false;
        }
        runners.remove(&self.key);
        true
    }

    fn places(&self) -> usize {
        let failing = self.target.as_ref().is_some_and(|target| target.endpoint.failing_since.is_some());
        if failing { 1 } else { self.webhooks.state.limits.max_in_flight_per_endpoint }
    }

    async fn read_due(&mut self) -> Result<(), ServiceError> {
        self.revision = self.wake.revision();
        let now = self.webhooks.clock.now();
        if self.last_checked_at.is_some_and(|before| now < before) {
            self.webhooks.reschedule_from_now(self.key).await?;
        }
        self.last_checked_at = Some(now);
        let (webhooks, key, under_way) = (self.webhooks.clone(), self.key, self.under_way.clone());
        let most = webhooks.state.limits.max_in_flight_per_endpoint * READ_AHEAD + under_way.len();
        let look = self
            .webhooks
            .store
            .read::<_, ServiceError, _>(move |store| {
                let Some(stored) = store.webhook_to_send(key)? else {
                    return Ok(PollDecision { target: None, due: Vec::new(), next: None });
                };
                let now = webhooks.clock.now();
                let mut due = store.deliveries_due(key, now, most)?;
                due.retain(|delivery| !under_way.contains(&delivery.key));
                let next = store.next_delivery(key, now)?;
                let secrets = webhooks.store.open_webhook(&stored)?;
                let target = Target { key, endpoint: stored.endpoint, secrets };
                Ok(PollDecision { target: Some(Arc::new(target)), due, next })
            })
            .await?;
        self.target = look.target;
        self.ready = look.due.into();
        self.next = look.next;
        Ok(())
    }

    fn begin(&mut self, trying: &mut Trying) {
        let Some(target) = self.target.clone() else { return };
        while trying.len() < self.places()
            && let Some(delivery) = self.ready.pop_front()
        {
            self.under_way.insert(delivery.key);
            let (webhooks, target) = (self.webhooks.clone(), target.clone());
            let (wake, revision) = (self.wake.clone(), self.revision);
            trying.push(Box::pin(async move {
                let key = delivery.key;
                let is_current = || wake.revision() == revision;
                (key, try_once(&webhooks, &target, delivery, is_current).await)
            }));
        }
    }
}

/// Also runs after a panic: a wake-up must not find a runner that has ended.
impl Drop for Runner {
    fn drop(&mut self) {
        let mut runners = self.webhooks.state.runners();
        if runners.get(&self.key).is_some_and(|wake| Arc::ptr_eq(wake, &self.wake)) {
            runners.remove(&self.key);
        }
    }
}

async fn wait_until(webhooks: &Webhooks, at: Option<Millis>) {
    let ms = at.map_or(LONGEST_WAIT_MS, |at| at.since(webhooks.clock.now())).clamp(1, LONGEST_WAIT_MS);
    tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
}

/// Makes one attempt and records it; returns whether the event was delivered. Skips the attempt when the
/// webhook changed while this waited for a permit.
async fn try_once(
    webhooks: &Webhooks,
    target: &Arc<Target>,
    delivery: DueDelivery,
    is_current: impl Fn() -> bool + Send,
) -> bool {
    let mut place = AttemptPermit::take(webhooks, target.endpoint.failing_since.is_some()).await;
    if !is_current() {
        return false;
    }
    let tried = target.push(webhooks, &delivery, &mut place).await;
    drop(place);
    let number = delivery.attempts.saturating_add(1);
    tried.log(&target.endpoint.id, &delivery.name, number);
    let (gone, delivered) = (tried.outcome.is_gone(), tried.outcome.is_delivered());
    if let Err(error) = record_result(webhooks, target, delivery, tried).await {
        tracing::warn!(webhook = %target.endpoint.id, %error, "cannot record an attempt; it is repeated");
        let _ = tokio::time::timeout(STORE_PAUSE, webhooks.tasks.soft().cancelled()).await;
    } else if gone {
        webhooks.dead_letter(target.key, "gone").await;
    }
    delivered
}
