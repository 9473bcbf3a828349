//! The library's events, in order, as ours.
//!
//! [`Listener`] stands in the library's way of dispatching and must not wait: it puts events into a bounded queue.
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

use super::acks::{Acks, Answer};
use super::connection_context::Connected;
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
pub(super) struct Flow {
    heard: AtomicU64,
    taken: AtomicU64,
}

impl Flow {
    /// Waits until all is taken in that was heard so far.
    pub(super) async fn settled(&self) {
        let so_far = self.heard.load(Ordering::SeqCst);
        while self.taken.load(Ordering::SeqCst) < so_far {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Hears what the library dispatches.
pub(super) struct Listener {
    events: mpsc::Sender<Arc<Event>>,
    flow: Arc<Flow>,
    acks: Arc<Acks>,
    overflow: CancellationToken,
}

/// What was heard.
pub(super) struct Heard {
    events: mpsc::Receiver<Arc<Event>>,
    flow: Arc<Flow>,
    /// Given away so far.
    given: u64,
    overflow: CancellationToken,
}

/// A listener, and where it puts what it hears.
pub(super) fn listen(acks: Arc<Acks>) -> (Listener, Heard) {
    let (sender, events) = mpsc::channel(QUEUE);
    let overflow = CancellationToken::new();
    let flow = Arc::new(Flow::default());
    let listener = Listener { events: sender, flow: Arc::clone(&flow), acks, overflow: overflow.clone() };
    (listener, Heard { events, flow, given: 0, overflow })
}

impl Heard {
    /// The next event, once the one before is taken in. Dropping the future loses none.
    pub(super) async fn next(&mut self) -> Option<Arc<Event>> {
        self.flow.taken.store(self.given, Ordering::SeqCst);
        let event = self.events.recv().await;
        self.given += u64::from(event.is_some());
        event
    }

    /// The next event, where one waits already.
    pub(super) fn waiting(&mut self) -> Option<Arc<Event>> {
        self.flow.taken.store(self.given, Ordering::SeqCst);
        let event = self.events.try_recv().ok();
        self.given += u64::from(event.is_some());
        event
    }

    /// How much was heard, and taken in.
    pub(super) fn flow(&self) -> Arc<Flow> {
        Arc::clone(&self.flow)
    }

    /// Waits until more came than may wait.
    pub(super) fn overflow(&self) -> CancellationToken {
        self.overflow.clone()
    }
}

impl EventHandler for Listener {
    fn handle_event(&self, event: Arc<Event>) {
        // Whoever sent the message waits for its answer, and not behind the news.
        if let Event::ServerAck(ack) = &*event
            && (ack.class.as_deref().is_some_and(|class| class != "message") || self.answered(ack))
        {
            return;
        }
        // Before it is there: nobody may find it taken in and not heard.
        self.flow.heard.fetch_add(1, Ordering::SeqCst);
        if self.events.try_send(event).is_err() {
            self.overflow.cancel();
        }
    }
}

impl Listener {
    fn answered(&self, ack: &ServerAck) -> bool {
        let answer = ack.error.clone().map_or(Answer::Accepted, Answer::Refused);
        self.acks.answered(&ack.id, answer)
    }
}

/// Tells the daemon of an event. What is about the link itself is the session's.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn tell(connected: &Connected, event: &Event) -> Result<(), InboundError> {
    match event {
        Event::Receipt(told) => {
            inbound::learn_source(connected, &told.source).await?;
            for event in receipt_in::events(told, &connected.identities) {
                connected.tell(event).await?;
            }
            Ok(())
        }
        Event::ServerAck(ack) => {
            match receipt_in::late_answer(ack, &connected.identities, connected.clock.now()) {
                Some(event) => connected.tell(event).await,
                None => Ok(()),
            }
        }
        // What the hook has taken in is told already; the rest does not pass through it.
        Event::Messages(batch) if !batch.hook_committed => {
            for message in batch {
                inbound::take_in(connected, message).await?;
            }
            Ok(())
        }
        Event::UndecryptableMessage(told) if matches!(told.unavailable_type, UnavailableType::ViewOnce) => {
            inbound::withheld(connected, &told.info).await
        }
        Event::UndecryptableMessage(told) => {
            // The library asks the sender to send it again; it then comes as any other.
            let unavailable = told.is_unavailable;
            tracing::warn!(device = %connected.device, unavailable, "a message could not be decrypted; the sender is asked again");
            Ok(())
        }
        Event::ChatPresence(told) => typing(connected, told).await,
        Event::Presence(told) => presence(connected, told).await,
        other => {
            app_state::heard(connected, other);
            groups::heard(connected, other).await?;
            people::heard(connected, other).await?;
            history::heard(connected, other).await?;
            calls::heard(connected, other).await
        }
    }
}

async fn typing(connected: &Connected, told: &ChatPresenceUpdate) -> Result<(), InboundError> {
    inbound::learn_source(connected, &told.source).await?;
    let ids = &connected.identities;
    let (Some(chat), Some(from)) = (ids.jid(&told.source.chat), ids.jid(&told.source.sender)) else {
        return Ok(());
    };
    let kind = match told.media {
        ChatPresenceMedia::Text => TypingKind::Text,
        ChatPresenceMedia::Audio => TypingKind::Audio,
    };
    let on = told.state == ChatPresence::Composing;
    connected.tell(EngineEvent::Typing { chat, from, kind, on }).await
}

async fn presence(connected: &Connected, told: &PresenceUpdate) -> Result<(), InboundError> {
    inbound::learn(connected, &told.from).await?;
    let Some(contact) = connected.identities.jid(&told.from) else { return Ok(()) };
    let last_seen = told.last_seen.map(|at| Millis(at.timestamp_millis()));
    connected.tell(EngineEvent::Presence { contact, online: !told.unavailable, last_seen }).await
}
