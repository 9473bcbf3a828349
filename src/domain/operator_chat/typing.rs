//! The typing states of users. A state expires after ten seconds and ends with its socket.

use std::collections::HashMap;

use super::ids::{ConversationId, UserPk};
use crate::domain::clock::Millis;

/// How long a start lasts, in milliseconds.
pub const TYPING_MS: i64 = 10_000;
/// The most typing users; further ones are not shown.
const MAX_TYPING: usize = 100_000;

/// A user who types in a conversation.
pub type Typist = (ConversationId, UserPk);

/// The typing users.
#[derive(Debug, Default)]
pub struct TypingBook {
    typing: HashMap<Typist, TypingState>,
}

#[derive(Debug)]
struct TypingState {
    ends_at: Millis,
    /// The socket of the last start.
    socket: u64,
}

impl TypingBook {
    /// Records a start; `true` if it is to be emitted. Repeated starts only extend the state.
    pub fn start(&mut self, typist: Typist, socket: u64, now: Millis) -> bool {
        let state = TypingState { ends_at: now.plus(TYPING_MS), socket };
        if let Some(known) = self.typing.get_mut(&typist) {
            *known = state;
            return false;
        }
        let fits = self.typing.len() < MAX_TYPING;
        if fits {
            self.typing.insert(typist, state);
        }
        fits
    }

    /// Records a stop; `true` if the user was typing.
    pub fn stop(&mut self, typist: Typist) -> bool {
        self.typing.remove(&typist).is_some()
    }

    /// Ends the states of a closed socket.
    pub fn closed(&mut self, socket: u64) -> Vec<Typist> {
        self.take(|state| state.socket == socket)
    }

    /// Ends the states whose time is over.
    pub fn expired(&mut self, now: Millis) -> Vec<Typist> {
        self.take(|state| state.ends_at <= now || state.ends_at.since(now) > TYPING_MS)
    }

    /// When the next state ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Millis> {
        self.typing.values().map(|state| state.ends_at).min()
    }

    fn take(&mut self, ends: impl Fn(&TypingState) -> bool) -> Vec<Typist> {
        let ended: Vec<_> =
            self.typing.iter().filter(|(_, state)| ends(state)).map(|(typist, _)| *typist).collect();
        for typist in &ended {
            self.typing.remove(typist);
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: Typist = (ConversationId(1), UserPk(2));
    const NOW: Millis = Millis(1_000_000);

    #[test]
    fn repeated_starts_are_coalesced() {
        let mut book = TypingBook::default();
        assert!(book.start(ANNA, 1, NOW));
        assert!(!book.start(ANNA, 1, NOW.plus(9_000)));
        assert_eq!(book.expired(NOW.plus(11_000)), []);
        assert_eq!(book.next_end(), Some(NOW.plus(19_000)));
        assert_eq!(book.expired(NOW.plus(19_000)), [ANNA]);
        assert!(!book.stop(ANNA));
    }

    #[test]
    fn closed_socket_ends_its_states() {
        let mut book = TypingBook::default();
        book.start(ANNA, 1, NOW);
        assert_eq!(book.closed(2), []);
        assert_eq!(book.closed(1), [ANNA]);
        assert_eq!(book.next_end(), None);
    }
}
