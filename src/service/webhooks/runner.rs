//! One webhook's deliveries, as long as some wait.
//!
//! Invariants: of each lane one delivery is under way at most; a result is in the store before the next of its lane
//! leaves; a webhook that fails is tried with one delivery at a time. A runner ends when nothing waits; whoever has
//! something new then finds no runner and makes one.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

use super::attempt::{Place, Target, Tried};
use crate::domain::clock::Millis;
use crate::domain::event::{Event, WebhookDied, WebhookSwitchedOff};
use crate::domain::webhook::DisabledReason;
use crate::service::{Core, ServiceError};
use crate::store::Tx;
use crate::store::webhook_deliveries::{AfterFailure, DeliveryKey, DueDelivery};
use crate::store::webhook_endpoints::EndpointKey;

/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// The clock may be set: nobody waits for longer without a look at it.
const LONGEST_WAIT_MS: i64 = 60_000;
/// Rows read at once, for each place.
const READ_AHEAD: usize = 4;
/// How long tries under way may take when the daemon ends.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// Two failures that lie further apart do not belong together.
const LAPSE_MS: i64 = 86_400_000;
/// Deliveries given up in one write.
pub(super) const BATCH: usize = 500;

/// Tells a runner that there may be something new.
#[derive(Debug, Default)]
pub(super) struct Wake {
    called: AtomicBool,
    notify: Notify,
}

impl Wake {
    pub(super) fn call(&self) {
        self.called.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }
}

/// What the store had.
struct Look {
    /// Where to; `None` when nothing is to be sent.
    target: Option<Arc<Target>>,
    due: Vec<DueDelivery>,
    /// When something else is due.
    next: Option<Millis>,
}

pub(super) struct Runner {
    core: Core,
    key: EndpointKey,
    wake: Arc<Wake>,
    target: Option<Arc<Target>>,
    ready: VecDeque<DueDelivery>,
    under_way: HashSet<DeliveryKey>,
    next: Option<Millis>,
}

/// Which delivery, and whether it was delivered.
type Trying = FuturesUnordered<BoxFuture<'static, (DeliveryKey, bool)>>;

impl Runner {
    pub(super) fn new(core: Core, key: EndpointKey, wake: Arc<Wake>) -> Self {
        let (ready, under_way) = (VecDeque::new(), HashSet::new());
        Self { core, key, wake, target: None, ready, under_way, next: None }
    }

    pub(super) async fn run(mut self) {
        let soft = self.core.tasks().soft().clone();
        let mut trying = Trying::new();
        let mut stale = true;
        while !soft.is_cancelled() {
            if stale && self.ready.is_empty() && trying.len() < self.places() {
                self.wake.called.store(false, Ordering::SeqCst);
                stale = false;
                if let Err(error) = self.look().await {
                    tracing::warn!(%error, "what waits for a webhook could not be read; trying again");
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
                        // It may be failing now: what was read ahead waits for another look.
                        self.ready.clear();
                    }
                    stale = true;
                }
                () = self.wake.notify.notified() => stale = true,
                () = wait_until(&self.core, self.next), if self.next.is_some() => {
                    // Read anew with what is due; until there is a place for it, nothing is waited for.
                    self.next = None;
                    stale = true;
                }
            }
        }
        let rest = async { while trying.next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_ANSWERS, rest).await;
    }

    /// Nothing waits. `false` when somebody came in just now.
    fn ends(&self) -> bool {
        let mut runners = self.core.inner.webhooks.runners();
        if self.wake.called.load(Ordering::SeqCst) {
            return false;
        }
        runners.remove(&self.key);
        true
    }

    fn places(&self) -> usize {
        let failing = self.target.as_ref().is_some_and(|target| target.endpoint.failing_since.is_some());
        if failing { 1 } else { self.core.inner.webhooks.limits.max_in_flight_per_endpoint }
    }

    async fn look(&mut self) -> Result<(), ServiceError> {
        let (core, key, under_way) = (self.core.clone(), self.key, self.under_way.clone());
        let most = core.inner.webhooks.limits.max_in_flight_per_endpoint * READ_AHEAD + under_way.len();
        let look = self
            .core
            .read(move |store| {
                let Some(stored) = store.webhook_to_send(key)? else {
                    return Ok(Look { target: None, due: Vec::new(), next: None });
                };
                let now = core.now();
                let mut due = store.deliveries_due(key, now, most)?;
                due.retain(|delivery| !under_way.contains(&delivery.key));
                let next = store.next_delivery(key, now)?;
                let secrets = core.store().open_webhook(&stored)?;
                let target = Target { key, endpoint: stored.endpoint, secrets };
                Ok(Look { target: Some(Arc::new(target)), due, next })
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
            let (core, target) = (self.core.clone(), target.clone());
            trying.push(Box::pin(async move {
                let key = delivery.key;
                (key, try_once(&core, &target, delivery).await)
            }));
        }
    }
}

/// Also after a panic: whoever has something new must find no runner that is none.
impl Drop for Runner {
    fn drop(&mut self) {
        let mut runners = self.core.inner.webhooks.runners();
        if runners.get(&self.key).is_some_and(|wake| Arc::ptr_eq(wake, &self.wake)) {
            runners.remove(&self.key);
        }
    }
}

async fn wait_until(core: &Core, at: Option<Millis>) {
    let ms = at.map_or(LONGEST_WAIT_MS, |at| at.since(core.now())).clamp(1, LONGEST_WAIT_MS);
    tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
}

/// Pushes once, and stores what came of it. Whether it was delivered.
async fn try_once(core: &Core, target: &Arc<Target>, delivery: DueDelivery) -> bool {
    let mut place = Place::take(core, target.endpoint.failing_since.is_some()).await;
    let tried = target.push(core, &delivery, &mut place).await;
    drop(place);
    let number = delivery.attempts.saturating_add(1);
    tried.log(&target.endpoint.id, &delivery.name, number);
    let (gone, delivered) = (tried.outcome.is_gone(), tried.outcome.is_delivered());
    if let Err(error) = settle(core, target, delivery, tried).await {
        tracing::warn!(webhook = %target.endpoint.id, %error, "what came of a try could not be stored; it is repeated");
        let _ = tokio::time::timeout(STORE_PAUSE, core.tasks().soft().cancelled()).await;
    } else if gone {
        core.bury(target.key, "gone").await;
    }
    delivered
}

async fn settle(
    core: &Core,
    target: &Arc<Target>,
    delivery: DueDelivery,
    tried: Tried,
) -> Result<(), ServiceError> {
    let (now, unit) = (core.now(), core.inner.random.unit());
    let settling = Settling {
        schedule_wait: core.inner.webhooks.limits.schedule.wait_ms(
            delivery.attempts.saturating_add(1),
            unit,
            tried.outcome.asked_ms,
        ),
        lapse_ms: lapse_ms(core),
        disable_after_ms: core.inner.webhooks.limits.disable_after_ms,
        target: target.clone(),
        delivery,
        tried,
        now,
    };
    let end = core.store().write_patiently(move |tx| settling.store(tx)).await?;
    if end.dead {
        core.metrics().webhook_dead.inc();
        tracing::warn!(webhook = %target.endpoint.id, "an event did not reach a webhook in any try; it is a dead letter now");
    }
    if let Some(reason) = end.disabled {
        core.metrics().webhook_disabled.inc();
        tracing::warn!(webhook = %target.endpoint.id, ?reason, "the webhook is disabled");
        if reason == DisabledReason::Failing {
            core.bury(target.key, "endpoint_failing").await;
        }
    }
    Ok(())
}

fn lapse_ms(core: &Core) -> i64 {
    let longest = core.inner.webhooks.limits.schedule.longest_ms().saturating_mul(2);
    i64::try_from(longest).unwrap_or(i64::MAX).max(LAPSE_MS)
}

/// What is needed to store what came of a try.
struct Settling {
    target: Arc<Target>,
    delivery: DueDelivery,
    tried: Tried,
    schedule_wait: Option<u64>,
    lapse_ms: i64,
    disable_after_ms: i64,
    now: Millis,
}

/// What came of it besides.
#[derive(Default)]
struct End {
    dead: bool,
    disabled: Option<DisabledReason>,
}

impl Settling {
    fn store(self, tx: &Tx<'_>) -> Result<End, ServiceError> {
        let (key, now) = (self.target.key, self.now);
        let mut end = End::default();
        let mut next_at = None;
        if self.tried.outcome.is_delivered() {
            tx.delivered(self.delivery.key, now)?;
            tx.webhook_reached(key, now)?;
        } else {
            let event_gone = self.delivery.payload.is_none();
            let wait = self.schedule_wait.filter(|_| !self.tried.outcome.is_gone() && !event_gone);
            next_at = wait.map(|ms| now.plus(i64::try_from(ms).unwrap_or(i64::MAX)));
            let after = next_at.map_or(AfterFailure::GivenUp, AfterFailure::Again);
            if tx.not_delivered(self.delivery.key, self.tried.outcome.word, after, now)? {
                end.dead = next_at.is_none();
            }
            if !event_gone {
                let since = tx.webhook_missed(key, now, self.lapse_ms)?;
                end.disabled = self.switch_off(tx, since)?;
            }
            // A dead letter of news about webhooks makes no news, or two dead webhooks would feed each other.
            if end.dead && !self.delivery.kind.starts_with("webhook:") {
                self.tell(tx, &self.died())?;
            }
        }
        let number = self.delivery.attempts.saturating_add(1);
        let event = (self.delivery.device.clone(), self.delivery.seq);
        let attempt = self.tried.into_attempt(Some(event), &self.delivery.name, number, next_at);
        tx.note_attempt(key, &attempt)?;
        Ok(end)
    }

    fn switch_off(&self, tx: &Tx<'_>, failing_since: Millis) -> Result<Option<DisabledReason>, ServiceError> {
        let reason = if self.tried.outcome.is_gone() {
            DisabledReason::Gone
        } else if self.now.since(failing_since) >= self.disable_after_ms {
            DisabledReason::Failing
        } else {
            return Ok(None);
        };
        if !tx.disable_webhook(self.target.key, reason, self.now)? {
            return Ok(None);
        }
        let webhook_id = self.target.endpoint.id.clone();
        self.tell(tx, &Event::WebhookDisabled(WebhookSwitchedOff { webhook_id, reason }))?;
        Ok(Some(reason))
    }

    fn died(&self) -> Event {
        Event::WebhookDead(WebhookDied {
            webhook_id: self.target.endpoint.id.clone(),
            event: self.delivery.kind.clone(),
            event_seq: self.delivery.seq,
            attempts: self.delivery.attempts.saturating_add(1),
            error: self.tried.outcome.word.to_owned(),
        })
    }

    /// In the log of the device whose event it was, unless that device is gone.
    fn tell(&self, tx: &Tx<'_>, event: &Event) -> Result<(), ServiceError> {
        if tx.device(&self.delivery.device)?.is_some() {
            tx.append(&self.delivery.device, event, self.now)?;
        }
        Ok(())
    }
}

impl Core {
    /// Gives up all that waits for a webhook that gets nothing any more.
    pub(super) async fn bury(&self, key: EndpointKey, error: &'static str) {
        loop {
            let now = self.now();
            match self.store().write_patiently(move |tx| tx.bury_some(key, error, now, BATCH)).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    return tracing::warn!(%error, "what waits for a disabled webhook waits until the next housekeeping");
                }
            }
        }
    }
}
