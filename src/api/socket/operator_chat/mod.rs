//! Operator chat over Socket.IO. [`guard`] authenticates sockets, [`requests`] serves their events in order,
//! [`rooms`] has the joined sockets of each conversation, and [`router`] emits the entries of the chat log.
//!
//! Invariants: a dialect translates and has no rules; an event is emitted only from a committed log entry,
//! except for presence and typing; a socket that does not read is cut and delays no other.

mod confirmation;
mod fields;
mod guard;
mod inbox_router;
mod membership;
mod namespace;
mod packet;
mod packets;
mod request_error;
mod requests;
mod rooms;
mod root;
mod router;
mod session;
mod typing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use socketioxide::SocketIo;

use super::Shared;
use crate::domain::operator_chat::dialect::Dialect;
use crate::service::OperatorChat;

use self::guard::ChatGuard;
use self::rooms::Rooms;

/// The Socket.IO path of chat.
pub(super) const PATH: &str = "/socket.io";
/// The namespace of the `root` dialect.
const ROOT_NAMESPACE: &str = "/";
/// The namespace of the `namespace` dialect.
const CHAT_NAMESPACE: &str = "/chat";

/// Marks requests on the path of chat; namespaces of devices refuse them.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChatPath;

/// The state of all chat sockets.
struct ChatState {
    shared: Arc<Shared>,
    chat: Arc<OperatorChat>,
    rooms: Rooms,
    sockets: AtomicU64,
}

impl ChatState {
    /// The number of a new socket, unique in this process.
    fn next_number(&self) -> u64 {
        self.sockets.fetch_add(1, Ordering::Relaxed)
    }
}

/// Registers the namespaces and starts the router.
pub(super) fn open(io: &SocketIo, shared: &Arc<Shared>, chat: &Arc<OperatorChat>) {
    let state = Arc::new(ChatState {
        shared: shared.clone(),
        chat: chat.clone(),
        rooms: Rooms::default(),
        sockets: AtomicU64::new(1),
    });
    io.ns(ROOT_NAMESPACE, ChatGuard::new(&state, Dialect::Root));
    io.ns(CHAT_NAMESPACE, ChatGuard::new(&state, Dialect::Namespace));
    shared.services.tasks().spawn_essential("chat-router", router::run(state));
}
