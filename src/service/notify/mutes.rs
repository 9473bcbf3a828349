//! What each operator has read and muted, shared between all that they have open.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::notify::OperatorId;
use crate::domain::queries::{ListedNotification, NotificationQuery};
use crate::service::{Notifications, Operator, Principal, ServiceError};
use crate::store::notify_mutes::Mute;

/// Mutes that may be in force: of all, of one API key or verified person, and of one device for everybody.
const MAX_MUTES: i64 = 100_000;
const MAX_OF_ONE: i64 = 1_000;
/// Mutes of each sort that are shown.
const MAX_SHOWN: usize = 100;

const FULL_KEY: &str =
    "1000 things are muted by this API key or person, as many as one may mute; unmute some first";
const FULL_DEVICE: &str =
    "1000 things of this device are muted for everybody, as many as may be; unmute some first";
const FULL_ALL: &str = "100000 things are muted by all together, as many as this daemon keeps";

/// What is muted now, by operator; everybody's under `None`.
#[derive(Debug, Default)]
pub(super) struct Mutes(HashMap<Option<OperatorId>, Vec<Mute>>);

/// Something to be muted, or not any more. What is absent stands for all.
#[derive(Debug, Clone)]
pub struct MuteChange {
    /// For whom; for everybody, when absent: then nothing is told at all.
    pub operator: Option<OperatorId>,
    /// Of which device.
    pub device: Option<DeviceId>,
    /// Of which chat.
    pub chat: Option<Jid>,
    /// Until when; for ever, when absent.
    pub until: Option<Millis>,
}

/// A mute that counts now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuteState {
    /// Whether it counts for everybody.
    pub everybody: bool,
    /// Of which chat; of all, when absent.
    pub chat: Option<Jid>,
    /// Until when; for ever, when absent.
    pub until: Option<Millis>,
}

/// Part of a list of notifications.
#[derive(Debug)]
pub struct NotificationPage {
    /// The notifications, the newest first.
    pub page: Vec<ListedNotification>,
    /// How many there are.
    pub total: i64,
    /// How many of them the operator has not read.
    pub unread: i64,
}

/// Who this is, for read and mute state.
#[must_use]
pub fn operator_id(principal: &Principal, operator: Option<&Operator>) -> OperatorId {
    match operator {
        Some(operator) if operator.verified => OperatorId::verified(&operator.label),
        other => OperatorId::of_key(&principal.key_id, other.map(|operator| operator.label.as_str())),
    }
}

impl Notifications {
    /// Notifications of these devices (of all, when absent), as this operator sees them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn notifications(&self, query: NotificationQuery) -> Result<NotificationPage, ServiceError> {
        self.store
            .read(move |store| {
                let (all, unread) = store.notification_counts(&query)?;
                let total = if query.unread { unread } else { all };
                Ok(NotificationPage { page: store.notifications(&query)?, total, unread })
            })
            .await
    }

    /// Notes that an operator has read these notifications of a device, or all of them. Answers how many are left.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn read_notifications(
        &self,
        operator: &OperatorId,
        device: &DeviceId,
        ids: Option<Vec<String>>,
    ) -> Result<i64, ServiceError> {
        let query = NotificationQuery {
            devices: Some(vec![device.clone()]),
            operator: operator.clone(),
            unread: true,
            limit: 0,
            offset: 0,
        };
        let (operator, device) = (operator.clone(), device.clone());
        self.store
            .write(move |tx| {
                tx.device(&device)?.ok_or(ServiceError::DeviceNotFound)?;
                tx.read_notifications(&operator, &device, ids.as_deref())?;
                Ok(tx.notification_counts(&query)?.1)
            })
            .await
    }

    /// Tells nothing of these any more, for a time or for ever.
    ///
    /// # Errors
    /// When the end lies in the past, there is no such device or are too many mutes, or the store fails.
    pub async fn mute(&self, change: MuteChange) -> Result<(), ServiceError> {
        let now = self.clock.now();
        if change.until.is_some_and(|until| until <= now) {
            return Err(ServiceError::invalid(
                "until",
                "must be a moment to come, in milliseconds since the epoch",
            ));
        }
        let mute = Mute::from(change);
        self.store
            .write(move |tx| {
                if let Some(device) = &mute.device {
                    tx.device(device)?.ok_or(ServiceError::DeviceNotFound)?;
                }
                tx.put_notify_mute(&mute, now)?;
                let full = match &mute.operator {
                    Some(operator) if tx.notify_mutes_of(operator)? > MAX_OF_ONE => Some(FULL_KEY),
                    None if tx.notify_mutes_for_all_operators(mute.device.as_ref())? > MAX_OF_ONE => {
                        Some(FULL_DEVICE)
                    }
                    _ => (tx.notify_mute_count()? > MAX_MUTES).then_some(FULL_ALL),
                };
                full.map_or(Ok(()), |full| Err(ServiceError::TooManyMutes(full)))
            })
            .await?;
        self.reload_mutes().await
    }

    /// Tells of these again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unmute(&self, change: MuteChange) -> Result<(), ServiceError> {
        let mute = Mute::from(change);
        self.store.write(move |tx| Ok::<_, ServiceError>(tx.delete_notify_mute(&mute)?)).await?;
        self.reload_mutes().await
    }

    /// What of a device is muted now for everybody, and for this operator: the newest 100 of each.
    #[must_use]
    pub fn mutes(&self, operator: &OperatorId, device: &DeviceId) -> Vec<MuteState> {
        let (mutes, now) = (self.current_mutes(), self.clock.now());
        let counts =
            |mute: &&Mute| mute.counts_at(now) && mute.device.as_ref().is_none_or(|own| own == device);
        let of =
            |who: Option<OperatorId>| mutes.0.get(&who).into_iter().flatten().filter(counts).take(MAX_SHOWN);
        of(None)
            .chain(of(Some(operator.clone())))
            .cloned()
            .map(|mute| MuteState { everybody: mute.operator.is_none(), chat: mute.chat, until: mute.until })
            .collect()
    }

    /// Whether this is muted now, for this operator or, when absent, for everybody.
    #[must_use]
    pub fn is_muted(&self, operator: Option<&OperatorId>, device: &DeviceId, chat: Option<&Jid>) -> bool {
        let (mutes, now) = (self.current_mutes(), self.clock.now());
        mutes.0.get(&operator.cloned()).into_iter().flatten().any(|mute| {
            mute.counts_at(now)
                && mute.device.as_ref().is_none_or(|own| own == device)
                && mute.chat.as_ref().is_none_or(|own| Some(own) == chat)
        })
    }

    /// Whether an event of a log is kept from an operator: a notification that they have muted.
    #[must_use]
    pub fn is_kept_from(&self, operator: &OperatorId, device: &DeviceId, kind: &str, payload: &str) -> bool {
        if kind != "notification" || !self.current_mutes().0.contains_key(&Some(operator.clone())) {
            return false;
        }
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct About {
            chat_id: Option<Jid>,
        }
        let chat = serde_json::from_str::<About>(payload).ok().and_then(|about| about.chat_id);
        self.is_muted(Some(operator), device, chat.as_ref())
    }

    fn current_mutes(&self) -> Arc<Mutes> {
        self.state.mutes.read().clone()
    }

    pub(super) fn forget_mutes_of(&self, device: &DeviceId) {
        let mut mutes = self.state.mutes.write();
        let mut left = mutes.0.clone();
        left.values_mut().for_each(|all| all.retain(|mute| mute.device.as_ref() != Some(device)));
        left.retain(|_, all| !all.is_empty());
        *mutes = Arc::new(Mutes(left));
    }

    pub(super) async fn reload_mutes(&self) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let mut mutes = Mutes::default();
        for mute in self.store.read(move |store| store.notify_mutes(now)).await? {
            mutes.0.entry(mute.operator.clone()).or_default().push(mute);
        }
        *self.state.mutes.write() = Arc::new(mutes);
        Ok(())
    }
}

impl From<MuteChange> for Mute {
    fn from(change: MuteChange) -> Self {
        let MuteChange { operator, device, chat, until } = change;
        Self { operator, device, chat, until }
    }
}
