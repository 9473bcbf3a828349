//! Calls, as they come in and end.

use whatsapp_rust::types::events::Event;

use super::connected::Connected;
use super::convert::call;
use super::durable;
use crate::engine::InboundError;

/// Tells of an event about calls; others are none of its business.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn heard(connected: &Connected, event: &Event) -> Result<(), InboundError> {
    let ids = &connected.identities;
    let told = match event {
        Event::IncomingCall(told) => {
            durable::learn(connected, &told.from).await?;
            call::signalled(told, ids)
        }
        Event::MissedCall(told) => {
            durable::learn(connected, &told.from).await?;
            call::missed(told, ids)
        }
        Event::CallEndedElsewhere(told) => {
            durable::learn(connected, &told.from).await?;
            call::elsewhere(told, ids)
        }
        _ => None,
    };
    match told {
        Some(event) => connected.tell(event).await,
        None => Ok(()),
    }
}
