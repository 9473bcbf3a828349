//! Emits typing states.

use super::ChatState;
use super::packets::Packets;
use crate::domain::operator_chat::ids::ConversationId;
use crate::domain::operator_chat::typing::Typist;
use crate::domain::operator_chat::user::ChatUser;

/// Emits that a user stopped typing, to the other users who joined.
pub(super) fn emit_typing_stops(state: &ChatState, typist: &ChatUser, ended: &[Typist]) {
    for (conversation, _) in ended {
        emit_typing(state, typist, *conversation, false);
    }
}

/// Emits a typing state to the other users who joined.
pub(super) fn emit_typing(state: &ChatState, typist: &ChatUser, conversation: ConversationId, on: bool) {
    let packets = Packets::of_typing(typist, conversation, on);
    for joined in state.rooms.joined(conversation) {
        if joined.user().pk != typist.pk {
            for packet in packets.of(joined.session.dialect) {
                joined.emit_unlogged(packet);
            }
        }
    }
}
