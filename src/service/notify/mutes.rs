//! Read and mute state of operators, shared by all clients of one operator. Mutes are limited per operator,
//! per device and in total.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::notify::OperatorId;
use crate::domain::queries::{ListedNotification, NotificationQuery};
use crate::service::{Notifications, Operator, Principal, ServiceError};
use crate::store::notify_mutes::Mute;

/// Limits of active mutes: in total, and per operator or device.
const MAX_MUTES: i64 = 100_000;
const MAX_OF_ONE: i64 = 1_000;
/// Limit of listed mutes, for all operators and for one operator each.
const MAX_SHOWN: usize = 100;

const FULL_KEY: &str = "this API key or person has 1000 mutes, which is the limit; remove some first";
const FULL_DEVICE: &str =
    "this device has 1000 mutes for all operators, which is the limit; remove some first";
const FULL_ALL: &str = "the daemon has 100000 mutes, which is the limit of all operators together";

/// Active mutes by operator; `None` holds those that apply to all operators.
#[derive(Debug, Default)]
pub(super) struct Mutes(HashMap<Option<OperatorId>, Vec<Mute>>);

/// A mute to add or to remove. An absent field matches all values.
#[derive(Debug, Clone)]
pub struct MuteChange {
    /// The operator; absent for a mute that applies to all operators and suppresses the notification.
    pub operator: Option<OperatorId>,
    /// The device.
    pub device: Option<DeviceId>,
    /// The chat.
    pub chat: Option<Jid>,
    /// End of the mute; absent for a permanent mute.
    pub until: Option<Millis>,
}

/// An active mute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuteState {
    /// Whether it applies to all operators.
    pub everybody: bool,
    /// The muted chat; absent when all chats are muted.
    pub chat: Option<Jid>,
    /// End of the mute; absent for a permanent mute.
    pub until: Option<Millis>,
}

/// One page of notifications.
#[derive(Debug)]
pub struct NotificationPage {
    /// The notifications, newest first.
    pub page: Vec<ListedNotification>,
    /// Total number of notifications.
    pub total: i64,
    /// Number of notifications that the operator has not read.
    pub unread: i64,
}

/// Identifies the operator for read and mute state.
#[must_use]
pub fn operator_id(principal: &Principal, operator: Option<&Operator>) -> OperatorId {
    match operator {
        Some(operator) if operator.verified => OperatorId::verified(&operator.label),
        other => OperatorId::of_key(&principal.key_id, other.map(|operator| operator.label.as_str())),
    }
}

impl Notifications {
    /// Notifications of the given devices (all, when absent) with the operator's read state.
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

    /// Marks notifications of a device, or all of them, as read by an operator. Returns how many remain
    /// unread.
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

    /// Adds a mute, with or without an end.
    ///
    /// # Errors
    /// When the end is in the past, there is no such device, a limit of mutes is reached, or the store fails.
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

    /// Removes a mute.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unmute(&self, change: MuteChange) -> Result<(), ServiceError> {
        let mute = Mute::from(change);
        self.store.write(move |tx| Ok::<_, ServiceError>(tx.delete_notify_mute(&mute)?)).await?;
        self.reload_mutes().await
    }

    /// Active mutes of a device, for all operators and for this operator: the newest 100 of each.
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

    /// Whether an active mute applies to this operator or, when absent, to all operators.
    #[must_use]
    pub fn is_muted(&self, operator: Option<&OperatorId>, device: &DeviceId, chat: Option<&Jid>) -> bool {
        let (mutes, now) = (self.current_mutes(), self.clock.now());
        mutes.0.get(&operator.cloned()).into_iter().flatten().any(|mute| {
            mute.counts_at(now)
                && mute.device.as_ref().is_none_or(|own| own == device)
                && mute.chat.as_ref().is_none_or(|own| Some(own) == chat)
        })
    }

    /// Whether a logged event is withheld from an operator: a notification that the operator has muted.
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
