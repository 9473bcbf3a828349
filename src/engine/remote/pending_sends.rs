//! Sends that wait to hear from the upstream's log what became of their message, and changes of ours whose echo is
//! to come.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::convert::event_in::Step;
use crate::domain::clock::Millis;
use crate::domain::ids::{MessageId, NetworkId};

/// Echoes that are waited for at most; the oldest is given up.
const MOST_ECHOES: usize = 256;
/// How long an echo may take: what is told later was done by somebody else.
const EXPECTED_MS: i64 = 120_000;

/// Who waits for which message, by our id.
#[derive(Default)]
pub(super) struct Waiting(Mutex<HashMap<NetworkId, oneshot::Sender<Step>>>);

/// A place among those who wait; it is given up when this is dropped.
pub(super) struct Wait<'a> {
    all: &'a Waiting,
    of: NetworkId,
    step: oneshot::Receiver<Step>,
}

impl Waiting {
    /// To be called before the message leaves.
    pub(super) fn join(&self, of: &NetworkId) -> Wait<'_> {
        let (sender, step) = oneshot::channel();
        self.lock().insert(of.clone(), sender);
        Wait { all: self, of: of.clone(), step }
    }

    /// Whether somebody waits for this message.
    pub(super) fn has(&self, of: &NetworkId) -> bool {
        self.lock().contains_key(of)
    }

    /// Whether nobody waits.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }

    /// Tells whoever waits; `false` when nobody does.
    pub(super) fn tell(&self, of: &NetworkId, step: Step) -> bool {
        let waits = self.lock().remove(of);
        waits.is_some_and(|waits| waits.send(step).is_ok())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<NetworkId, oneshot::Sender<Step>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait<'_> {
    /// What became of it; none when nobody will tell any more.
    pub(super) async fn step(&mut self) -> Option<Step> {
        (&mut self.step).await.ok()
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.of);
    }
}

/// Changes of ours, whose echo is no news.
#[derive(Default)]
pub(super) struct Echoes(Mutex<VecDeque<(Millis, String)>>);

impl Echoes {
    /// A change is about to be asked for. The answer takes it back, where the upstream refused.
    pub(super) fn expect(&self, change: String, now: Millis) {
        let mut all = self.lock();
        if all.len() == MOST_ECHOES {
            all.pop_front();
        }
        all.push_back((now, change));
    }

    /// Whether this is the echo of a change of ours; it has only one.
    pub(super) fn take(&self, change: &str, now: Millis) -> bool {
        let mut all = self.lock();
        all.retain(|(at, _)| now.since(*at) < EXPECTED_MS);
        let found = all.iter().position(|(_, known)| known == change);
        found.and_then(|at| all.remove(at)).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Millis, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names a change to a message, by the upstream's id of it.
pub(super) fn echo(what: &str, id: &MessageId, how: &str) -> String {
    format!("{what}\n{}\n{how}", id.network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_told_once_and_leaves_nothing_behind() {
        let waiting = Waiting::default();
        let id: NetworkId = "3EB0".parse().unwrap();
        let mut wait = waiting.join(&id);
        assert!(waiting.has(&id) && waiting.tell(&id, Step::Sent));
        assert!(!waiting.tell(&id, Step::Sent));
        assert_eq!(wait.step().await, Some(Step::Sent));
        drop(waiting.join(&id));
        assert!(!waiting.has(&id));
    }

    #[test]
    fn an_echo_is_passed_over_once_and_few_are_waited_for() {
        let echoes = Echoes::default();
        for n in 0..=MOST_ECHOES {
            echoes.expect(n.to_string(), Millis(0));
        }
        let take = |change| echoes.take(change, Millis(1));
        assert!(!take("0") && take("1") && !take("1"));
    }

    #[test]
    fn an_echo_that_never_came_hides_nothing_that_others_do_later() {
        let echoes = Echoes::default();
        echoes.expect("star".to_owned(), Millis(0));
        assert!(!echoes.take("star", Millis(EXPECTED_MS)));
    }
}
