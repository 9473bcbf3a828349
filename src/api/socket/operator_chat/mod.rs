//! Operator chat over Socket.IO. [`guard`] authenticates sockets, [`requests`] serves their events in order,
//! [`rooms`] has the joined sockets of each conversation, and [`router`] emits the entries of the chat log.
//!
//! Invariants: a dialect translates and has no rules; an event is emitted only from a committed log entry,
//! except for presence, typing, the answer to `/help` and a join that marked nothing read; a socket that does not read is cut and delays no other.

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
mod underscore;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use socketioxide::SocketIo;

use super::Shared;
use crate::api::http::operator_chat::objects::iso;
use crate::domain::operator_chat::dialect::Dialect;
use crate::service::{OperatorChat, Services};

use self::guard::ChatGuard;
use self::rooms::Rooms;

/// The namespace of the `root` dialect, and on its own path of the `underscore` dialect.
const ROOT_NAMESPACE: &str = "/";
/// The namespace of the `namespace` dialect.
const CHAT_NAMESPACE: &str = "/chat";

/// A Socket.IO path of chat. It marks requests; namespaces of devices refuse them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChatPath {
    SocketIo,
    ApiSocket,
}

impl ChatPath {
    pub(super) const ALL: [Self; 2] = [Self::SocketIo, Self::ApiSocket];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::SocketIo => "/socket.io",
            Self::ApiSocket => "/api/socket",
        }
    }

    /// The dialect of a namespace on this path.
    fn dialect_of(self, namespace: &str) -> Option<Dialect> {
        match (self, namespace) {
            (Self::SocketIo, ROOT_NAMESPACE) => Some(Dialect::Root),
            (Self::SocketIo, CHAT_NAMESPACE) => Some(Dialect::Namespace),
            (Self::ApiSocket, ROOT_NAMESPACE) => Some(Dialect::Underscore),
            _ => None,
        }
    }
}

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
    for namespace in [ROOT_NAMESPACE, CHAT_NAMESPACE] {
        io.ns(namespace, ChatGuard::new(&state, namespace));
    }
    shared.services.tasks().spawn_essential("chat-router", router::run(state));
}

/// Answers a request for `/api/socket` without a query: existing pages send one before they connect.
pub(super) async fn status(State(services): State<Services>) -> Json<Value> {
    Json(json!({
        "status": "active",
        "message": "Socket.IO server is running",
        "timestamp": iso(services.now()),
    }))
}
