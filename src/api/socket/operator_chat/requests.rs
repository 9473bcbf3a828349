//! The requests of a chat socket, served in their order by one worker behind a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value as Json;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::{FromMessageParts as _, MessageHandler, Value};
use socketioxide::socket::Socket;
use tokio::sync::mpsc;

use super::packet::Packet;
use super::request_error::ChatRequestError;
use super::rooms::ConnectedSocket;
use super::session::ChatSession;
use super::{ChatState, namespace, recovery, root, underscore};
use crate::api::socket::payload;
use crate::domain::operator_chat::dialect::Dialect;

/// Refusals after which a client that sends too fast is cut.
const MAX_REFUSALS: usize = 8_192;

/// One event of a client.
pub(super) struct Incoming {
    payload: Value,
    ack: Option<i64>,
}

/// The handler of all of a socket's events.
pub(super) struct RequestHandler {
    queue: mpsc::Sender<Incoming>,
    session: Arc<ChatSession>,
    refused: AtomicUsize,
}

impl RequestHandler {
    pub(super) fn new(queue: mpsc::Sender<Incoming>, session: Arc<ChatSession>) -> Self {
        Self { queue, session, refused: AtomicUsize::new(0) }
    }
}

impl MessageHandler<LocalAdapter, RequestHandler> for RequestHandler {
    fn call(&self, socket: Arc<Socket>, payload: Value, ack: Option<i64>) {
        if self.queue.try_send(Incoming { payload, ack }).is_ok() {
            self.refused.store(0, Ordering::Relaxed);
            return;
        }
        if self.refused.fetch_add(1, Ordering::Relaxed) >= MAX_REFUSALS {
            self.session.cut.cancel();
        }
        let connected = ConnectedSocket { socket, session: self.session.clone() };
        refuse(&connected, "", &ChatRequestError::overloaded(), ack);
    }
}

/// Starts the worker of a registered socket. It ends with the socket.
pub(super) fn start_worker(state: &Arc<ChatState>, connected: &ConnectedSocket) {
    let Some(queue) = connected.session.requests.lock().take() else { return };
    let worker = work(state.clone(), connected.clone(), queue);
    state.shared.services.tasks().spawn("chat-requests", worker);
}

async fn work(state: Arc<ChatState>, connected: ConnectedSocket, mut queue: mpsc::Receiver<Incoming>) {
    let soft = state.shared.services.tasks().soft().clone();
    let closed = connected.session.closed.clone();
    Box::pin(recovery::inherit_rooms(&state, &connected)).await;
    loop {
        tokio::select! {
            biased;
            () = soft.cancelled() => break,
            () = closed.cancelled() => break,
            incoming = queue.recv() => {
                let Some(Incoming { payload, ack }) = incoming else { break };
                Box::pin(serve(&state, &connected, &payload, ack)).await;
            }
        }
    }
}

async fn serve(state: &Arc<ChatState>, connected: &ConnectedSocket, payload: &Value, ack: Option<i64>) {
    let (event, arguments) = payload::arguments(payload);
    let answered = match arguments {
        Ok(arguments) => match connected.session.dialect {
            Dialect::Root => root::serve(state, connected, &event, arguments).await,
            Dialect::Namespace => namespace::serve(state, connected, &event, arguments).await,
            Dialect::Underscore => underscore::serve(state, connected, &event, arguments).await,
        },
        Err(problem) => Err(ChatRequestError::new(problem.code, problem.error)),
    };
    match (answered, ack) {
        (Ok(body), Some(_)) => answer(&connected.socket, ack, &body),
        (Ok(_), None) => {}
        (Err(error), _) => refuse(connected, &event, &error, ack),
    }
}

/// Answers a failed request, as its dialect does.
fn refuse(connected: &ConnectedSocket, event: &str, error: &ChatRequestError, ack: Option<i64>) {
    match connected.session.dialect {
        Dialect::Root => refuse_root(connected, event, error, ack),
        Dialect::Namespace => refuse_with(connected, &namespace::encode::failure(error, event), ack),
        Dialect::Underscore => refuse_with(connected, &underscore::encode::failure(error, event), ack),
    }
}

/// Emits the failure; a callback gets the same payload.
fn refuse_with(connected: &ConnectedSocket, (packet, body): &(Packet, Json), ack: Option<i64>) {
    connected.emit_now(packet);
    if ack.is_some() {
        answer(&connected.socket, ack, body);
    }
}

/// Answers the callback, or emits `error`. A callback that expects an array gets one, with the `error` event.
fn refuse_root(connected: &ConnectedSocket, event: &str, error: &ChatRequestError, ack: Option<i64>) {
    let expects_array = root::answers_array(event);
    if ack.is_some() {
        let body = if expects_array { Json::Array(Vec::new()) } else { error.as_answer() };
        answer(&connected.socket, ack, &body);
    }
    if ack.is_none() || expects_array {
        connected.emit_now(&root::encode::error(error, event, error.temp_id.as_ref()));
    }
}

fn answer(socket: &Arc<Socket>, ack: Option<i64>, body: &Json) {
    let mut unused = Value::Bytes(Default::default());
    let Ok(sender) = AckSender::from_message_parts(socket, &mut unused, &ack);
    // A client without room in its buffer is cut by its next event.
    let _ = sender.send(body);
}
