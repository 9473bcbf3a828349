//! Pushes notifications to browsers, through one queue per operator (`push_queues.rs`). Delivery is never
//! repeated: a late notification is useless.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use url::Url;

use super::job_queue::Queue;
use super::push_queues::{Job, Offered};
use super::recorder::QueuedNotification;
use super::rules::effect_refused;
use crate::domain::access::Scope;
use crate::domain::event::NotificationEvent;
use crate::domain::ids::DeviceId;
use crate::domain::notify::{Action, OperatorId, Priority};
use crate::effects::EffectError;
use crate::effects::push::{PushOutcome, PushTarget, Urgency};
use crate::service::{Notifications, ServiceError};
use crate::store::push_subscriptions::Subscription;

/// Seconds that a push service keeps a push for an offline browser.
const TTL_S: u32 = 3_600;
/// Concurrent pushes of a test: all browsers of one operator.
const TRIED_AT_ONCE: usize = 20;

/// The sealed part of a subscription: the browser's address and keys.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) endpoint: String,
    pub(super) p256dh: String,
    pub(super) auth: String,
}

/// The payload of a push.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pushed<'a> {
    device_id: &'a DeviceId,
    #[serde(flatten)]
    shown: &'a NotificationEvent,
}

/// The result of a test push.
pub(super) struct PushTrial {
    /// Number of browsers.
    pub(super) asked: usize,
    /// Number of browsers that accepted the push.
    pub(super) taken: usize,
}

impl PushTrial {
    /// The result as a sentence for the operator.
    pub(super) fn said(&self) -> String {
        match (self.taken, self.asked) {
            (_, 0) => "There is no push subscription for this key and label.".to_owned(),
            (0, 1) => "The push to your browser failed.".to_owned(),
            (0, asked) => format!("The pushes to all your {asked} browsers failed."),
            (taken, asked) => format!("{taken} of {asked} pushes to your browsers succeeded."),
        }
    }
}

impl Notifications {
    pub(super) async fn push_all(&self, queue: &Queue<Arc<QueuedNotification>>) {
        let soft = self.tasks.soft().clone();
        while let Some(handed) = self.next(queue).await {
            match soft.run_until_cancelled(self.offer_pushes(&handed)).await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::warn!(%error, "a notification could not be pushed"),
            }
        }
    }

    /// Queues a notification for every matching subscription, without waiting for any push.
    async fn offer_pushes(&self, handed: &QueuedNotification) -> Result<(), ServiceError> {
        let QueuedNotification { device, shown, .. } = handed;
        let (now, lanes) = (self.clock.now(), &self.state.lanes);
        let payload: Arc<[u8]> = payload(device, shown).into();
        for to in self.store.read(|store| store.push_subscriptions(None)).await? {
            if !self.is_recipient(&to, device, shown) {
                continue;
            }
            if lanes.rests(&to.id, now) {
                self.metrics.notify_effect(Action::Push.as_str(), "rests");
                continue;
            }
            let operator = to.operator.clone();
            match lanes.offer(Job { to, payload: payload.clone(), priority: shown.priority }) {
                Offered::Waits => {}
                Offered::Dropped => self.metrics.notify_effect(Action::Push.as_str(), "dropped"),
                Offered::NeedsWorker => {
                    let notify = self.clone();
                    self.tasks.spawn("notify-push-lane", async move { notify.work_in_lane(operator).await });
                }
            }
        }
        Ok(())
    }

    async fn work_in_lane(&self, operator: OperatorId) {
        let (soft, lanes) = (self.tasks.soft().clone(), &self.state.lanes);
        let mut done: Option<String> = None;
        while let Some(job) = lanes.next(&operator, done.as_deref()) {
            done = Some(job.to.id.clone());
            // The subscription may have failed while this job waited.
            if lanes.rests(&job.to.id, self.clock.now()) {
                self.metrics.notify_effect(Action::Push.as_str(), "rests");
                continue;
            }
            let pushing = self.push_one(&job.to, &job.payload, job.priority);
            if soft.run_until_cancelled(pushing).await.is_none() {
                return;
            }
        }
    }

    fn is_recipient(
        &self,
        subscription: &Subscription,
        device: &DeviceId,
        shown: &NotificationEvent,
    ) -> bool {
        let Subscription { operator, key_id, devices, .. } = subscription;
        devices.as_ref().is_none_or(|granted| self.access.current(granted).contains(device))
            && self
                .access
                .grant_of(key_id)
                .is_some_and(|grant| grant.reaches(device) && grant.allows(Scope::EventsRead))
            && !self.is_muted(Some(operator), device, shown.chat_id.as_ref())
    }

    async fn push_one(&self, to: &Subscription, payload: &[u8], priority: Priority) -> bool {
        let opened = self.store.open_subscription(to).ok();
        let stored = opened.and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        let target = stored.and_then(|Stored { endpoint, p256dh, auth }| {
            Some(PushTarget { endpoint: Url::parse(&endpoint).ok()?, p256dh, auth })
        });
        let (Some(target), Ok(push)) = (target, self.push()) else { return false };
        let urgency = match priority {
            Priority::Low => Urgency::Low,
            Priority::Normal => Urgency::Normal,
            Priority::High => Urgency::High,
        };
        let result = push.send(&target, payload, urgency, TTL_S).await;
        let outcome = match &result {
            Ok(PushOutcome::Delivered) => "done",
            Ok(PushOutcome::Gone) => "gone",
            // Not retried: the notification would be outdated.
            Ok(PushOutcome::Later(_)) => "busy",
            Ok(PushOutcome::Refused(_)) => "refused",
            Err(_) => "failed",
        };
        self.metrics.notify_effect(Action::Push.as_str(), outcome);
        match result {
            Ok(PushOutcome::Delivered) => {
                if self.state.lanes.forget(&to.id) {
                    tracing::info!(subscription = to.id, "pushes to a subscription succeed again");
                }
            }
            Ok(PushOutcome::Gone) => self.forget_gone(&to.id).await,
            Ok(PushOutcome::Later(requested_s)) => {
                self.push_failed(to, requested_s, "its push service is busy");
            }
            Ok(PushOutcome::Refused(status)) => {
                self.push_failed(to, None, &format!("its push service answered {status}"));
            }
            Err(error @ EffectError::Invalid(_)) => tracing::warn!(%error, "a notification cannot be pushed"),
            Err(error) => self.push_failed(to, None, &error.to_string()),
        }
        outcome == "done"
    }

    fn push_failed(&self, to: &Subscription, requested_s: Option<u64>, why: &str) {
        if self.state.lanes.failed(&to.id, self.clock.now(), requested_s) {
            tracing::warn!(
                subscription = to.id,
                origin = to.origin,
                why,
                "pushes to a subscription fail; retrying after a pause"
            );
        }
    }

    async fn forget_gone(&self, id: &str) {
        self.state.lanes.forget(id);
        let id = id.to_owned();
        let removed = self.store.write_patiently(move |tx| tx.delete_subscription(&id, None)).await;
        if let Err(error) = removed {
            tracing::warn!(%error, "an expired subscription could not be removed");
        }
    }

    /// Pushes to the browsers of one operator as a test: immediately, even if they failed before.
    pub(super) async fn try_push(
        &self,
        device: &DeviceId,
        shown: &NotificationEvent,
        to: &OperatorId,
    ) -> Result<PushTrial, ServiceError> {
        self.push().map_err(|_| effect_refused(&EffectError::Off("web push is off".to_owned())))?;
        let of = to.clone();
        let mut all = self.store.read(move |store| store.push_subscriptions(Some(&of))).await?;
        all.retain(|to| self.access.grant_of(&to.key_id).is_some());
        let (asked, payload) = (all.len(), payload(device, shown));
        let payload = &payload;
        let pushes =
            stream::iter(all).map(|to| async move { self.push_one(&to, payload, shown.priority).await });
        let taken = pushes.buffer_unordered(TRIED_AT_ONCE);
        let taken = taken.filter(|taken| std::future::ready(*taken)).count().await;
        Ok(PushTrial { asked, taken })
    }
}

fn payload(device: &DeviceId, shown: &NotificationEvent) -> Vec<u8> {
    serde_json::to_vec(&Pushed { device_id: device, shown }).unwrap_or_default()
}
