//! Messages with files on their way in: how often a file was tried, and which messages are here already.
//!
//! Meta repeats a callback until it is answered 200, for days: a file that cannot be had now is tried again then, up
//! to a bound. All of it is in memory, for as long as the device is known.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How often a file is tried before its message comes without it.
pub(super) const MOST_TRIES: u32 = 5;
/// Messages of which tries are counted, and that are known to be here; beyond, the oldest is forgotten.
const REMEMBERED: usize = 500;

/// What is known of messages with files, by Meta's names.
#[derive(Default)]
pub(super) struct MediaRetries(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// In the order in which they were first seen.
    order: VecDeque<String>,
    messages: HashMap<String, Progress>,
}

#[derive(Clone, Copy)]
enum Progress {
    Tried(u32),
    Here,
}

impl MediaRetries {
    /// Whether the message was taken in.
    pub(super) fn is_here(&self, wamid: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(known.messages.get(wamid), Some(Progress::Here))
    }

    /// Its file is tried now; answers for which time. Counted before, as a caller that goes away ends the try.
    pub(super) fn tried(&self, wamid: &str) -> u32 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = match known.messages.get(wamid) {
            Some(Progress::Tried(tries)) => tries.saturating_add(1),
            Some(Progress::Here) | None => 1,
        };
        known.note(wamid, Progress::Tried(tries));
        tries
    }

    /// The message was taken in.
    pub(super) fn came(&self, wamid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note(wamid, Progress::Here);
    }
}

impl Known {
    fn note(&mut self, wamid: &str, progress: Progress) {
        if self.messages.insert(wamid.to_owned(), progress).is_some() {
            return;
        }
        self.order.push_back(wamid.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.messages.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_until_the_message_is_here() {
        let media_retries = MediaRetries::default();
        assert_eq!((media_retries.tried("A"), media_retries.tried("A"), media_retries.tried("B")), (1, 2, 1));
        assert!(!media_retries.is_here("A"));
        media_retries.came("A");
        assert!(media_retries.is_here("A") && !media_retries.is_here("B"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let media_retries = MediaRetries::default();
        for n in 0..2 * REMEMBERED {
            media_retries.came(&n.to_string());
        }
        let known = media_retries.0.lock().unwrap();
        assert_eq!((known.order.len(), known.messages.len()), (REMEMBERED, REMEMBERED));
        assert!(known.messages.contains_key("999") && !known.messages.contains_key("0"));
    }
}
