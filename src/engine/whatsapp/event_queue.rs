//! Queues the library's events, in order, for the session.
//!
//! [`EventListener`] runs inside the library's dispatch and must not block: it puts events into a bounded
//! queue. The session's task takes them from [`EventQueue`], one at a time. The connection is not read while
//! an event is being ingested, so a slow daemon slows the network. If the queue is full nevertheless, the
//! connection ends; unacknowledged messages arrive again with the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use whatsapp_rust::types::events::{Event, EventHandler, ServerAck};

use super::acks::{AckAnswer, Acks};

/// Events that may be queued.
const QUEUE: usize = 4_096;
/// Interval at which a waiting task checks the progress.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Counts events that were received and ingested.
#[derive(Default)]
pub(super) struct InboundProgress {
    received: AtomicU64,
    ingested: AtomicU64,
}

impl InboundProgress {
    /// Waits until all events received so far are ingested.
    pub(super) async fn wait_until_ingested(&self) {
        let so_far = self.received.load(Ordering::SeqCst);
        while self.ingested.load(Ordering::SeqCst) < so_far {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Receives the events that the library dispatches.
pub(super) struct EventListener {
    events: mpsc::Sender<Arc<Event>>,
    progress: Arc<InboundProgress>,
    acks: Arc<Acks>,
    overflow: CancellationToken,
}

/// Received events, in order.
pub(super) struct EventQueue {
    events: mpsc::Receiver<Arc<Event>>,
    progress: Arc<InboundProgress>,
    /// Events returned so far.
    returned: u64,
    overflow: CancellationToken,
}

/// A listener and the queue that it fills.
pub(super) fn event_channel(acks: Arc<Acks>) -> (EventListener, EventQueue) {
    let (sender, events) = mpsc::channel(QUEUE);
    let overflow = CancellationToken::new();
    let progress = Arc::new(InboundProgress::default());
    let listener =
        EventListener { events: sender, progress: Arc::clone(&progress), acks, overflow: overflow.clone() };
    (listener, EventQueue { events, progress, returned: 0, overflow })
}

impl EventQueue {
    /// The next event; the previous one counts as ingested. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Arc<Event>> {
        self.progress.ingested.store(self.returned, Ordering::SeqCst);
        let event = self.events.recv().await;
        self.returned += u64::from(event.is_some());
        event
    }

    /// The next event, if one is queued.
    pub(super) fn try_next(&mut self) -> Option<Arc<Event>> {
        self.progress.ingested.store(self.returned, Ordering::SeqCst);
        let event = self.events.try_recv().ok();
        self.returned += u64::from(event.is_some());
        event
    }

    /// The counters of received and ingested events.
    pub(super) fn progress(&self) -> Arc<InboundProgress> {
        Arc::clone(&self.progress)
    }

    /// Cancelled when the queue overflowed.
    pub(super) fn overflow(&self) -> CancellationToken {
        self.overflow.clone()
    }
}

impl EventHandler for EventListener {
    fn handle_event(&self, event: Arc<Event>) {
        // The sender waits for this answer; it must not queue behind other events.
        if let Event::ServerAck(ack) = &*event
            && (ack.class.as_deref().is_some_and(|class| class != "message") || self.resolve(ack))
        {
            return;
        }
        // Counted before it is queued, so that it never counts as ingested first.
        self.progress.received.fetch_add(1, Ordering::SeqCst);
        if self.events.try_send(event).is_err() {
            self.overflow.cancel();
        }
    }
}

impl EventListener {
    fn resolve(&self, ack: &ServerAck) -> bool {
        let answer = ack.error.clone().map_or(AckAnswer::Accepted, AckAnswer::Refused);
        self.acks.resolve(&ack.id, answer)
    }
}
