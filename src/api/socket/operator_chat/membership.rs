//! Joining, leaving, typing and being away, which are the same in all dialects.

use super::ChatState;
use super::rooms::{ConnectedSocket, Join};
use super::session::SessionPhase;
use super::typing::emit_typing;
use crate::domain::operator_chat::chat_session::SessionRoom;
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::ids::ConversationId;
use crate::service::operator_chat::ChatError;

/// Adds a socket to a conversation of its user. The room is stored before the client has the confirmation, so that
/// it can recover the room.
pub(super) async fn enter(
    state: &ChatState,
    connected: &ConnectedSocket,
    conversation: &Conversation,
    by_peer: bool,
) -> Result<(), ChatError> {
    let limit = state.chat.limits().max_rooms;
    let session = &connected.session;
    match state.rooms.join(session.number, conversation.id, limit) {
        Join::New { joined_after } => {
            let room = SessionRoom { conversation: conversation.id, joined_after, by_peer };
            state.chat.remember_room(&session.lease, room).await;
            Ok(())
        }
        Join::Known => Ok(()),
        Join::TooMany => Err(ChatError::TooManyRooms(limit)),
    }
}

/// Removes a socket from a conversation, and ends its typing there.
pub(super) async fn leave(state: &ChatState, connected: &ConnectedSocket, conversation: ConversationId) {
    drop_access(state, connected, conversation);
    state.chat.forget_room(&connected.session.lease, conversation).await;
}

/// Removes a socket from a conversation that its user cannot see any more. A recovered session loses the room by
/// itself.
pub(super) fn drop_access(state: &ChatState, connected: &ConnectedSocket, conversation: ConversationId) {
    state.rooms.leave(connected.session.number, conversation);
    if state.chat.typist_left((conversation, connected.user().pk)) {
        emit_typing(state, connected.user(), conversation, false);
    }
}

/// Records that the user of a socket types or stopped, and emits a change.
pub(super) fn type_in(state: &ChatState, connected: &ConnectedSocket, conversation: &Conversation, on: bool) {
    let typist = (conversation.id, connected.user().pk);
    state.chat.relay_typing(&connected.session.signed_in, conversation, on);
    let is_change = match on {
        true => state.chat.start_typing(typist, connected.session.number),
        false => state.chat.stop_typing(typist),
    };
    if is_change {
        emit_typing(state, connected.user(), conversation.id, on);
    }
}

/// As [`type_in`], for clients that send a change with each key: at most one a second is emitted.
pub(super) fn type_throttled(
    state: &ChatState,
    connected: &ConnectedSocket,
    conversation: &Conversation,
    on: bool,
) {
    let typist = (conversation.id, connected.user().pk);
    state.chat.relay_typing(&connected.session.signed_in, conversation, on);
    if state.chat.throttle_typing(typist, on, connected.session.number) {
        emit_typing(state, connected.user(), conversation.id, on);
    }
}

/// Records that the user of a socket is away, or is back.
pub(super) fn set_away(state: &ChatState, connected: &ConnectedSocket, is_away: bool) {
    let session = &connected.session;
    // Locked, so that a closed socket is not counted again.
    let phase = session.phase.lock();
    if *phase == SessionPhase::Open && session.set_away(is_away) != is_away {
        state.chat.socket_away(connected.user().pk, is_away);
    }
}
