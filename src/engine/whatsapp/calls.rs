//! Calls, as they come in and end.

use whatsapp_rust::types::events::Event;

use super::connected::Connected;
use crate::engine::InboundError;

/// Tells of an event about calls; others are none of its business.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn heard(_connected: &Connected, _event: &Event) -> Result<(), InboundError> {
    Ok(())
}
