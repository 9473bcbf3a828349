//! One admitted chat socket: its user, its conversations, and events that wait for the end of a replay.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use socketioxide::socket::Socket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::packet::{self, Packet};
use super::requests::Incoming;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId};
use crate::service::operator_chat::SignedIn;

/// Events that may wait for the end of one replay; beyond it the socket is cut.
const MAX_HELD: usize = 1_024;

/// One admitted socket.
pub(super) struct ChatSession {
    /// The socket's number, which is never shown.
    pub(super) number: u64,
    /// The wire format.
    pub(super) dialect: Dialect,
    /// The user of its token.
    pub(super) signed_in: SignedIn,
    /// Whether it is registered; locked while that changes.
    pub(super) phase: Mutex<SessionPhase>,
    /// Cancelled when the library drops the socket.
    pub(super) closed: CancellationToken,
    /// Cancelled to cut a client that does not read, or sends faster than it can be refused.
    pub(super) cut: CancellationToken,
    /// The queue of its requests, until its worker starts.
    pub(super) requests: Mutex<Option<mpsc::Receiver<Incoming>>>,
    /// Whether the client said that the user is away; written while the phase is locked.
    away: AtomicBool,
    /// Events of conversations whose replay is in progress.
    held: Mutex<HashMap<ConversationId, Vec<HeldPacket>>>,
}

/// The life of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionPhase {
    New,
    Open,
    Closed,
}

/// An event that waits for the end of a replay.
struct HeldPacket {
    packet: Arc<Packet>,
    message: Option<ChatMessageId>,
}

/// The result of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emission {
    /// It is in the socket's buffer.
    Emitted,
    /// It waits for the end of a replay.
    Held,
    /// The socket is closed or cut.
    Lost,
}

impl ChatSession {
    pub(super) fn new(
        number: u64,
        dialect: Dialect,
        signed_in: SignedIn,
        requests: mpsc::Receiver<Incoming>,
    ) -> Self {
        Self {
            number,
            dialect,
            signed_in,
            phase: Mutex::new(SessionPhase::New),
            closed: CancellationToken::new(),
            cut: CancellationToken::new(),
            requests: Mutex::new(Some(requests)),
            away: AtomicBool::new(false),
            held: Mutex::default(),
        }
    }

    /// Whether the user is away.
    pub(super) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Records that the user is away or back; returns what it was before.
    pub(super) fn set_away(&self, is_away: bool) -> bool {
        self.away.swap(is_away, Ordering::Relaxed)
    }

    /// Emits an event, after the replay of its conversation if there is one. `message` is the id of a new
    /// message, which the replay may contain too.
    pub(super) fn emit(
        &self,
        socket: &Socket,
        packet: &Arc<Packet>,
        conversation: Option<ConversationId>,
        message: Option<ChatMessageId>,
    ) -> Emission {
        let mut held = self.held.lock();
        if let Some(waiting) = conversation.and_then(|id| held.get_mut(&id)) {
            if waiting.len() >= MAX_HELD {
                self.cut.cancel();
                return Emission::Lost;
            }
            waiting.push(HeldPacket { packet: packet.clone(), message });
            return Emission::Held;
        }
        self.emit_now(socket, packet)
    }

    /// Emits at once. A socket without room in its buffer is cut: a dropped event must not go unnoticed.
    pub(super) fn emit_now(&self, socket: &Socket, packet: &Packet) -> Emission {
        match packet.emit(socket) {
            Ok(()) => Emission::Emitted,
            Err(error) => {
                if packet::is_full(&error) {
                    self.cut.cancel();
                }
                Emission::Lost
            }
        }
    }

    /// Holds the events of a conversation back until [`ChatSession::end_replay`].
    pub(super) fn begin_replay(&self, conversation: ConversationId) {
        self.held.lock().entry(conversation).or_default();
    }

    /// Emits the events that were held back, without the messages of the replay. Returns the new messages.
    pub(super) fn end_replay(
        &self,
        socket: &Socket,
        conversation: ConversationId,
        replayed: &[ChatMessageId],
    ) -> Vec<ChatMessageId> {
        // Locked until all are emitted, so that a later event stays behind them.
        let mut held = self.held.lock();
        let mut emitted = Vec::new();
        for HeldPacket { packet, message } in held.remove(&conversation).unwrap_or_default() {
            if message.is_some_and(|id| replayed.contains(&id)) {
                continue;
            }
            if self.emit_now(socket, &packet) == Emission::Emitted {
                emitted.extend(message);
            }
        }
        emitted
    }
}
