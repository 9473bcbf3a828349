//! What a client asks for, in the order it asked.
//!
//! The library runs each event in a task of its own: without order, and as many as a client sends. So one
//! inline handler takes every event of a socket into a queue, and one worker serves the queue. The queue
//! is bounded in number and bytes; what does not fit is answered `overloaded`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{MessageHandler, Value};
use socketioxide::socket::Socket;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::Shared;
use super::calls;
use super::payload;
use super::problem::Problem;
use super::reply::{Reply, Request};
use super::session::Session;

/// The handler of all of a socket's events.
pub(super) struct Inbox {
    shared: Arc<Shared>,
    session: Arc<Session>,
    queue: mpsc::Sender<Incoming>,
    /// Bytes that wait in the queue.
    waiting: Arc<AtomicUsize>,
}

/// One event of a client.
struct Incoming {
    payload: Value,
    size: usize,
    reply: Reply,
}

impl Inbox {
    /// A queue and its worker. The worker ends when the socket is dropped, or the daemon drains.
    pub(super) fn start(shared: &Arc<Shared>, session: Arc<Session>) -> Self {
        let (queue, incoming) = mpsc::channel(shared.socket.inbound_queue.max(1));
        let waiting = Arc::new(AtomicUsize::new(0));
        let worker = Worker { shared: shared.clone(), session: session.clone(), waiting: waiting.clone() };
        shared.core.tasks().spawn("socket-requests", worker.run(incoming));
        Self { shared: shared.clone(), session, queue, waiting }
    }

    /// Counts bytes in, unless that is too many. One event alone always fits.
    fn reserve(&self, size: usize) -> bool {
        let limit = self.shared.socket.max_payload_bytes;
        let before = self.waiting.fetch_add(size, Ordering::Relaxed);
        let fits = before == 0 || before.saturating_add(size) <= limit;
        if !fits {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
        }
        fits
    }

    fn refuse(&self, payload: &Value, reply: &Reply) {
        let event = payload::event_name(payload).unwrap_or_default();
        let request = Request { device: &self.session.device, event: &event, at: self.shared.core.now() };
        reply.send_now(Problem::overloaded(), &request);
    }
}

impl MessageHandler<LocalAdapter, Inbox> for Inbox {
    fn call(&self, socket: Arc<Socket>, payload: Value, ack: Option<i64>) {
        let size = payload::size(&payload);
        let reply = Reply { socket, ack };
        if !self.reserve(size) {
            return self.refuse(&payload, &reply);
        }
        let Err(error) = self.queue.try_send(Incoming { payload, size, reply }) else { return };
        let (TrySendError::Full(incoming) | TrySendError::Closed(incoming)) = error;
        self.waiting.fetch_sub(size, Ordering::Relaxed);
        self.refuse(&incoming.payload, &incoming.reply);
    }
}

struct Worker {
    shared: Arc<Shared>,
    session: Arc<Session>,
    waiting: Arc<AtomicUsize>,
}

impl Worker {
    async fn run(self, mut queue: mpsc::Receiver<Incoming>) {
        let soft = self.shared.core.tasks().soft().clone();
        while let Some(Some(incoming)) = soft.run_until_cancelled(queue.recv()).await {
            self.serve(&incoming).await;
            self.waiting.fetch_sub(incoming.size, Ordering::Relaxed);
        }
    }

    async fn serve(&self, incoming: &Incoming) {
        let (event, body) = payload::read(&incoming.payload);
        let answer = match body {
            Ok(body) => Box::pin(calls::serve(&self.shared, &self.session, &event, body)).await,
            Err(problem) => Err(problem),
        };
        let request = Request { device: &self.session.device, event: &event, at: self.shared.core.now() };
        incoming.reply.send(answer, &request, self.shared.socket.stall_timeout).await;
    }
}
