//! The typing states of users. A state expires after ten seconds and ends with its socket.
//!
//! The throttle is for clients that send two changes for each key press: it passes at most one a second, and the last one.

use std::collections::HashMap;

use super::ids::{ConversationId, UserPk};
use crate::domain::clock::Millis;

/// How long a start lasts, in milliseconds.
pub const TYPING_MS: i64 = 10_000;
/// The shortest time between two changes that the throttle passes, in milliseconds.
const THROTTLE_MS: i64 = 1_000;
/// The shortest time between two starts that are relayed to a network, in milliseconds.
const RELAY_MS: i64 = 10_000;
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

    /// Whether a user types in any conversation.
    #[must_use]
    pub fn types_anywhere(&self, user: UserPk) -> bool {
        self.typing.keys().any(|(_, typist)| *typist == user)
    }

    /// Whether a user types.
    #[must_use]
    pub fn is_typing(&self, typist: Typist) -> bool {
        self.typing.contains_key(&typist)
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

/// Typing changes of clients that send many.
#[derive(Debug, Default)]
pub struct TypingThrottle {
    typists: HashMap<Typist, ThrottledTyping>,
}

#[derive(Debug)]
struct ThrottledTyping {
    /// When a change was passed.
    passed_at: Millis,
    /// The last change since then.
    waiting: Option<bool>,
    /// The socket of the last change.
    socket: u64,
}

impl ThrottledTyping {
    fn is_over(&self, now: Millis) -> bool {
        !(0..THROTTLE_MS).contains(&now.since(self.passed_at))
    }
}

impl TypingThrottle {
    /// Whether a change passes now; else it replaces the one that waits.
    pub fn pass(&mut self, typist: Typist, on: bool, socket: u64, now: Millis) -> bool {
        if let Some(known) = self.typists.get_mut(&typist).filter(|known| !known.is_over(now)) {
            (known.waiting, known.socket) = (Some(on), socket);
            return false;
        }
        let fits = self.typists.len() < MAX_TYPING || self.typists.contains_key(&typist);
        if fits {
            self.typists.insert(typist, ThrottledTyping { passed_at: now, waiting: None, socket });
        }
        fits || !on
    }

    /// The changes whose time has come, each with its socket.
    pub fn due(&mut self, now: Millis) -> Vec<(Typist, bool, u64)> {
        let mut due = Vec::new();
        self.typists.retain(|typist, state| {
            if !state.is_over(now) {
                return true;
            }
            let Some(on) = state.waiting.take() else { return false };
            state.passed_at = now;
            due.push((*typist, on, state.socket));
            true
        });
        due
    }

    /// When [`TypingThrottle::due`] may have a change.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.typists.values().map(|state| state.passed_at.plus(THROTTLE_MS)).min()
    }

    /// Removes the change of a user who left the conversation.
    pub fn left(&mut self, typist: Typist) {
        self.typists.remove(&typist);
    }

    /// Removes the changes of a closed socket.
    pub fn closed(&mut self, socket: u64) {
        self.typists.retain(|_, state| state.socket != socket);
    }
}

/// The typing that was relayed to the networks of devices: a conversation relays at most one start in ten seconds.
#[derive(Debug, Default)]
pub struct TypingRelay {
    /// The last start of each conversation, and whether a stop may follow.
    started: HashMap<ConversationId, (Millis, bool)>,
}

impl TypingRelay {
    /// Whether a change is to be relayed now.
    pub fn pass(&mut self, conversation: ConversationId, on: bool, now: Millis) -> bool {
        self.started.retain(|_, (at, _)| (0..RELAY_MS).contains(&now.since(*at)));
        match (self.started.get_mut(&conversation), on) {
            (Some((_, is_on)), false) => std::mem::take(is_on),
            (Some(_), true) | (None, false) => false,
            (None, true) => {
                self.started.insert(conversation, (now, true));
                true
            }
        }
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

    #[test]
    fn throttle_passes_one_change_a_second_and_the_last() {
        let mut throttle = TypingThrottle::default();
        assert!(throttle.pass(ANNA, true, 1, NOW));
        for (after, on) in [(100, true), (200, false), (300, true), (900, false)] {
            assert!(!throttle.pass(ANNA, on, 1, NOW.plus(after)));
        }
        assert_eq!(throttle.due(NOW.plus(999)), []);
        assert_eq!(throttle.next_due(), Some(NOW.plus(1_000)));
        assert_eq!(throttle.due(NOW.plus(1_000)), [(ANNA, false, 1)]);
        assert!(!throttle.pass(ANNA, true, 1, NOW.plus(1_500)));
        assert_eq!(throttle.due(NOW.plus(2_000)), [(ANNA, true, 1)]);
        assert_eq!(throttle.due(NOW.plus(3_000)), []);
        assert_eq!(throttle.next_due(), None);
    }

    #[test]
    fn throttle_drops_changes_of_closed_sockets() {
        let mut throttle = TypingThrottle::default();
        throttle.pass(ANNA, true, 1, NOW);
        throttle.pass(ANNA, true, 2, NOW.plus(1));
        throttle.closed(1);
        assert_eq!(throttle.due(NOW.plus(1_000)), [(ANNA, true, 2)]);
        throttle.pass(ANNA, false, 2, NOW.plus(1_001));
        throttle.left(ANNA);
        assert_eq!(throttle.due(NOW.plus(9_000)), []);
    }

    #[test]
    fn relay_passes_one_start_in_ten_seconds() {
        let (mut relay, conversation) = (TypingRelay::default(), ConversationId(1));
        let mut pass = |on, at| relay.pass(conversation, on, Millis(at));
        assert!(!pass(false, 0), "nothing was started");
        assert!(pass(true, 0) && !pass(true, 9_999) && pass(false, 9_999));
        assert!(!pass(false, 9_999) && !pass(true, 9_999), "stopped, and too early for a start");
        assert!(pass(true, 10_000));
        assert!(relay.pass(ConversationId(2), true, Millis(10_000)), "another conversation");
    }
}
