//! When the account is available to its contacts.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use whatsapp_rust::PresenceStatus;

/// How long an operator's use of the device keeps the account available.
const OPERATOR: Duration = Duration::from_secs(60);
/// How long typing, or watching a contact's presence, keeps the account available.
const REQUEST: Duration = Duration::from_secs(30);

/// When the account is available to its contacts (`settings.whatsapp.presence`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum PresencePolicy {
    /// While an operator uses the device.
    #[default]
    Auto,
    /// Never available.
    Unavailable,
    /// Always available.
    Available,
}

/// The account's own presence on one connection.
pub(super) struct OwnPresence {
    policy: PresencePolicy,
    /// The end of the current use, for [`PresencePolicy::Auto`].
    used_until: parking_lot::Mutex<Option<Instant>>,
    /// The last declaration; held while one is sent. The network regards a new connection as unavailable.
    pub(super) declared: tokio::sync::Mutex<PresenceStatus>,
    pub(super) used: Notify,
}

impl OwnPresence {
    pub(super) fn new(policy: PresencePolicy) -> Self {
        Self {
            policy,
            used_until: parking_lot::Mutex::default(),
            declared: tokio::sync::Mutex::new(PresenceStatus::Unavailable),
            used: Notify::new(),
        }
    }

    /// Records that an operator uses the device.
    pub(super) fn operator_active(&self) {
        self.extend(OPERATOR);
        self.used.notify_one();
    }

    /// Keeps the account available for a request that WhatsApp serves to available accounts only; false if
    /// the policy forbids it.
    pub(super) fn request(&self) -> bool {
        self.extend(REQUEST);
        self.policy != PresencePolicy::Unavailable
    }

    fn extend(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut used_until = self.used_until.lock();
        *used_until = Some(used_until.map_or(until, |earlier| earlier.max(until)));
    }

    /// The presence that the policy requires now.
    pub(super) fn allowed(&self, now: Instant) -> PresenceStatus {
        let mut used_until = self.used_until.lock();
        *used_until = used_until.filter(|until| *until > now);
        let is_used = used_until.is_some();
        match self.policy {
            PresencePolicy::Available => PresenceStatus::Available,
            PresencePolicy::Auto if is_used => PresenceStatus::Available,
            PresencePolicy::Auto | PresencePolicy::Unavailable => PresenceStatus::Unavailable,
        }
    }

    /// When [`Self::allowed`] changes by itself.
    pub(super) fn use_ends(&self) -> Option<Instant> {
        let until = *self.used_until.lock();
        until.filter(|_| self.policy == PresencePolicy::Auto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed_after(presence: &OwnPresence, time: Duration) -> PresenceStatus {
        presence.allowed(Instant::now() + time)
    }

    #[tokio::test(start_paused = true)]
    async fn automatic_presence_lasts_as_long_as_use() {
        let presence = OwnPresence::new(PresencePolicy::Auto);
        assert_eq!(allowed_after(&presence, Duration::ZERO), PresenceStatus::Unavailable);
        presence.operator_active();
        presence.extend(REQUEST);
        let shortly_before_end = OPERATOR - Duration::from_millis(1);
        assert_eq!(allowed_after(&presence, shortly_before_end), PresenceStatus::Available);
        assert_eq!(presence.use_ends(), Some(Instant::now() + OPERATOR));
        assert_eq!(allowed_after(&presence, OPERATOR), PresenceStatus::Unavailable);
        assert_eq!(presence.use_ends(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn fixed_presence_ignores_use() {
        for (policy, fixed) in [
            (PresencePolicy::Available, PresenceStatus::Available),
            (PresencePolicy::Unavailable, PresenceStatus::Unavailable),
        ] {
            let presence = OwnPresence::new(policy);
            assert_eq!(allowed_after(&presence, Duration::ZERO), fixed);
            presence.operator_active();
            assert_eq!(allowed_after(&presence, Duration::ZERO), fixed);
            assert_eq!(presence.use_ends(), None);
        }
    }
}
