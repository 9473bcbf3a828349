//! How long Meta wants to be left alone, in all or with one person.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::jid::Jid;

/// People of whom this is known at once; of those beyond, the one that is soonest over is forgotten.
const MOST_PEOPLE: usize = 1_000;
/// No answer of Meta's closes a gate for longer.
pub(in crate::engine) const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Until when nothing is sent.
#[derive(Default)]
pub(in crate::engine) struct RateLimits(Mutex<RateLimitPauses>);

#[derive(Default)]
struct RateLimitPauses {
    number: Option<Instant>,
    people: HashMap<Jid, Instant>,
}

impl RateLimits {
    /// The number sends nothing for so long.
    pub(in crate::engine) fn pause_all(&self, pause: Duration) {
        let until = Instant::now() + pause.min(LONGEST_PAUSE);
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closed.number = closed.number.max(Some(until));
    }

    /// This person is sent nothing for so long.
    pub(in crate::engine) fn pause(&self, person: &Jid, pause: Duration) {
        let now = Instant::now();
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closed.people.retain(|_, until| *until > now);
        if closed.people.len() >= MOST_PEOPLE
            && let Some(soonest) =
                closed.people.iter().min_by_key(|(_, until)| **until).map(|(who, _)| who.clone())
        {
            closed.people.remove(&soonest);
        }
        closed.people.insert(person.clone(), now + pause.min(LONGEST_PAUSE));
    }

    /// Until when this person is sent nothing, if they are not to be now.
    pub(in crate::engine) fn paused_until(&self, person: &Jid) -> Option<Instant> {
        let closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closed.number.max(closed.people.get(person).copied()).filter(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_gate_is_for_one_person_or_for_all_and_opens_in_time() {
        let rate_limits = RateLimits::default();
        let (anna, ben): (Jid, Jid) =
            ("15550100001@c.us".parse().unwrap(), "15550100002@c.us".parse().unwrap());
        rate_limits.pause(&anna, Duration::from_secs(6));
        assert!(rate_limits.paused_until(&anna).is_some() && rate_limits.paused_until(&ben).is_none());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(rate_limits.paused_until(&anna).is_none());
        rate_limits.pause_all(Duration::from_secs(2));
        rate_limits.pause_all(Duration::from_secs(1));
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert!(rate_limits.paused_until(&ben).is_some(), "the longer pause holds");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let rate_limits = RateLimits::default();
        for n in 0..2 * MOST_PEOPLE {
            rate_limits.pause(&format!("1555010{n:04}").parse().unwrap(), Duration::from_secs(60));
        }
        assert_eq!(rate_limits.0.lock().unwrap().people.len(), MOST_PEOPLE);
    }
}
