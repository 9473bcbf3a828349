//! The requests of a client, served in their order.
//!
//! The library runs each event in a task of its own, without order and without a limit. So one inline handler
//! queues every event of a socket, and one worker serves the queue while it is not empty. The queue is bounded in
//! number and bytes; further events are answered `overloaded`, and a client that ignores thousands of such answers
//! is cut.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value as Json;
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{MessageHandler, Value};
use socketioxide::socket::Socket;

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
    waiting: Arc<Mutex<QueuedRequests>>,
}

/// The events that are not answered yet. An idle socket has none, and no buffer for them.
#[derive(Default)]
struct QueuedRequests {
    requests: VecDeque<Incoming>,
    refusals: VecDeque<Refused>,
    /// The bytes of the requests, including the one that is being served.
    bytes: usize,
    /// A worker serves the queue.
    has_worker: bool,
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

/// The next event to answer; refusals come first.
enum Next {
    Serve(Incoming),
    Refuse(Refused),
}

impl QueuedRequests {
    /// Adds a request within the limits of bytes and number; otherwise returns it. A single request always fits.
    fn add(&mut self, incoming: Incoming, max_bytes: usize, max_number: usize) -> Result<(), Incoming> {
        let fits = self.bytes == 0 || self.bytes.saturating_add(incoming.size) <= max_bytes;
        if !fits || self.requests.len() >= max_number {
            return Err(incoming);
        }
        self.bytes += incoming.size;
        self.requests.push_back(incoming);
        Ok(())
    }

    fn take_next(&mut self) -> Option<Next> {
        if let Some(refused) = self.refusals.pop_front() {
            return Some(Next::Refuse(refused));
        }
        if let Some(incoming) = self.requests.pop_front() {
            return Some(Next::Serve(incoming));
        }
        *self = Self::default();
        None
    }
}

impl RequestQueue {
    pub(super) fn new(shared: &Arc<Shared>, session: Arc<Session>) -> Self {
        Self { shared: shared.clone(), session, waiting: Arc::default() }
    }

    fn refuse(&self, waiting: &mut QueuedRequests, incoming: Incoming) {
        if waiting.refusals.len() >= MAX_REFUSALS {
            return self.session.flood();
        }
        let Incoming { payload, reply, .. } = incoming;
        let event = if reply.ack.is_none() { payload::event_name(&payload) } else { None };
        waiting.refusals.push_back(Refused { event, reply });
    }

    fn start_worker(&self) {
        let (shared, session) = (self.shared.clone(), self.session.clone());
        let worker = Worker { shared, session, waiting: self.waiting.clone() };
        self.shared.services.tasks().spawn("socket-requests", worker.run());
    }
}

impl MessageHandler<LocalAdapter, RequestQueue> for RequestQueue {
    fn call(&self, socket: Arc<Socket>, payload: Value, ack: Option<i64>) {
        let size = payload::size(&payload);
        let incoming = Incoming { payload, size, reply: Reply { socket, ack } };
        let limits = &self.shared.socket;
        let mut waiting = self.waiting.lock();
        let added = waiting.add(incoming, limits.max_payload_bytes, limits.inbound_queue.max(1));
        if let Err(incoming) = added {
            self.refuse(&mut waiting, incoming);
        }
        let needs_worker = !std::mem::replace(&mut waiting.has_worker, true);
        drop(waiting);
        if needs_worker {
            self.start_worker();
        }
    }
}

/// Serves the queue until it is empty, or the daemon drains.
struct Worker {
    shared: Arc<Shared>,
    session: Arc<Session>,
    waiting: Arc<Mutex<QueuedRequests>>,
}

impl Worker {
    async fn run(self) {
        let soft = self.shared.services.tasks().soft().clone();
        loop {
            let next = self.waiting.lock().take_next();
            let Some(next) = next else { return };
            tokio::select! {
                biased;
                () = soft.cancelled() => return,
                () = self.handle(next) => {}
            }
        }
    }

    async fn handle(&self, next: Next) {
        match next {
            Next::Refuse(refused) => self.refuse(refused).await,
            Next::Serve(incoming) => {
                self.serve(&incoming).await;
                let mut waiting = self.waiting.lock();
                waiting.bytes = waiting.bytes.saturating_sub(incoming.size);
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
