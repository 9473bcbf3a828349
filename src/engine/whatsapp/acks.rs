//! Joins a message that left with the network's answer to it, which comes as an event of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// What the network said to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AckAnswer {
    /// It has it.
    Accepted,
    /// It does not take it; the network's own code.
    Refused(String),
}

/// Messages whose answer is waited for; at most as many as the outbox has under way.
#[derive(Default)]
pub(super) struct Acks {
    waiting: Mutex<HashMap<String, oneshot::Sender<AckAnswer>>>,
}

/// A message that waits. Dropping it ends the wait.
pub(super) struct PendingAck {
    acks: Arc<Acks>,
    id: String,
    answer: oneshot::Receiver<AckAnswer>,
}

impl Acks {
    /// Waits from now on; to be called before the message leaves.
    pub(super) fn register(self: &Arc<Self>, id: &str) -> PendingAck {
        let (sender, answer) = oneshot::channel();
        self.lock().insert(id.to_owned(), sender);
        PendingAck { acks: Arc::clone(self), id: id.to_owned(), answer }
    }

    /// Gives the answer to whoever waits for it; `false` when nobody does.
    pub(super) fn resolve(&self, id: &str, answer: AckAnswer) -> bool {
        self.lock().remove(id).is_some_and(|sender| sender.send(answer).is_ok())
    }

    /// Nothing is answered any more: whoever waits hears so.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<AckAnswer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingAck {
    /// The answer; `None` when the connection ended before it came.
    pub(super) async fn answer(&mut self) -> Option<AckAnswer> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for PendingAck {
    fn drop(&mut self) {
        self.answer.close();
        // A newer try for the same message may wait by now; that one is not closed.
        let mut waiting = self.acks.lock();
        if waiting.get(&self.id).is_some_and(oneshot::Sender::is_closed) {
            waiting.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_reaches_who_waits_for_it() {
        let acks = Arc::new(Acks::default());
        let mut awaited = acks.register("3EB0");
        assert!(acks.resolve("3EB0", AckAnswer::Refused("463".into())));
        assert_eq!(awaited.answer().await, Some(AckAnswer::Refused("463".into())));
        assert!(!acks.resolve("3EB0", AckAnswer::Accepted), "answered once");
    }

    #[tokio::test]
    async fn who_waits_hears_that_the_connection_ended() {
        let acks = Arc::new(Acks::default());
        let mut awaited = acks.register("3EB0");
        acks.close();
        assert_eq!(awaited.answer().await, None);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_leaves_nothing_behind_and_does_not_end_a_newer_one() {
        let acks = Arc::new(Acks::default());
        let older = acks.register("3EB0");
        let mut newer = acks.register("3EB0");
        drop(older);
        assert!(acks.resolve("3EB0", AckAnswer::Accepted));
        assert_eq!(newer.answer().await, Some(AckAnswer::Accepted));
        drop(acks.register("3EB1"));
        assert!(acks.lock().is_empty());
    }
}
