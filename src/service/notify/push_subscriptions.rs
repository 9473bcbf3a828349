//! Browsers that asked for pushes.

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

/// Subscriptions that there may be: of all keys, of one API key, and of one operator.
const MAX_OF_ALL: i64 = 10_000;
const MAX_OF_KEY: i64 = 100;
const MAX_OF_OPERATOR: usize = 20;

const FULL_OPERATOR: &str = "you have 20 subscriptions, as many as one operator may have; remove one first";
const FULL_KEY: &str =
    "100 subscriptions were made with this API key, as many as one key may make; remove one first";
const FULL_ALL: &str = "there are 10000 subscriptions of all API keys together, as many as this daemon keeps";

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

impl Notifications {
    /// What browsers subscribe with.
    ///
    /// # Errors
    /// Before the start is done.
    pub fn push_key(&self) -> Result<String, ServiceError> {
        self.state.push_key.get().cloned().ok_or(ServiceError::ShuttingDown)
    }

    pub(super) fn push(&self) -> Result<&Push, ServiceError> {
        self.state.push.get().ok_or(ServiceError::ShuttingDown)
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
        let id = crate::domain::notify::RuleId::random(&*self.random).as_str().replacen("nr_", "np_", 1);
        let origin = endpoint.origin().ascii_serialization();
        let (devices, label) = (new.devices, new.label);
        let subscription =
            Subscription::new(id, operator.clone(), key_id.to_owned(), origin, self.clock.now());
        let subscription = subscription.endpoint_of(label).of_devices(devices);
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
        let all = self.store.read(move |store| store.push_subscriptions(Some(&of))).await?;
        Ok(all.into_iter().map(ShownSubscription::from).collect())
    }

    /// Forgets one of an operator's browsers.
    ///
    /// # Errors
    /// When there is none, or the store fails.
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
