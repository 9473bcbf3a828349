//! Authenticates a chat socket, and watches over it until it ends.
//!
//! A socket ends with its token: the client gets `auth:error`, then its transport is closed, so that it
//! reconnects with its current token.

use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use serde_json::{Map, Value as Json};
use socketioxide::RecoveryId;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::SocketRef;
use socketioxide::handler::{ConnectHandler, DisconnectHandler, Value};
use socketioxide::socket::{DisconnectReason, Socket};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::super::anonymous_sessions::{count_refusal, mark_joined};
use super::super::chat_cookies::HandshakeCookies;
use super::super::credentials::since_in;
use super::fields::{given, required};
use super::packet::Packet;
use super::requests::{Incoming, RequestHandler};
use super::rooms::ConnectedSocket;
use super::session::{ChatSession, SessionPhase};
use super::typing::emit_typing_stops;
use super::{ChatPath, ChatState, namespace, recovery, requests, root, underscore};
use crate::api::auth::{Failed, client_address};
use crate::api::connections::{ConnectionHandle, mark_authenticated};
use crate::domain::operator_chat::dialect::Dialect;
use crate::service::operator_chat::recovery::RecoveryRequest;
use crate::service::operator_chat::{ChatAuthError, SignedIn};

/// The delay of each answer to an address that failed too often.
const TOO_MANY_TRIES_WAIT: Duration = Duration::from_secs(1);
/// The longest sleep until an expiry: the wall clock may be changed meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The time for a last event to leave the buffer.
const LAST_EVENT_WAIT: Duration = Duration::from_millis(200);
/// The time for a transport to close, before the namespace is disconnected instead.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// A refused connection; clients compare these messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum ChatRefusal {
    #[error("Invalid namespace")]
    OtherPath,
    #[error("Authentication error")]
    Unauthenticated,
    #[error("Server configuration error")]
    Unavailable,
    #[error("Too many connections")]
    TooManySockets,
}

/// The guard of the namespace. The library keeps it and the handlers of sockets when it closes, so that they
/// must not keep the state.
#[derive(Clone)]
pub(super) struct ChatGuard {
    state: Weak<ChatState>,
    namespace: &'static str,
}

impl ConnectHandler<LocalAdapter, ChatGuard> for ChatGuard {
    fn call(&self, socket: Arc<Socket>, _: Option<Value>) {
        let Some(session) = socket.extensions.get::<Arc<ChatSession>>() else { return };
        let Some(state) = self.state.upgrade() else { return };
        let connected = ConnectedSocket { socket, session };
        if register(&state, &connected) {
            requests::start_worker(&state, &connected);
            let tasks = state.shared.services.tasks().clone();
            if connected.session.lacks_events() {
                tasks.spawn("chat-recovery", recovery::catch_up(state.clone(), connected.clone()));
            }
            tasks.spawn("chat-socket", watch(state, connected));
        }
    }

    fn call_middleware<'a>(
        &'a self,
        socket: Arc<Socket>,
        auth: &'a Option<Value>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Box<dyn Display + Send>>> + Send + 'a>> {
        Box::pin(async move {
            let admitted = match self.state.upgrade() {
                Some(state) => admit(&state, self.namespace, &socket, auth.as_ref()).await,
                None => Err(ChatRefusal::Unavailable),
            };
            admitted.map_err(|refusal| Box::new(refusal) as Box<dyn Display + Send>)
        })
    }
}

impl ChatGuard {
    pub(super) fn new(state: &Arc<ChatState>, namespace: &'static str) -> Self {
        Self { state: Arc::downgrade(state), namespace }
    }
}

/// Authenticates a socket and attaches its handlers.
async fn admit(
    state: &Arc<ChatState>,
    namespace: &str,
    socket: &Socket,
    auth: Option<&Value>,
) -> Result<(), ChatRefusal> {
    let request = socket.req_parts();
    let path = request.extensions.get::<ChatPath>();
    let dialect = path.and_then(|path| path.dialect_of(namespace)).ok_or(ChatRefusal::OtherPath)?;
    let fields = auth.and_then(|auth| serde_json::from_str::<Map<String, Json>>(auth.as_str()?).ok());
    let fields = fields.unwrap_or_default();
    let signed_in = match authenticate(state, dialect, request, &fields).await {
        Ok(signed_in) if dialect == Dialect::Underscore && !is_claimed(&fields, &signed_in) => {
            return Err(refuse(state, request, &ChatAuthError::Invalid).await);
        }
        Ok(signed_in) => signed_in,
        Err(error) => return Err(refuse(state, request, &error).await),
    };
    mark_authenticated(&request.extensions);
    mark_joined(&request.extensions);
    if state.chat.has_too_many_sockets(signed_in.user.pk) {
        return Err(ChatRefusal::TooManySockets);
    }
    let position = state.position().await;
    let request = recovery_request(&fields);
    let opened = state.chat.open_session(&signed_in, dialect, request, position).await;
    if let Some(pid) = &opened.pid {
        socket.extensions.insert(RecoveryId(pid.clone()));
    }
    let (queue, requests) = mpsc::channel(state.shared.socket.inbound_queue.max(1));
    let session = Arc::new(ChatSession::new(dialect, signed_in, opened, position, requests));
    attach_handlers(state, socket, session, queue);
    Ok(())
}

/// The private id and the offset that a client gives after a lost connection. Another offset than one of the
/// server's counts as none.
fn recovery_request(fields: &Map<String, Json>) -> RecoveryRequest {
    let text = |name| fields.get(name).and_then(Json::as_str);
    RecoveryRequest {
        pid: text("pid").map(str::to_owned),
        offset: text("offset").and_then(|offset| offset.parse().ok()),
        since: since_in(fields),
    }
}

/// The user of the token, else of the session cookie of the handshake.
async fn authenticate(
    state: &ChatState,
    dialect: Dialect,
    request: &Parts,
    fields: &Map<String, Json>,
) -> Result<SignedIn, ChatAuthError> {
    let token = presented_token(request, fields);
    let cookies = request.extensions.get::<HandshakeCookies>().and_then(HandshakeCookies::trusted);
    match cookies.filter(|_| token.is_none()) {
        Some(cookies) => Ok(state.chat.authenticate_by_cookie(&[dialect], cookies).await?.0),
        None if token.is_none() && dialect == Dialect::Underscore && state.chat.allows_plain_tokens() => {
            let id = required(fields, "userId").map_err(|_| ChatAuthError::Invalid)?;
            state.chat.authenticate_plain(dialect, &id).await
        }
        None => state.chat.authenticate(dialect, token.as_deref()).await,
    }
}

/// Counts a failed login, and delays the answer to an address that fails too often.
async fn refuse(state: &ChatState, request: &Parts, error: &ChatAuthError) -> ChatRefusal {
    match error {
        ChatAuthError::Invalid => {
            count_refusal(&request.extensions);
        }
        ChatAuthError::TooManyUsers(limit) => {
            tracing::warn!(limit, "chat user refused: the identity has too many users");
            return ChatRefusal::Unauthenticated;
        }
        ChatAuthError::KeysUnavailable => return ChatRefusal::Unavailable,
        ChatAuthError::Service(error) => {
            tracing::warn!(%error, "chat user not stored");
            return ChatRefusal::Unavailable;
        }
    }
    let shared = &state.shared;
    shared.services.metrics().auth_failures.inc();
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    let address = client_address(peer, &request.headers, &shared.trusted_proxies);
    if let Failed::TooMany { .. } = shared.failed_tries.count(address, shared.services.now()) {
        sleep(TOO_MANY_TRIES_WAIT).await;
    }
    ChatRefusal::Unauthenticated
}

fn attach_handlers(
    state: &Arc<ChatState>,
    socket: &Socket,
    session: Arc<ChatSession>,
    queue: mpsc::Sender<Incoming>,
) {
    socket.on_disconnect(OnChatDisconnect { state: Arc::downgrade(state), session: session.clone() });
    socket.on_fallback(RequestHandler::new(queue, session.clone()));
    socket.extensions.insert(session);
}

/// Emits the first event and registers the socket; `false` if it is gone already. A transport that still has the
/// session is closed; its end has no effect on the session.
fn register(state: &Arc<ChatState>, connected: &ConnectedSocket) -> bool {
    let session = &connected.session;
    let mut phase = session.phase.lock();
    if *phase != SessionPhase::New {
        return false;
    }
    if let Some(replaced) = state.rooms.socket(session.number) {
        unregister(state, &replaced.session);
        replaced.session.replaced.cancel();
    }
    connected.emit_now(&greeting(state, connected));
    let rooms = session.recovered_rooms.iter().flatten();
    state.rooms.connect(
        connected.clone(),
        rooms.map(|recovered| (recovered.conversation.id, recovered.room.joined_after)),
    );
    state.chat.socket_connected(connected.user().pk);
    state.shared.services.metrics().sockets.inc();
    *phase = SessionPhase::Open;
    true
}

/// The first event.
fn greeting(state: &ChatState, connected: &ConnectedSocket) -> Packet {
    let (session, user) = (&connected.session, connected.user());
    match session.dialect {
        Dialect::Root => root::encode::auth_success(user),
        Dialect::Namespace => {
            namespace::encode::connection_success(user, state.next_greeting(), state.shared.services.now())
        }
        Dialect::Underscore => underscore::encode::connected(user),
    }
}

/// The token in `auth.token`, else in the header.
fn presented_token(request: &Parts, auth: &Map<String, Json>) -> Option<String> {
    let of_auth = auth.get("token").and_then(Json::as_str).map(str::to_owned);
    let header = || Some(request.headers.get(AUTHORIZATION)?.to_str().ok()?.to_owned());
    let is_given = |token: &String| !token.trim().is_empty();
    of_auth.filter(is_given).or_else(|| header().filter(is_given))
}

/// Whether `userId` of `auth` is the token's user, or absent. It proves nothing.
fn is_claimed(auth: &Map<String, Json>, signed_in: &SignedIn) -> bool {
    given(auth, "userId").is_none()
        || required(auth, "userId").is_ok_and(|id| id == signed_in.user.id.as_str())
}

/// Unregisters a socket when the library drops it.
struct OnChatDisconnect {
    state: Weak<ChatState>,
    session: Arc<ChatSession>,
}

impl DisconnectHandler<LocalAdapter, OnChatDisconnect> for OnChatDisconnect {
    fn call_with_defer(&self, socket: Arc<Socket>, _: DisconnectReason, defer: fn(Arc<Socket>)) {
        if let Some(state) = self.state.upgrade() {
            unregister(&state, &self.session);
        }
        self.session.closed.cancel();
        defer(socket);
    }
}

fn unregister(state: &ChatState, session: &ChatSession) {
    let mut phase = session.phase.lock();
    if *phase == SessionPhase::Open {
        state.rooms.disconnect(session.number);
        state.chat.socket_disconnected(session.signed_in.user.pk, session.is_away());
        state.shared.services.metrics().sockets.dec();
        let ended = state.chat.typing_of_closed_socket(session.number);
        emit_typing_stops(state, &session.signed_in.user, &ended);
    }
    session.lease.end();
    *phase = SessionPhase::Closed;
}

/// Waits for the end of a socket, or ends it. The library calls no handler when it closes all transports, so
/// that a draining daemon unregisters its sockets here.
async fn watch(state: Arc<ChatState>, connected: ConnectedSocket) {
    let session = &connected.session;
    let soft = state.shared.services.tasks().soft();
    // A revocation closes registered sockets; this one may have been on its way.
    if state.chat.was_revoked(&session.signed_in) {
        session.revoked.cancel();
    }
    let reason = tokio::select! {
        () = session.closed.cancelled() => return,
        () = soft.cancelled() => return unregister(&state, session),
        () = session.replaced.cancelled() => return close(&connected).await,
        () = session.cut.cancelled() => "slow_client",
        () = session.revoked.cancelled() => "revoked",
        () = expiry(&state, session) => "expired",
    };
    if reason != "slow_client" {
        let packet = match session.dialect {
            Dialect::Root => root::encode::token_ended(reason == "revoked"),
            Dialect::Namespace => namespace::encode::token_ended(reason == "revoked"),
            Dialect::Underscore => underscore::encode::token_ended(reason == "revoked"),
        };
        connected.emit_now(&packet);
        sleep(LAST_EVENT_WAIT).await;
    }
    state.shared.services.metrics().socket_cut(reason);
    tracing::info!(reason, "chat socket cut");
    close(&connected).await;
}

async fn expiry(state: &ChatState, session: &ChatSession) {
    loop {
        let left = session.signed_in.expires_at.since(state.shared.services.now());
        let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else { return };
        sleep(Duration::from_millis(left).min(LONGEST_SLEEP)).await;
    }
}

/// Closes the transport, so that the client reconnects. The library cannot do this for one socket; a client
/// whose transport is not the connection of its handshake is disconnected from the namespace.
async fn close(connected: &ConnectedSocket) {
    if let Some(connection) = connected.socket.req_parts().extensions.get::<ConnectionHandle>() {
        connection.close().cancel();
    }
    if tokio::time::timeout(CLOSE_WAIT, connected.session.closed.cancelled()).await.is_err() {
        // A full buffer has no room for the packet; the heartbeat ends such a client.
        let _ = SocketRef::from(connected.socket.clone()).disconnect();
    }
}
