//! People: who is on the network, their pictures, who is online, and who reads what.

use whatsapp_rust::types::events::Event;

use super::connected::Connected;
use crate::domain::event::TypingKind;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{Answer, InboundError, Query, SessionError};

/// See [`crate::engine::Session::query`].
pub(super) async fn query(_connected: &Connected, _query: Query) -> Result<Answer, SessionError> {
    Err(SessionError::NotSupported)
}

/// See [`crate::engine::Session::mark_read`].
pub(super) async fn mark_read(
    _connected: &Connected,
    _chat: &Jid,
    _messages: &[MessageId],
) -> Result<(), SessionError> {
    Err(SessionError::NotSupported)
}

/// See [`crate::engine::Session::typing`].
pub(super) async fn typing(
    _connected: &Connected,
    _chat: &Jid,
    _kind: TypingKind,
    _on: bool,
) -> Result<(), SessionError> {
    Err(SessionError::NotSupported)
}

/// See [`crate::engine::Session::subscribe_presence`].
pub(super) async fn subscribe_presence(_connected: &Connected, _contact: &Jid) -> Result<(), SessionError> {
    Err(SessionError::NotSupported)
}

/// Tells of an event about people (names, numbers) or chats (archived, muted, …); others are none of its business.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn heard(_connected: &Connected, _event: &Event) -> Result<(), InboundError> {
    Ok(())
}
