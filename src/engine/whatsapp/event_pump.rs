//! Passes the library's events, in order, to the session.
//!
//! [`EventListener`] runs inside the library's dispatch and must not block: it puts events into a bounded queue. The
//! session's task takes them from [`EventQueue`], one at a time. The connection is not read while an event is being
//! ingested, so a slow daemon slows the network. If the queue is full nevertheless, the connection ends; what was not
//! acknowledged arrives again with the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use whatsapp_rust::types::events::{
    ChatPresenceUpdate, Event, EventHandler, PresenceUpdate, ServerAck, UnavailableType,
};
use whatsapp_rust::types::presence::{ChatPresence, ChatPresenceMedia};

use super::acks::{AckAnswer, Acks};
use super::connection_context::ConnectionContext;
use super::convert::receipt_in;
use super::{app_state, calls, groups, history, inbound, people};
use crate::domain::clock::Millis;
use crate::domain::event::TypingKind;
use crate::engine::{EngineEvent, InboundError};

/// Events that may be queued.
const QUEUE: usize = 4_096;
/// Interval at which a waiting task checks the progress.
const LOOK: Duration = Duration::from_millis(2);

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
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Receives what the library dispatches.
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

/// Ingests an event. The session handles events about the link itself.
///
/// # Errors
/// If the event could not be ingested.
pub(super) async fn dispatch(context: &ConnectionContext, event: &Event) -> Result<(), InboundError> {
    match event {
        Event::Receipt(update) => {
            inbound::resolve_source(context, &update.source).await?;
            for event in receipt_in::from_receipt(update, &context.identities) {
                context.deliver(event).await?;
            }
            Ok(())
        }
        Event::ServerAck(ack) => {
            match receipt_in::from_late_ack(ack, &context.identities, context.clock.now()) {
                Some(event) => context.deliver(event).await,
                None => Ok(()),
            }
        }
        // The durability hook ingested the other batches.
        Event::Messages(batch) if !batch.hook_committed => {
            for message in batch {
                inbound::ingest(context, message).await?;
            }
            Ok(())
        }
        Event::UndecryptableMessage(update)
            if matches!(update.unavailable_type, UnavailableType::ViewOnce) =>
        {
            inbound::ingest_view_once(context, &update.info).await
        }
        Event::UndecryptableMessage(update) => {
            // The library requests it again from the sender; it then arrives like any message.
            let unavailable = update.is_unavailable;
            tracing::warn!(device = %context.device, unavailable, "message not decrypted; requested again from the sender");
            Ok(())
        }
        Event::ChatPresence(update) => typing(context, update).await,
        Event::Presence(update) => presence(context, update).await,
        other => {
            app_state::on_event(context, other);
            groups::on_event(context, other).await?;
            people::on_event(context, other).await?;
            history::on_event(context, other).await?;
            calls::on_event(context, other).await
        }
    }
}

async fn typing(context: &ConnectionContext, update: &ChatPresenceUpdate) -> Result<(), InboundError> {
    inbound::resolve_source(context, &update.source).await?;
    let ids = &context.identities;
    let (Some(chat), Some(from)) = (ids.jid(&update.source.chat), ids.jid(&update.source.sender)) else {
        return Ok(());
    };
    let kind = match update.media {
        ChatPresenceMedia::Text => TypingKind::Text,
        ChatPresenceMedia::Audio => TypingKind::Audio,
    };
    let on = update.state == ChatPresence::Composing;
    context.deliver(EngineEvent::Typing { chat, from, kind, on }).await
}

async fn presence(context: &ConnectionContext, update: &PresenceUpdate) -> Result<(), InboundError> {
    inbound::resolve(context, &update.from).await?;
    let Some(contact) = context.identities.jid(&update.from) else { return Ok(()) };
    let last_seen = update.last_seen.map(|at| Millis(at.timestamp_millis()));
    context.deliver(EngineEvent::Presence { contact, online: !update.unavailable, last_seen }).await
}
