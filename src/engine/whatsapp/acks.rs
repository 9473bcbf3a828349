//! Matches a sent message with the network's answer, which arrives as a separate event. At most as many
//! messages wait as the outbox has in flight.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// The network's answer to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AckAnswer {
    /// The network has the message.
    Accepted,
    /// The network rejects the message, with its own code.
    Refused(String),
}

/// Senders that wait for an answer, by message id.
#[derive(Default)]
pub(super) struct Acks {
    waiting: Mutex<HashMap<String, oneshot::Sender<AckAnswer>>>,
}

/// A registered wait; dropping it ends the wait.
pub(super) struct PendingAck {
    acks: Arc<Acks>,
    id: String,
    answer: oneshot::Receiver<AckAnswer>,
}

impl Acks {
    /// Registers a message; call it before the message is sent.
    pub(super) fn register(self: &Arc<Self>, id: &str) -> PendingAck {
        let (sender, answer) = oneshot::channel();
        self.lock().insert(id.to_owned(), sender);
        PendingAck { acks: Arc::clone(self), id: id.to_owned(), answer }
    }

    /// Passes the answer to the sender that waits for it; `false` if none does.
    pub(super) fn resolve(&self, id: &str, answer: AckAnswer) -> bool {
        self.lock().remove(id).is_some_and(|sender| sender.send(answer).is_ok())
    }

    /// Ends all waits without an answer.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<AckAnswer>>> {
        self.waiting.lock()
    }
}

impl PendingAck {
    /// The answer; `None` if the connection ended first.
    pub(super) async fn answer(&mut self) -> Option<AckAnswer> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for PendingAck {
    fn drop(&mut self) {
        self.answer.close();
        // A later attempt for the same message may be registered by now; it stays.
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
    async fn answer_reaches_waiting_sender() {
        let acks = Arc::new(Acks::default());
        let mut awaited = acks.register("3EB0");
        assert!(acks.resolve("3EB0", AckAnswer::Refused("463".into())));
        assert_eq!(awaited.answer().await, Some(AckAnswer::Refused("463".into())));
        assert!(!acks.resolve("3EB0", AckAnswer::Accepted), "answered once");
    }

    #[tokio::test]
    async fn closed_connection_ends_waits() {
        let acks = Arc::new(Acks::default());
        let mut awaited = acks.register("3EB0");
        acks.close();
        assert_eq!(awaited.answer().await, None);
    }

    #[tokio::test]
    async fn dropped_wait_keeps_later_attempt() {
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
