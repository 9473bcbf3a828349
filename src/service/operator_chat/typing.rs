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

    /// Ends the states of a closed socket, and returns them.
    pub fn typing_of_closed_socket(&self, socket: u64) -> Vec<Typist> {
        self.typing.lock().closed(socket)
    }

    /// Ends the states whose time is over, and returns them.
    pub fn expired_typing(&self) -> Vec<Typist> {
        self.typing.lock().expired(self.now())
    }
}
