//! Operator chat over Socket.IO. [`guard`] authenticates sockets, [`requests`] serves their events in order,
//! [`rooms`] has the joined sockets of each conversation, [`router`] emits the entries of the chat log, and [`recovery`]
//! those that a socket missed.
//!
//! Invariants: a dialect translates and has no rules; an event is emitted only from a committed log entry,
//! except for presence, typing, the answer to `/help` and a join that marked nothing read; a socket that does not read is cut and delays no other.

mod command_answer;
mod event_packets;
mod fields;
mod guard;
mod membership;
mod namespace;
mod outgoing;
mod packet;
mod packets;
mod recovery;
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
use tokio::sync::watch;

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
    /// Whether the router follows the log. No socket connects before.
    is_routing: watch::Sender<bool>,
    greetings: AtomicU64,
}

impl ChatState {
    /// A number for the first event of a socket, unique in this process.
    fn next_greeting(&self) -> u64 {
        self.greetings.fetch_add(1, Ordering::Relaxed)
    }

    /// The entry of the log that was routed last, as soon as the router has read it.
    async fn position(&self) -> i64 {
        // The sender lives as long as the state.
        let _ = self.is_routing.subscribe().wait_for(|is_routing| *is_routing).await;
        self.rooms.position()
    }
}

/// Registers the namespaces and starts the router.
pub(super) fn open(io: &SocketIo, shared: &Arc<Shared>, chat: &Arc<OperatorChat>) {
    let state = Arc::new(ChatState {
        shared: shared.clone(),
        chat: chat.clone(),
        rooms: Rooms::default(),
        is_routing: watch::Sender::new(false),
        greetings: AtomicU64::new(1),
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
