//! Typing: states in memory, which end by themselves.

use super::OperatorChat;
use crate::domain::operator_chat::typing::Typist;

impl OperatorChat {
    /// Records a start; `true` if it is to be emitted.
    pub fn start_typing(&self, typist: Typist, socket: u64) -> bool {
        let started = self.typing.lock().start(typist, socket, self.now());
        self.changed.notify_one();
        started
    }

    /// Records a stop; `true` if it is to be emitted.
    pub fn stop_typing(&self, typist: Typist) -> bool {
        self.typing.lock().stop(typist)
    }

    /// Whether a user types.
    #[must_use]
    pub fn is_typing(&self, typist: Typist) -> bool {
        self.typing.lock().is_typing(typist)
    }

    /// Records a change of a client that sends many; `true` if it is to be emitted now. Others may be emitted
    /// later, by [`OperatorChat::due_typing`].
    pub fn throttle_typing(&self, typist: Typist, on: bool, socket: u64) -> bool {
        let passes = self.typing_throttle.lock().pass(typist, on, socket, self.now());
        self.changed.notify_one();
        passes && self.set_typing(typist, on, socket)
    }

    /// The throttled changes to emit now.
    pub fn due_typing(&self) -> Vec<(Typist, bool)> {
        let due = self.typing_throttle.lock().due(self.now());
        let emitted = due.into_iter().filter(|(typist, on, socket)| self.set_typing(*typist, *on, *socket));
        emitted.map(|(typist, on, _)| (typist, on)).collect()
    }

    fn set_typing(&self, typist: Typist, on: bool, socket: u64) -> bool {
        if on { self.start_typing(typist, socket) } else { self.stop_typing(typist) }
    }

    /// Ends the state of a user who left the conversation; `true` if the stop is to be emitted.
    pub fn typist_left(&self, typist: Typist) -> bool {
        self.typing_throttle.lock().left(typist);
        self.stop_typing(typist)
    }

    /// Ends the states of a closed socket, and returns them.
    pub fn typing_of_closed_socket(&self, socket: u64) -> Vec<Typist> {
        self.typing_throttle.lock().closed(socket);
        self.typing.lock().closed(socket)
    }

    /// Ends the states whose time is over, and returns them.
    pub fn expired_typing(&self) -> Vec<Typist> {
        self.typing.lock().expired(self.now())
    }
}
