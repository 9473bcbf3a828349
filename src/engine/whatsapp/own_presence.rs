//! Keeps the account's own presence at what its policy allows.
//!
//! The library declares the account available at each connection and when its name changes. The phone of an
//! available account gets no push notifications, so [`run`] withdraws that declaration unless an operator is
//! active.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use whatsapp_rust::{NodeFilter, PresenceError, PresenceStatus};

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::keepalive;
use crate::engine::SessionError;

/// How long an operator's use of the device keeps the account available.
const OPERATOR: Duration = Duration::from_secs(60);
/// How long typing, or watching a contact's presence, keeps the account available.
const REQUEST: Duration = Duration::from_secs(30);
/// Pause before the library's own declaration is withdrawn. The library reports a stanza shortly before it
/// is written, and a withdrawal that overtakes it has no effect.
const LIBRARY_WRITES: Duration = Duration::from_millis(50);

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
    declared: tokio::sync::Mutex<PresenceStatus>,
    used: Notify,
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

    fn extend(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut used_until = self.used_until.lock();
        *used_until = Some(used_until.map_or(until, |earlier| earlier.max(until)));
    }

    fn allowed(&self, now: Instant) -> PresenceStatus {
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
    fn use_ends(&self) -> Option<Instant> {
        let until = *self.used_until.lock();
        until.filter(|_| self.policy == PresencePolicy::Auto)
    }
}

/// Makes the account available for a request that WhatsApp serves to available accounts only.
///
/// # Errors
/// If the policy is [`PresencePolicy::Unavailable`].
pub(super) async fn require_available(context: &ConnectionContext) -> Result<(), SessionError> {
    if context.own_presence.policy == PresencePolicy::Unavailable {
        return Err(SessionError::PresenceUnavailable);
    }
    context.own_presence.extend(REQUEST);
    declare(context).await;
    // The task has a new end of use to wait for.
    context.own_presence.used.notify_one();
    Ok(())
}

/// Keeps the presence at what is allowed, until the connection ends.
pub(super) async fn run(context: Arc<ConnectionContext>) {
    let presence = &context.own_presence;
    let declarations = || context.client.wait_for_sent_node(available_stanza());
    let mut declaration = declarations();
    let mut repeat_at = None;
    let mut is_open = false;
    loop {
        let use_ends = presence.use_ends();
        tokio::select! {
            sent = &mut declaration => {
                declaration = declarations();
                if sent.is_ok() {
                    tokio::time::sleep(LIBRARY_WRITES).await;
                    *presence.declared.lock().await = PresenceStatus::Available;
                    repeat_at = Some(Instant::now() + keepalive::INTERVAL);
                } else {
                    // The library drops these waiters when it closes its transport.
                    *presence.declared.lock().await = PresenceStatus::Unavailable;
                    repeat_at = None;
                }
            }
            () = context.open.cancelled(), if !is_open => is_open = true,
            () = presence.used.notified() => {}
            () = sleep_until(use_ends) => {}
            () = sleep_until(repeat_at) => {
                // The withdrawal may have overtaken the library's stanza nevertheless.
                repeat_at = None;
                if presence.allowed(Instant::now()) == PresenceStatus::Unavailable {
                    *presence.declared.lock().await = PresenceStatus::Available;
                }
            }
        }
        declare(&context).await;
    }
}

/// Declares the allowed presence, unless it is declared already.
async fn declare(context: &ConnectionContext) {
    let mut declared = context.own_presence.declared.lock().await;
    let allowed = context.own_presence.allowed(Instant::now());
    if *declared == allowed {
        return;
    }
    match boxed(context.client.presence().set(allowed)).await {
        Ok(()) => *declared = allowed,
        // The library declares the account available once it has its name.
        Err(PresenceError::PushNameEmpty) => {}
        Err(error) => {
            tracing::debug!(device = %context.device, %error, "could not declare the account's presence");
        }
    }
}

fn available_stanza() -> NodeFilter {
    NodeFilter::tag("presence").attr("type", PresenceStatus::Available.as_str())
}

/// Waits until this moment; forever without one.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
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
