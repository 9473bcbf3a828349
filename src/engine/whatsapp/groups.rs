//! Groups: asked about, changed, and as they change.

use whatsapp_rust::types::events::Event;

use super::connected::Connected;
use crate::engine::{GroupAnswer, GroupRequest, InboundError, SessionError};

/// See [`crate::engine::Session::group`].
pub(super) async fn request(
    _connected: &Connected,
    _request: GroupRequest,
) -> Result<GroupAnswer, SessionError> {
    Err(SessionError::NotSupported)
}

/// Tells which groups the account is in: once after each connection is open, before anything else.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn tell_all(_connected: &Connected) -> Result<(), InboundError> {
    Ok(())
}

/// Tells of an event about groups; others are none of its business.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn heard(_connected: &Connected, _event: &Event) -> Result<(), InboundError> {
    Ok(())
}
