//! The events that leave for one socket: in the order of the log, each once.
//!
//! Logged events wait while a join repeats messages, and are read from the log instead while a recovered socket
//! catches up.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;

use socketioxide::socket::Socket;

use super::packet::{self, Packet};
use crate::domain::operator_chat::ids::ChatMessageId;
use crate::domain::operator_chat::log_offset::LogOffset;

/// Events that may wait for the end of one replay; beyond it the socket is cut.
const MAX_HELD: usize = 1_024;

/// The result of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emission {
    /// It is in the socket's buffer.
    Emitted,
    /// It waits for the end of a replay.
    Held,
    /// The socket has it, or will read it from the log.
    Skipped,
    /// The socket's buffer, or that of the replay, is full.
    Full,
    /// The socket is closed.
    Lost,
}

/// An event of the log, as one socket gets it.
#[derive(Debug, Clone)]
pub(super) struct LoggedPacket {
    /// The event.
    pub(super) packet: Arc<Packet>,
    /// The client's position after it.
    pub(super) offset: LogOffset,
    /// The message that it brings to a socket that joined the conversation.
    pub(super) message: Option<ChatMessageId>,
}

/// The state of what leaves for one socket.
#[derive(Debug)]
pub(super) struct Outgoing {
    reached: LogOffset,
    flow: Flow,
    /// The messages that the last join repeated. Their log entries may follow later.
    repeated: HashSet<ChatMessageId>,
}

#[derive(Debug)]
enum Flow {
    /// Events leave as they are routed.
    Live,
    /// Events wait for the end of a replay.
    Held(Vec<HeldPacket>),
    /// Logged events are read from the log.
    CatchingUp,
}

#[derive(Debug)]
enum HeldPacket {
    Logged(LoggedPacket),
    Unlogged(Arc<Packet>),
}

impl Outgoing {
    /// A socket that gets all events after this position.
    pub(super) fn live(reached: LogOffset) -> Self {
        Self { reached, flow: Flow::Live, repeated: HashSet::new() }
    }

    /// A recovered socket, which lacks events after this position.
    pub(super) fn catching_up(reached: LogOffset) -> Self {
        Self { reached, flow: Flow::CatchingUp, repeated: HashSet::new() }
    }

    /// The client's position.
    pub(super) fn reached(&self) -> LogOffset {
        self.reached
    }

    /// Emits an event of the log.
    pub(super) fn emit_logged(&mut self, socket: &Socket, logged: &LoggedPacket) -> Emission {
        if logged.offset <= self.reached {
            return Emission::Skipped;
        }
        match &mut self.flow {
            Flow::CatchingUp => Emission::Skipped,
            Flow::Held(held) => hold(held, HeldPacket::Logged(logged.clone())),
            Flow::Live => self.emit_next(socket, logged),
        }
    }

    /// Emits an event that was read from the log, for a socket that catches up.
    pub(super) fn emit_missed(&mut self, socket: &Socket, logged: &LoggedPacket) -> Emission {
        if logged.offset <= self.reached {
            return Emission::Skipped;
        }
        self.emit_next(socket, logged)
    }

    fn emit_next(&mut self, socket: &Socket, logged: &LoggedPacket) -> Emission {
        if logged.message.is_some_and(|id| self.repeated.contains(&id)) {
            return Emission::Skipped;
        }
        let emission = result(logged.packet.emit_with(socket, logged.offset));
        if emission == Emission::Emitted {
            self.reached = logged.offset;
        }
        emission
    }

    /// Emits a message after its entry was passed. A later entry of the same message is skipped.
    pub(super) fn emit_late(&mut self, socket: &Socket, packet: Packet, message: ChatMessageId) -> Emission {
        if self.repeated.len() < MAX_HELD {
            self.repeated.insert(message);
        }
        result(packet.with_seq(self.reached.whole_entry()).emit_with(socket, self.reached))
    }

    /// Passes an entry that this socket gets later, while it is live.
    pub(super) fn skip(&mut self, seq: i64) {
        if matches!(self.flow, Flow::Live) {
            self.pass(seq);
        }
    }

    /// Emits an event that is not logged, after those that wait.
    pub(super) fn emit_unlogged(&mut self, socket: &Socket, packet: &Arc<Packet>) -> Emission {
        match &mut self.flow {
            Flow::Held(held) => hold(held, HeldPacket::Unlogged(packet.clone())),
            Flow::Live | Flow::CatchingUp => self.emit_now(socket, packet),
        }
    }

    /// Emits an event that is not logged, at once.
    pub(super) fn emit_now(&self, socket: &Socket, packet: &Packet) -> Emission {
        result(match packet.ends_in_text() {
            true => packet.emit_with(socket, self.reached),
            false => packet.emit(socket),
        })
    }

    /// Holds events back until [`Outgoing::end_replay`].
    pub(super) fn begin_replay(&mut self) {
        if matches!(self.flow, Flow::Live) {
            self.flow = Flow::Held(Vec::new());
        }
    }

    /// Emits the events that were held back, without the messages of the replay. Returns the new messages, and
    /// whether all events had room.
    pub(super) fn end_replay(
        &mut self,
        socket: &Socket,
        repeated: HashSet<ChatMessageId>,
    ) -> (Vec<ChatMessageId>, bool) {
        self.repeated = repeated;
        if matches!(self.flow, Flow::CatchingUp) {
            return (Vec::new(), true);
        }
        let (mut emitted, mut has_room) = (Vec::new(), true);
        if let Flow::Held(held) = mem::replace(&mut self.flow, Flow::Live) {
            for event in held {
                let emission = match &event {
                    HeldPacket::Logged(logged) => self.emit_logged(socket, logged),
                    HeldPacket::Unlogged(packet) => self.emit_now(socket, packet),
                };
                has_room &= emission != Emission::Full;
                if let (Emission::Emitted, HeldPacket::Logged(logged)) = (emission, event) {
                    emitted.extend(logged.message);
                }
            }
        }
        (emitted, has_room)
    }

    /// Records that entries up to a position have nothing more for this socket.
    pub(super) fn pass(&mut self, seq: i64) {
        self.reached = self.reached.max(LogOffset::after(seq));
    }

    /// Ends the catching up if the socket has all entries up to a position; `false` if it lacks some.
    pub(super) fn go_live(&mut self, position: i64) -> bool {
        let has_all = self.reached.whole_entry() >= position;
        if has_all {
            self.flow = Flow::Live;
        }
        has_all
    }
}

fn hold(held: &mut Vec<HeldPacket>, event: HeldPacket) -> Emission {
    if held.len() >= MAX_HELD {
        return Emission::Full;
    }
    held.push(event);
    Emission::Held
}

fn result(emitted: Result<(), socketioxide::SendError>) -> Emission {
    match emitted {
        Ok(()) => Emission::Emitted,
        Err(error) if packet::is_full(&error) => Emission::Full,
        Err(_) => Emission::Lost,
    }
}
