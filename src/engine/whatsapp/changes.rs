//! What happens to messages and chats afterwards, as asked here.

use super::connected::Connected;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, MessageChange, SessionError};

/// See [`crate::engine::Session::change_message`].
pub(super) async fn message(_connected: &Connected, _change: MessageChange) -> Result<(), SessionError> {
    Err(SessionError::NotSupported)
}

/// See [`crate::engine::Session::change_chat`].
pub(super) async fn chat(
    _connected: &Connected,
    _chat: &Jid,
    _change: ChatChange,
) -> Result<(), SessionError> {
    Err(SessionError::NotSupported)
}
