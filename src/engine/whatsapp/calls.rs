//! Ingests incoming calls and their end.

use whatsapp_rust::types::events::Event;

use super::connection_context::ConnectionContext;
use super::convert::call_in;
use super::inbound;
use crate::engine::InboundError;

/// Delivers a call event; ignores other events.
///
/// # Errors
/// If the event could not be ingested.
pub(super) async fn on_event(context: &ConnectionContext, event: &Event) -> Result<(), InboundError> {
    let ids = &context.identities;
    let event = match event {
        Event::IncomingCall(call) => {
            inbound::resolve(context, &call.from).await?;
            call_in::from_signal(call, ids)
        }
        Event::MissedCall(call) => {
            inbound::resolve(context, &call.from).await?;
            call_in::from_missed_call(call, ids)
        }
        Event::CallEndedElsewhere(call) => {
            inbound::resolve(context, &call.from).await?;
            call_in::ended_elsewhere(call, ids)
        }
        _ => None,
    };
    match event {
        Some(event) => context.deliver(event).await,
        None => Ok(()),
    }
}
