//! Push subscriptions of browsers. Their addresses and keys are stored sealed and never returned.

use sha2::{Digest as _, Sha256};
use url::Url;

use super::push_sender::Stored;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::notify::OperatorId;
use crate::effects::EffectError;
use crate::effects::push::{Push, PushTarget};
use crate::service::{Notifications, ServiceError};
use crate::store::push_subscriptions::Subscription;

/// Limits of subscriptions: in total, per API key and per operator.
const MAX_OF_ALL: i64 = 10_000;
const MAX_OF_KEY: i64 = 100;
const MAX_OF_OPERATOR: usize = 20;

const FULL_OPERATOR: &str = "you have 20 subscriptions, which is the limit of one operator; remove one first";
const FULL_KEY: &str = "this API key has 100 subscriptions, which is the limit; remove one first";
const FULL_ALL: &str = "the daemon has 10000 subscriptions, which is the limit of all API keys together";

/// A new subscription, as created by a browser.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    /// The browser's address at its push service.
    pub endpoint: String,
    /// The browser's public key.
    pub p256dh: String,
    /// The browser's secret.
    pub auth: String,
    /// Restricts the subscription to these devices; absent for all devices that the key can access.
    pub devices: Option<Vec<DeviceId>>,
    /// A label that the operator chose.
    pub label: String,
}

/// A stored subscription without the browser's address and keys.
#[derive(Debug, Clone)]
pub struct ShownSubscription {
    /// Its id.
    pub id: String,
    /// Origin of the browser's address.
    pub origin: String,
    /// A label that the operator chose.
    pub label: String,
    /// Restricts the subscription to these devices; absent for all devices that the key can access.
    pub devices: Option<Vec<DeviceId>>,
    /// Creation time.
    pub created_at: Millis,
}

fn shown(subscription: Subscription, devices: Option<Vec<DeviceId>>) -> ShownSubscription {
    let Subscription { id, origin, label, created_at, .. } = subscription;
    ShownSubscription { id, origin, label, devices, created_at }
}

impl Notifications {
    /// The public key that browsers need to subscribe (`applicationServerKey`).
    ///
    /// # Errors
    /// When the start is not complete.
    pub fn push_key(&self) -> Result<String, ServiceError> {
        self.state.push_key.get().cloned().ok_or(ServiceError::ShuttingDown)
    }

    pub(super) fn push(&self) -> Result<&Push, ServiceError> {
        self.state.push.get().ok_or(ServiceError::ShuttingDown)
    }

    /// Adds a subscription; replaces one with the same address.
    ///
    /// # Errors
    /// When the address is not allowed, the keys are invalid, a limit is reached, or the store fails.
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
        let id = crate::domain::notify::RuleId::random(&*self.random).as_str().replacen("nr_", "np_", 1);
        let origin = endpoint.origin().ascii_serialization();
        let (devices, label) = (new.devices, new.label);
        let subscription =
            Subscription::new(id, operator.clone(), key_id.to_owned(), origin, self.clock.now());
        let granted = devices.clone().map(|devices| self.access.granted(devices));
        let subscription = subscription.endpoint_of(label).of_devices(granted);
        let stored = Stored { endpoint: endpoint.into(), p256dh: new.p256dh, auth: new.auth };
        let target =
            serde_json::to_vec(&stored).map_err(|_| ServiceError::invalid("keys", "cannot be stored"))?;
        let sealed = self.store.seal_subscription(subscription, target)?;
        self.store
            .write(move |tx| {
                tx.put_subscription(&sealed, &digest)?;
                let own = tx.push_subscriptions(Some(&sealed.operator))?.len();
                let full = if own > MAX_OF_OPERATOR {
                    Some(FULL_OPERATOR)
                } else if tx.subscription_count(Some(&sealed.key_id))? > MAX_OF_KEY {
                    Some(FULL_KEY)
                } else {
                    (tx.subscription_count(None)? > MAX_OF_ALL).then_some(FULL_ALL)
                };
                if let Some(full) = full {
                    return Err(ServiceError::TooManySubscriptions(full));
                }
                Ok(shown(sealed.clone(), devices.clone()))
            })
            .await
    }

    /// Subscriptions of an operator, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn push_subscriptions(
        &self,
        operator: &OperatorId,
    ) -> Result<Vec<ShownSubscription>, ServiceError> {
        let of = operator.clone();
        let all = self.store.read(move |store| store.push_subscriptions(Some(&of))).await?;
        let show = |subscription: Subscription| {
            let devices = subscription.devices.as_deref().map(|granted| self.access.current(granted));
            shown(subscription, devices)
        };
        Ok(all.into_iter().map(show).collect())
    }

    /// Removes a subscription of an operator.
    ///
    /// # Errors
    /// When there is no such subscription, or the store fails.
    pub async fn unsubscribe_push(&self, operator: &OperatorId, id: &str) -> Result<(), ServiceError> {
        let (of, gone) = (operator.clone(), id.to_owned());
        let removed = self
            .store
            .write(move |tx| Ok::<_, ServiceError>(tx.delete_subscription(&gone, Some(&of))?))
            .await?;
        if removed {
            self.state.lanes.forget(id);
        }
        if removed { Ok(()) } else { Err(ServiceError::SubscriptionNotFound) }
    }
}
