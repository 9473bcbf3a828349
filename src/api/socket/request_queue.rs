//! The requests of a client, served in their order.
//!
//! The library runs each event in a task of its own, without order and without a limit. So one inline handler
//! queues every event of a socket, and one worker serves the queue. The queue is bounded in number and bytes;
//! further events are answered `overloaded`, and a client that ignores thousands of such answers is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value as Json;
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{MessageHandler, Value};
use socketioxide::socket::Socket;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::Shared;
use super::client_events;
use super::payload;
use super::reply::{Reply, Request};
use super::request_error::RequestError;
use super::session::Session;

/// Refusals that may wait for their answer.
const MAX_REFUSALS: usize = 8_192;

/// The handler of all of a socket's events.
pub(super) struct RequestQueue {
    shared: Arc<Shared>,
    session: Arc<Session>,
    queue: mpsc::Sender<Incoming>,
    refusals: mpsc::Sender<Refused>,
    /// Queued bytes.
    waiting: Arc<AtomicUsize>,
}

/// One event of a client.
struct Incoming {
    payload: Value,
    size: usize,
    reply: Reply,
}

/// An event beyond the limits.
struct Refused {
    /// Its name, if the answer has it.
    event: Option<String>,
    reply: Reply,
}

impl RequestQueue {
    /// A queue and its worker. The worker ends when the socket is dropped, or the daemon drains.
    pub(super) fn start(shared: &Arc<Shared>, session: Arc<Session>) -> Self {
        let (queue, incoming) = mpsc::channel(shared.socket.inbound_queue.max(1));
        let (refusals, refused) = mpsc::channel(MAX_REFUSALS);
        let waiting = Arc::new(AtomicUsize::new(0));
        let worker = Worker { shared: shared.clone(), session: session.clone(), waiting: waiting.clone() };
        shared.services.tasks().spawn("socket-requests", worker.run(incoming, refused));
        Self { shared: shared.clone(), session, queue, refusals, waiting }
    }

    /// Reserves bytes within the limit. A single event always fits.
    fn reserve(&self, size: usize) -> bool {
        let limit = self.shared.socket.max_payload_bytes;
        let before = self.waiting.fetch_add(size, Ordering::Relaxed);
        let fits = before == 0 || before.saturating_add(size) <= limit;
        if !fits {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
        }
        fits
    }

    fn refuse(&self, payload: &Value, reply: Reply) {
        let event = if reply.ack.is_none() { payload::event_name(payload) } else { None };
        if let Err(TrySendError::Full(_)) = self.refusals.try_send(Refused { event, reply }) {
            self.session.flood();
        }
    }
}

impl MessageHandler<LocalAdapter, RequestQueue> for RequestQueue {
    fn call(&self, socket: Arc<Socket>, payload: Value, ack: Option<i64>) {
        let size = payload::size(&payload);
        let reply = Reply { socket, ack };
        if !self.reserve(size) {
            return self.refuse(&payload, reply);
        }
        let Err(error) = self.queue.try_send(Incoming { payload, size, reply }) else { return };
        let (TrySendError::Full(incoming) | TrySendError::Closed(incoming)) = error;
        self.waiting.fetch_sub(size, Ordering::Relaxed);
        self.refuse(&incoming.payload, incoming.reply);
    }
}

struct Worker {
    shared: Arc<Shared>,
    session: Arc<Session>,
    waiting: Arc<AtomicUsize>,
}

impl Worker {
    async fn run(self, mut queue: mpsc::Receiver<Incoming>, mut refusals: mpsc::Receiver<Refused>) {
        let soft = self.shared.services.tasks().soft().clone();
        loop {
            tokio::select! {
                biased;
                () = soft.cancelled() => break,
                Some(refused) = refusals.recv() => self.refuse(refused).await,
                Some(incoming) = queue.recv() => {
                    self.serve(&incoming).await;
                    self.waiting.fetch_sub(incoming.size, Ordering::Relaxed);
                }
                else => break,
            }
        }
    }

    async fn serve(&self, incoming: &Incoming) {
        let (event, body) = payload::read(&incoming.payload);
        let answer = match body {
            Err(problem) if event.is_empty() => Err(problem),
            _ if !client_events::is_client_event(&event) => Err(RequestError::unknown_event(&event)),
            Ok(body) => Box::pin(client_events::serve(&self.shared, &self.session, &event, body)).await,
            Err(problem) => Err(problem),
        };
        self.answer(&incoming.reply, answer, &event).await;
    }

    async fn refuse(&self, Refused { event, reply }: Refused) {
        self.answer(&reply, Err(RequestError::overloaded()), &event.unwrap_or_default()).await;
    }

    async fn answer(&self, reply: &Reply, answer: Result<Json, RequestError>, event: &str) {
        let request = Request { device: Some(&self.session.device), event, at: self.shared.services.now() };
        reply.send(answer, &request, self.shared.socket.stall_timeout).await;
    }
}
