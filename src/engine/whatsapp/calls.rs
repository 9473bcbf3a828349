//! Calls, as they come in and end.

use whatsapp_rust::types::events::Event;

use super::connection_context::Connected;
use super::convert::call_in;
use super::inbound;
use crate::engine::InboundError;

/// Tells of an event about calls; others are none of its business.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn heard(connected: &Connected, event: &Event) -> Result<(), InboundError> {
    let ids = &connected.identities;
    let told = match event {
        Event::IncomingCall(told) => {
            inbound::learn(connected, &told.from).await?;
            call_in::signalled(told, ids)
        }
        Event::MissedCall(told) => {
            inbound::learn(connected, &told.from).await?;
            call_in::missed(told, ids)
        }
        Event::CallEndedElsewhere(told) => {
            inbound::learn(connected, &told.from).await?;
            call_in::elsewhere(told, ids)
        }
        _ => None,
    };
    match told {
        Some(event) => connected.tell(event).await,
        None => Ok(()),
    }
}
