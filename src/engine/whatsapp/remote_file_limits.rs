//! What limits the fetches of files of one connection: one request at a time, and few questions to the phone.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Requests to the phone in [`PHONE_WINDOW`].
const MAX_PHONE_REQUESTS: usize = 60;
const PHONE_WINDOW: Duration = Duration::from_secs(3_600);

/// The fetches of one connection.
#[derive(Default)]
pub(super) struct RemoteFileLimits {
    /// Notified when a fetch was added.
    pub(super) added: Notify,
    /// Held during a fetch on request, so that one file is not fetched twice at once.
    pub(super) on_request: tokio::sync::Mutex<()>,
    /// Requests to the phone, oldest first. The library distinguishes answers by the message only.
    pub(super) phone: tokio::sync::Mutex<()>,
    asked: Mutex<VecDeque<Instant>>,
}

impl RemoteFileLimits {
    /// Counts a request to the phone, if it is within the limit.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        let mut asked = self.asked.lock();
        while asked.front().is_some_and(|at| now.duration_since(*at) >= PHONE_WINDOW) {
            asked.pop_front();
        }
        let allowed = asked.len() < MAX_PHONE_REQUESTS;
        if allowed {
            asked.push_back(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn phone_is_not_asked_beyond_its_limit() {
        let files = RemoteFileLimits::default();
        assert!((0..MAX_PHONE_REQUESTS).all(|_| files.may_ask(Instant::now())));
        assert!(!files.may_ask(Instant::now()));
        tokio::time::advance(PHONE_WINDOW).await;
        assert!(files.may_ask(Instant::now()));
    }
}
