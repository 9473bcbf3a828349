//! The library's events, in order, as ours.
//!
//! [`EventListener`] stands in the library's way of dispatching and must not wait: it puts events into a bounded queue.
//! [`Pump`] empties it, one event at a time, in the task of the session. While an event is being taken in, the
//! connection is not read, so a daemon that is slow makes the network wait. Should the queue be full all the same,
//! the connection ends: what was not acknowledged comes again with the next one.

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

/// Events that may wait.
const QUEUE: usize = 4_096;
/// How often who waits for it looks whether all is taken in.
const LOOK: Duration = Duration::from_millis(2);

/// How much was heard, and how much of it was taken in.
#[derive(Default)]
pub(super) struct InboundProgress {
    received: AtomicU64,
    ingested: AtomicU64,
}

impl InboundProgress {
    /// Waits until all is taken in that was heard so far.
    pub(super) async fn wait_until_ingested(&self) {
        let so_far = self.received.load(Ordering::SeqCst);
        while self.ingested.load(Ordering::SeqCst) < so_far {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Hears what the library dispatches.
pub(super) struct EventListener {
    events: mpsc::Sender<Arc<Event>>,
    progress: Arc<InboundProgress>,
    acks: Arc<Acks>,
    overflow: CancellationToken,
}

/// What was heard.
pub(super) struct EventQueue {
    events: mpsc::Receiver<Arc<Event>>,
    progress: Arc<InboundProgress>,
    /// Given away so far.
    returned: u64,
    overflow: CancellationToken,
}

/// A listener, and where it puts what it hears.
pub(super) fn event_channel(acks: Arc<Acks>) -> (EventListener, EventQueue) {
    let (sender, events) = mpsc::channel(QUEUE);
    let overflow = CancellationToken::new();
    let progress = Arc::new(InboundProgress::default());
    let listener =
        EventListener { events: sender, progress: Arc::clone(&progress), acks, overflow: overflow.clone() };
    (listener, EventQueue { events, progress, returned: 0, overflow })
}

impl EventQueue {
    /// The next event, once the one before is taken in. Dropping the future loses none.
    pub(super) async fn next(&mut self) -> Option<Arc<Event>> {
        self.progress.ingested.store(self.returned, Ordering::SeqCst);
        let event = self.events.recv().await;
        self.returned += u64::from(event.is_some());
        event
    }

    /// The next event, where one waits already.
    pub(super) fn try_next(&mut self) -> Option<Arc<Event>> {
        self.progress.ingested.store(self.returned, Ordering::SeqCst);
        let event = self.events.try_recv().ok();
        self.returned += u64::from(event.is_some());
        event
    }

    /// How much was heard, and taken in.
    pub(super) fn progress(&self) -> Arc<InboundProgress> {
        Arc::clone(&self.progress)
    }

    /// Waits until more came than may wait.
    pub(super) fn overflow(&self) -> CancellationToken {
        self.overflow.clone()
    }
}

impl EventHandler for EventListener {
    fn handle_event(&self, event: Arc<Event>) {
        // Whoever sent the message waits for its answer, and not behind the news.
        if let Event::ServerAck(ack) = &*event
            && (ack.class.as_deref().is_some_and(|class| class != "message") || self.resolve(ack))
        {
            return;
        }
        // Before it is there: nobody may find it taken in and not heard.
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

/// Tells the daemon of an event. What is about the link itself is the session's.
///
/// # Errors
/// When the daemon did not take it.
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
        // What the hook has taken in is told already; the rest does not pass through it.
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
            // The library asks the sender to send it again; it then comes as any other.
            let unavailable = update.is_unavailable;
            tracing::warn!(device = %context.device, unavailable, "a message could not be decrypted; the sender is asked again");
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
