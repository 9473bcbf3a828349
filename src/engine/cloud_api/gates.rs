//! How long Meta wants to be left alone, in all or with one person.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::jid::Jid;

/// People of whom this is known at once; of those beyond, the one that is soonest over is forgotten.
const MOST_PEOPLE: usize = 1_000;
/// No answer of Meta's closes a gate for longer.
pub(super) const LONGEST: Duration = Duration::from_secs(3_600);

/// Until when nothing is sent.
#[derive(Default)]
pub(super) struct Gates(Mutex<Closed>);

#[derive(Default)]
struct Closed {
    number: Option<Instant>,
    people: HashMap<Jid, Instant>,
}

impl Gates {
    /// The number sends nothing for so long.
    pub(super) fn close(&self, pause: Duration) {
        let until = Instant::now() + pause.min(LONGEST);
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closed.number = closed.number.max(Some(until));
    }

    /// This person is sent nothing for so long.
    pub(super) fn close_for(&self, person: &Jid, pause: Duration) {
        let now = Instant::now();
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closed.people.retain(|_, until| *until > now);
        if closed.people.len() >= MOST_PEOPLE
            && let Some(soonest) =
                closed.people.iter().min_by_key(|(_, until)| **until).map(|(who, _)| who.clone())
        {
            closed.people.remove(&soonest);
        }
        closed.people.insert(person.clone(), now + pause.min(LONGEST));
    }

    /// Until when this person is sent nothing, if they are not to be now.
    pub(super) fn until(&self, person: &Jid) -> Option<Instant> {
        let closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closed.number.max(closed.people.get(person).copied()).filter(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_gate_is_for_one_person_or_for_all_and_opens_in_time() {
        let gates = Gates::default();
        let (anna, ben): (Jid, Jid) =
            ("15550100001@c.us".parse().unwrap(), "15550100002@c.us".parse().unwrap());
        gates.close_for(&anna, Duration::from_secs(6));
        assert!(gates.until(&anna).is_some() && gates.until(&ben).is_none());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(gates.until(&anna).is_none());
        gates.close(Duration::from_secs(2));
        gates.close(Duration::from_secs(1));
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert!(gates.until(&ben).is_some(), "the longer pause holds");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let gates = Gates::default();
        for n in 0..2 * MOST_PEOPLE {
            gates.close_for(&format!("1555010{n:04}").parse().unwrap(), Duration::from_secs(60));
        }
        assert_eq!(gates.0.lock().unwrap().people.len(), MOST_PEOPLE);
    }
}
