//! Ingests the library's events: each is passed to the file that converts it. An event is durable when
//! [`dispatch`] returns.

use whatsapp_rust::types::events::{ChatPresenceUpdate, Event, PresenceUpdate, UnavailableType};
use whatsapp_rust::types::presence::{ChatPresence, ChatPresenceMedia};

use super::connection_context::ConnectionContext;
use super::convert::receipt_in;
use super::{app_state, calls, groups, history, inbound, people};
use crate::domain::clock::Millis;
use crate::domain::event::TypingKind;
use crate::engine::{EngineEvent, InboundError};

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
