//! What the server told and nobody could read: said in the log, though not for each, and never with what it was.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ids::DeviceId;

/// How often it is said.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What could not be read and was not said yet.
#[derive(Default)]
pub(super) struct Unreadable(Mutex<Silent>);

#[derive(Default)]
struct Silent {
    count: u64,
    said: Option<Instant>,
}

impl Unreadable {
    /// Something of this kind could not be read.
    pub(super) fn came(&self, device: &DeviceId, what: &'static str) {
        if let Some(count) = self.counted() {
            tracing::warn!(%device, what, count, "what the WAHA server told could not be read, and is passed over");
        }
    }

    /// Counts one, and gives the count where it is to be said.
    fn counted(&self) -> Option<u64> {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.count += 1;
        if silent.said.is_some_and(|said| said.elapsed() < SAID_EVERY) {
            return None;
        }
        silent.said = Some(Instant::now());
        Some(std::mem::take(&mut silent.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_is_said_at_once_and_the_rest_once_a_minute() {
        let unreadable = Unreadable::default();
        assert_eq!(unreadable.counted(), Some(1));
        assert_eq!((unreadable.counted(), unreadable.counted()), (None, None));
        tokio::time::advance(SAID_EVERY).await;
        assert_eq!(unreadable.counted(), Some(3));
    }
}
