//! Rate-limit pauses requested by an upstream, for the whole account and per recipient.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::domain::jid::Jid;

/// Recipients with a pause at once; beyond that the pause that ends first is dropped.
const MAX_RECIPIENTS: usize = 1_000;
/// Longer pauses are cut to this.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// The pauses of one account.
#[derive(Default)]
pub(crate) struct RateLimits(Mutex<RateLimitPauses>);

#[derive(Default)]
struct RateLimitPauses {
    account: Option<Instant>,
    recipients: HashMap<Jid, Instant>,
}

impl RateLimits {
    /// Pauses all sends. A pause that ends later stays.
    pub(crate) fn pause_all(&self, pause: Duration) {
        let until = Instant::now() + pause.min(LONGEST_PAUSE);
        let mut pauses = self.pauses();
        pauses.account = pauses.account.max(Some(until));
    }

    /// Pauses sends to one recipient.
    pub(crate) fn pause(&self, recipient: &Jid, pause: Duration) {
        let now = Instant::now();
        let mut pauses = self.pauses();
        pauses.recipients.retain(|_, until| *until > now);
        if pauses.recipients.len() >= MAX_RECIPIENTS
            && let Some(soonest) = pauses
                .recipients
                .iter()
                .min_by_key(|(_, until)| **until)
                .map(|(recipient, _)| recipient.clone())
        {
            pauses.recipients.remove(&soonest);
        }
        pauses.recipients.insert(recipient.clone(), now + pause.min(LONGEST_PAUSE));
    }

    /// When the next message may be sent to this recipient; `None` when it may be sent now.
    pub(crate) fn paused_until(&self, recipient: &Jid) -> Option<Instant> {
        let pauses = self.pauses();
        let until = pauses.account.max(pauses.recipients.get(recipient).copied());
        until.filter(|until| *until > Instant::now())
    }

    fn pauses(&self) -> MutexGuard<'_, RateLimitPauses> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pause_holds_for_its_recipient_and_its_time() {
        let limits = RateLimits::default();
        let (anna, ben): (Jid, Jid) =
            ("15550100001@c.us".parse().unwrap(), "15550100002@c.us".parse().unwrap());
        limits.pause(&anna, Duration::from_secs(6));
        assert!(limits.paused_until(&anna).is_some() && limits.paused_until(&ben).is_none());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(limits.paused_until(&anna).is_none());
        limits.pause_all(Duration::from_secs(2));
        limits.pause_all(Duration::from_secs(1));
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert!(limits.paused_until(&ben).is_some(), "the longer pause holds");
    }

    #[tokio::test(start_paused = true)]
    async fn paused_recipients_are_bounded() {
        let limits = RateLimits::default();
        for n in 0..2 * MAX_RECIPIENTS {
            limits.pause(&format!("1555010{n:04}").parse().unwrap(), Duration::from_secs(60));
        }
        assert_eq!(limits.pauses().recipients.len(), MAX_RECIPIENTS);
    }
}
