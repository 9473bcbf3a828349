//! Receives button presses and tracks open notifications for replacement. The number of tracked notifications
//! is bounded.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use notify_rust::{NotificationHandle, NotificationResponse};
use tokio::sync::{mpsc, oneshot};

use super::DesktopAction;

/// A notification that waits for a button press until its [`Listening`] is dropped. Each holds a bus
/// connection.
pub(super) struct Open {
    pub tag: String,
    pub handle: NotificationHandle,
    pub until: oneshot::Receiver<()>,
}

/// Stops waiting for button presses on drop.
pub(super) type Listening = oneshot::Sender<()>;

/// Open notifications, the oldest first: tag, number and listener.
#[derive(Default)]
pub(super) struct OpenNotifications(VecDeque<(String, u32, Option<Listening>)>);

impl OpenNotifications {
    /// The number of the notification with this tag.
    pub(super) fn number(&self, tag: &str) -> Option<u32> {
        self.0.iter().find(|(kept, ..)| kept == tag).map(|(_, id, _)| *id)
    }

    /// Tracks a notification; replaces the one of the same tag and evicts the oldest above `max`.
    pub(super) fn keep(&mut self, tag: &str, id: u32, listening: Option<Listening>, max: usize) {
        self.0.retain(|(kept, ..)| kept != tag);
        self.0.push_back((tag.to_owned(), id, listening));
        while self.0.len() > max {
            self.0.pop_front();
        }
    }

    /// Removes the notification with this tag and returns its number.
    pub(super) fn take(&mut self, tag: &str) -> Option<u32> {
        let at = self.0.iter().position(|(kept, ..)| kept == tag)?;
        self.0.remove(at).map(|(_, id, _)| id)
    }

    /// Removes all, because a restarted server assigns numbers from the start.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Receiver of button presses.
pub struct DesktopActions {
    opened: mpsc::Receiver<Open>,
    waiting: FuturesUnordered<BoxFuture<'static, Option<DesktopAction>>>,
}

impl DesktopActions {
    pub(super) fn new(opened: mpsc::Receiver<Open>) -> Self {
        Self { opened, waiting: FuturesUnordered::new() }
    }

    /// The next button press; `None` after the last [`super::Desktop`] was dropped. Presses are received only
    /// while this is awaited. Cancel-safe.
    pub async fn recv(&mut self) -> Option<DesktopAction> {
        loop {
            tokio::select! {
                opened = self.opened.recv() => self.waiting.push(answer(opened?).boxed()),
                Some(answer) = self.waiting.next(), if !self.waiting.is_empty() => {
                    if answer.is_some() {
                        return answer;
                    }
                }
            }
        }
    }
}

async fn answer(open: Open) -> Option<DesktopAction> {
    let Open { tag, handle, until } = open;
    let mut action = None;
    // The library panics when the bus disconnects meanwhile; this counts as no press.
    let pressed = AssertUnwindSafe(handle.wait_for_action_async(|response: &NotificationResponse| {
        action = match response {
            NotificationResponse::Default => Some("default".to_owned()),
            NotificationResponse::Action(id) => Some(id.clone()),
            NotificationResponse::Reply(_) | NotificationResponse::Closed(_) => None,
        };
    }))
    .catch_unwind();
    tokio::select! {
        _ = pressed => action.map(|action| DesktopAction { tag, action }),
        _ = until => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::actions::*;

    #[test]
    fn open_notifications_are_bounded_oldest_evicted() {
        let mut kept = OpenNotifications::default();
        for (tag, id) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            kept.keep(tag, id, None, 2);
        }
        assert_eq!((kept.number("a"), kept.number("b"), kept.number("c")), (Some(3), None, Some(4)));
        assert_eq!((kept.take("a"), kept.take("a"), kept.number("c")), (Some(3), None, Some(4)));
    }

    #[test]
    fn replaced_notification_stops_listening() {
        let mut kept = OpenNotifications::default();
        let (listening, mut until) = oneshot::channel();
        kept.keep("a", 1, Some(listening), 2);
        assert!(until.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        kept.keep("a", 1, None, 2);
        assert!(until.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
    }
}
