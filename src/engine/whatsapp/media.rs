//! Files, up and down.

use whatsapp_rust::waproto::whatsapp as wa;

use super::connected::Connected;
use crate::engine::{InboundError, Incoming, Outgoing, SendError, SendOutcome};

/// Fetches the file of a message into the store; the message with it in place.
///
/// # Errors
/// When it may come another time: the message must not be acknowledged then.
pub(super) async fn fetch(
    _connected: &Connected,
    _message: &wa::Message,
    incoming: Incoming,
) -> Result<Incoming, InboundError> {
    Ok(incoming)
}

/// Uploads the file of a message; the message that names it.
///
/// # Errors
/// What becomes of the message; nothing of it has left then.
pub(super) async fn upload(_connected: &Connected, _message: &Outgoing) -> Result<wa::Message, SendOutcome> {
    Err(SendOutcome::Permanent(SendError {
        code: "not_supported_by_engine",
        message: "this device's engine cannot send that".to_owned(),
    }))
}
