//! One admitted chat socket: its user, its stored session, and the events that leave for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use socketioxide::socket::Socket;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::outgoing::{Emission, LoggedPacket, Outgoing};
use super::packet::Packet;
use super::requests::Incoming;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::ids::ChatMessageId;
use crate::domain::operator_chat::log_offset::LogOffset;
use crate::service::operator_chat::SignedIn;
use crate::service::operator_chat::recovery::{LogReplay, OpenedSession, RecoveredRoom, SessionLease};

/// One admitted socket.
pub(super) struct ChatSession {
    /// The session's number, which is never shown.
    pub(super) number: u64,
    /// The wire format.
    pub(super) dialect: Dialect,
    /// The user of its token.
    pub(super) signed_in: SignedIn,
    /// The stored session.
    pub(super) lease: SessionLease,
    /// The conversations of a recovered session; none for a new one.
    pub(super) recovered_rooms: Option<Vec<RecoveredRoom>>,
    /// The replay that a new session asked for.
    pub(super) replay: Option<LogReplay>,
    /// Whether it is registered; locked while that changes.
    pub(super) phase: Mutex<SessionPhase>,
    /// Cancelled when the library drops the socket.
    pub(super) closed: CancellationToken,
    /// Cancelled to cut a client that does not read, or sends faster than it can be refused.
    pub(super) cut: CancellationToken,
    /// Cancelled when another socket continued the session.
    pub(super) replaced: CancellationToken,
    /// Cancelled when the tokens of the user were revoked.
    pub(super) revoked: CancellationToken,
    /// The queue of its requests, until its worker starts.
    pub(super) requests: Mutex<Option<mpsc::Receiver<Incoming>>>,
    /// Wakes the task that catches up, when a client joined again.
    pub(super) joined_again: Notify,
    /// Whether the client said that the user is away; written while the phase is locked.
    away: AtomicBool,
    outgoing: Mutex<Outgoing>,
}

/// The life of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionPhase {
    New,
    Open,
    Closed,
}

impl ChatSession {
    /// A socket that is not registered yet. A new session gets the events after `position` of the chat log.
    pub(super) fn new(
        dialect: Dialect,
        signed_in: SignedIn,
        opened: OpenedSession,
        position: i64,
        requests: mpsc::Receiver<Incoming>,
    ) -> Self {
        let OpenedSession { lease, recovered, replay, .. } = opened;
        let outgoing = match (&recovered, replay) {
            (Some(recovered), _) => Outgoing::catching_up(recovered.reached),
            (None, Some(replay)) => Outgoing::catching_up(replay.after),
            (None, None) => Outgoing::live(LogOffset::after(position)),
        };
        Self {
            number: lease.number(),
            dialect,
            signed_in,
            lease,
            recovered_rooms: recovered.map(|recovered| recovered.rooms),
            replay,
            phase: Mutex::new(SessionPhase::New),
            closed: CancellationToken::new(),
            cut: CancellationToken::new(),
            replaced: CancellationToken::new(),
            revoked: CancellationToken::new(),
            requests: Mutex::new(Some(requests)),
            joined_again: Notify::new(),
            away: AtomicBool::new(false),
            outgoing: Mutex::new(outgoing),
        }
    }

    /// Whether the socket lacks events of the log when it connects.
    pub(super) fn lacks_events(&self) -> bool {
        self.recovered_rooms.is_some() || self.replay.is_some()
    }

    /// Whether the user is away.
    pub(super) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Records that the user is away or back; returns what it was before.
    pub(super) fn set_away(&self, is_away: bool) -> bool {
        self.away.swap(is_away, Ordering::Relaxed)
    }

    /// The client's position in the chat log.
    pub(super) fn reached(&self) -> LogOffset {
        self.outgoing.lock().reached()
    }

    /// Emits an event of the log. A socket without room in its buffer is cut: a dropped event must not go unnoticed.
    pub(super) fn emit_logged(&self, socket: &Socket, logged: &LoggedPacket) -> Emission {
        let emission = self.outgoing.lock().emit_logged(socket, logged);
        self.cut_if_full(emission)
    }

    /// Emits an event that was read from the log. A full buffer does not cut the socket.
    pub(super) fn emit_missed(&self, socket: &Socket, logged: &LoggedPacket) -> Emission {
        self.outgoing.lock().emit_missed(socket, logged)
    }

    /// Emits a message after its entry was passed, because the client was to get it later.
    pub(super) fn emit_late(&self, socket: &Socket, packet: Packet, message: ChatMessageId) -> Emission {
        let emission = self.outgoing.lock().emit_late(socket, packet, message);
        self.cut_if_full(emission)
    }

    /// Passes an entry whose event follows later, unless the socket reads the log itself.
    pub(super) fn skip(&self, seq: i64) {
        self.outgoing.lock().skip(seq);
    }

    /// Emits an event that is not logged, after those that wait for the end of a replay.
    pub(super) fn emit_unlogged(&self, socket: &Socket, packet: &Arc<Packet>) -> Emission {
        let emission = self.outgoing.lock().emit_unlogged(socket, packet);
        self.cut_if_full(emission)
    }

    /// Emits an event that is not logged, at once.
    pub(super) fn emit_now(&self, socket: &Socket, packet: &Packet) -> Emission {
        let emission = self.outgoing.lock().emit_now(socket, packet);
        self.cut_if_full(emission)
    }

    /// Holds events back until [`ChatSession::end_replay`].
    pub(super) fn begin_replay(&self) {
        self.outgoing.lock().begin_replay();
    }

    /// Emits the events that were held back, without the messages of the replay. Returns the new messages.
    pub(super) fn end_replay(&self, socket: &Socket, repeated: HashSet<ChatMessageId>) -> Vec<ChatMessageId> {
        let (emitted, has_room) = self.outgoing.lock().end_replay(socket, repeated);
        if !has_room {
            self.cut.cancel();
        }
        self.joined_again.notify_one();
        emitted
    }

    /// Records that entries up to a position have nothing more for this socket.
    pub(super) fn pass(&self, seq: i64) {
        self.outgoing.lock().pass(seq);
    }

    /// Ends the catching up if the socket has all entries that were routed; `false` if it lacks some.
    pub(super) fn go_live(&self, position: impl FnOnce() -> i64) -> bool {
        // Locked first: an entry that is routed after this position finds the socket live.
        let mut outgoing = self.outgoing.lock();
        outgoing.go_live(position())
    }

    fn cut_if_full(&self, emission: Emission) -> Emission {
        if emission == Emission::Full {
            self.cut.cancel();
        }
        emission
    }
}
