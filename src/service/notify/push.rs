//! Browsers that asked for pushes, and pushing to them.

use futures_util::StreamExt as _;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use url::Url;

use std::sync::Arc;

use super::rules::effect_refused;
use super::telling::Handed;
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::event::Notified;
use crate::domain::ids::DeviceId;
use crate::domain::notify::{Action, OperatorId, Priority};
use crate::effects::EffectError;
use crate::effects::push::{Push, PushOutcome, PushTarget, Urgency};
use crate::service::{Core, ServiceError};
use crate::store::push_subscriptions::Subscription;

/// Subscriptions that there may be.
const MAX_SUBSCRIPTIONS: i64 = 10_000;
/// Of one operator.
const MAX_OF_OPERATOR: usize = 20;
/// Pushes under way at once.
const AT_ONCE: usize = 8;
/// Seconds that a push may wait for its browser.
const TTL_S: u32 = 3_600;

/// A subscription to be made, as browsers give it.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    /// Its address at the push service.
    pub endpoint: String,
    /// The browser's public key.
    pub p256dh: String,
    /// The browser's secret.
    pub auth: String,
    /// Of which devices; of all that the key reaches, when absent.
    pub devices: Option<Vec<DeviceId>>,
    /// What people call it.
    pub label: String,
}

/// A subscription as it is shown: without what it takes to push.
#[derive(Debug, Clone)]
pub struct ShownSubscription {
    /// Its id.
    pub id: String,
    /// The origin of its address.
    pub origin: String,
    /// What people call it.
    pub label: String,
    /// Of which devices; of all that the key reaches, when absent.
    pub devices: Option<Vec<DeviceId>>,
    /// When it was made.
    pub created_at: Millis,
}

impl From<Subscription> for ShownSubscription {
    fn from(subscription: Subscription) -> Self {
        let Subscription { id, origin, label, devices, created_at, .. } = subscription;
        Self { id, origin, label, devices, created_at }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    endpoint: String,
    p256dh: String,
    auth: String,
}

/// What a browser gets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pushed<'a> {
    device_id: &'a DeviceId,
    #[serde(flatten)]
    shown: &'a Notified,
}

impl Core {
    /// What browsers subscribe with.
    ///
    /// # Errors
    /// Before the start is done.
    pub fn push_key(&self) -> Result<String, ServiceError> {
        self.inner.notify.push_key.get().cloned().ok_or(ServiceError::ShuttingDown)
    }

    fn push(&self) -> Result<&Push, ServiceError> {
        self.inner.notify.push.get().ok_or(ServiceError::ShuttingDown)
    }

    /// Adds a browser; one with the same address gives way.
    ///
    /// # Errors
    /// When its address may not be reached, its keys are none, there are too many, or the store fails.
    pub async fn subscribe_push(
        &self,
        operator: &OperatorId,
        key_id: &str,
        new: NewSubscription,
    ) -> Result<ShownSubscription, ServiceError> {
        let endpoint = Url::parse(&new.endpoint)
            .map_err(|error| ServiceError::invalid("endpoint", format!("is no URL: {error}")))?;
        let target =
            PushTarget { endpoint: endpoint.clone(), p256dh: new.p256dh.clone(), auth: new.auth.clone() };
        self.push()?.check(&target).map_err(|error| match error {
            EffectError::Net(error) => ServiceError::invalid("endpoint", error.to_string()),
            EffectError::Invalid(why) if why.contains("endpoint") => ServiceError::invalid("endpoint", why),
            error => ServiceError::invalid("keys", error.to_string()),
        })?;
        let digest = Sha256::digest(endpoint.as_str().as_bytes()).to_vec();
        let id =
            crate::domain::notify::RuleId::random(&*self.inner.random).as_str().replacen("nr_", "np_", 1);
        let origin = endpoint.origin().ascii_serialization();
        let (devices, label) = (new.devices, new.label);
        let subscription = Subscription::new(id, operator.clone(), key_id.to_owned(), origin, self.now());
        let subscription = subscription.called(label).of_devices(devices);
        let stored = Stored { endpoint: endpoint.into(), p256dh: new.p256dh, auth: new.auth };
        let target =
            serde_json::to_vec(&stored).map_err(|_| ServiceError::invalid("keys", "cannot be stored"))?;
        let sealed = self.store().seal_subscription(subscription, target)?;
        self.store()
            .write(move |tx| {
                tx.put_subscription(&sealed, &digest)?;
                let own = tx.push_subscriptions(Some(&sealed.operator))?.len();
                if own > MAX_OF_OPERATOR || tx.subscription_count()? > MAX_SUBSCRIPTIONS {
                    return Err(ServiceError::TooManySubscriptions(MAX_OF_OPERATOR));
                }
                Ok(ShownSubscription::from(sealed))
            })
            .await
    }

    /// An operator's browsers, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn push_subscriptions(
        &self,
        operator: &OperatorId,
    ) -> Result<Vec<ShownSubscription>, ServiceError> {
        let of = operator.clone();
        let all = self.read(move |store| Ok(store.push_subscriptions(Some(&of))?)).await?;
        Ok(all.into_iter().map(ShownSubscription::from).collect())
    }

    /// Forgets one of an operator's browsers.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn unsubscribe_push(&self, operator: &OperatorId, id: &str) -> Result<(), ServiceError> {
        let (of, id) = (operator.clone(), id.to_owned());
        let removed = self
            .store()
            .write(move |tx| Ok::<_, ServiceError>(tx.delete_subscription(&id, Some(&of))?))
            .await?;
        if removed { Ok(()) } else { Err(ServiceError::SubscriptionNotFound) }
    }

    pub(super) async fn push_all(&self, mut queue: mpsc::Receiver<Arc<Handed>>) {
        let soft = self.tasks().soft().clone();
        while let Some(Some(handed)) = soft.run_until_cancelled(queue.recv()).await {
            let pushing = self.push_to_all(&handed.device, &handed.shown, None);
            match soft.run_until_cancelled(pushing).await {
                None => return,
                Some(Ok(_)) => {}
                Some(Err(error)) => tracing::warn!(%error, "a notification could not be pushed"),
            }
        }
    }

    /// Pushes a notification to all who want it, or to one operator's browsers; answers how many took it.
    pub(super) async fn push_to_all(
        &self,
        device: &DeviceId,
        shown: &Notified,
        only: Option<&OperatorId>,
    ) -> Result<usize, ServiceError> {
        let of = only.cloned();
        let all = self.read(move |store| Ok(store.push_subscriptions(of.as_ref())?)).await?;
        let wanting = all.into_iter().filter(|subscription| self.wants(subscription, device, shown));
        let payload = serde_json::to_vec(&Pushed { device_id: device, shown }).unwrap_or_default();
        let payload = &payload;
        let pushes =
            stream::iter(wanting).map(|to| async move { self.push_one(&to, payload, shown.priority).await });
        Ok(pushes.buffer_unordered(AT_ONCE).filter(|taken| std::future::ready(*taken)).count().await)
    }

    fn wants(&self, subscription: &Subscription, device: &DeviceId, shown: &Notified) -> bool {
        let Subscription { operator, key_id, devices, .. } = subscription;
        devices.as_ref().is_none_or(|devices| devices.contains(device))
            && self
                .grant_of(key_id)
                .is_some_and(|grant| grant.reaches(device) && grant.allows(Scope::EventsRead))
            && !self.is_muted(Some(operator), device, shown.chat_id.as_ref())
    }

    async fn push_one(&self, to: &Subscription, payload: &[u8], priority: Priority) -> bool {
        let opened = self.store().open_subscription(to).ok();
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
        let came = push.send(&target, payload, urgency, TTL_S).await;
        let outcome = match came {
            Ok(PushOutcome::Delivered) => "done",
            Ok(PushOutcome::Gone) => "gone",
            // What is told now would be no news later.
            Ok(PushOutcome::Later(_)) => "busy",
            Ok(PushOutcome::Refused(_)) => "refused",
            Err(error) => {
                self.note_effect::<()>(Action::Push, &Err(error));
                return false;
            }
        };
        self.metrics().notify_effect(Action::Push.as_str(), outcome);
        if let Ok(PushOutcome::Refused(status)) = came {
            tracing::warn!(subscription = to.id, status, "a push service refused a push");
        }
        if outcome == "gone" {
            let id = to.id.clone();
            let removed = self.store().write_patiently(move |tx| tx.delete_subscription(&id, None)).await;
            if let Err(error) = removed {
                tracing::warn!(%error, "a subscription that is gone could not be removed");
            }
        }
        outcome == "done"
    }

    /// Pushes to the browsers of one operator, to try it out.
    pub(super) async fn try_push(
        &self,
        device: &DeviceId,
        shown: &Notified,
        to: &OperatorId,
    ) -> Result<usize, ServiceError> {
        self.push().map_err(|_| effect_refused(EffectError::Off("web push is off".to_owned())))?;
        self.push_to_all(device, shown, Some(to)).await
    }
}
