//! Emits the answers to slash commands, which are not logged.

use std::sync::Arc;

use super::packet::Packet;
use super::rooms::ConnectedSocket;
use super::{ChatState, namespace, root, underscore};
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::message::CommandAnswer;

/// The answer to a slash command, for the sockets of its writer that would get it as a message.
pub(super) fn emit_answer(state: &ChatState, answer: &CommandAnswer) {
    let CommandAnswer { view, user, origin } = answer;
    for socket in state.rooms.of_user(*user) {
        let number = socket.session.number;
        let is_confirmed = Some(number) == *origin && socket.session.dialect == Dialect::Namespace;
        let gets_message = match is_confirmed {
            // A client that gave a `tempId` has rendered the message already.
            true => view.message.temp_id.is_none(),
            false => state.rooms.conversations(number).contains_key(&view.message.conversation),
        };
        if is_confirmed {
            socket.emit_now(&namespace::encode::message_sent(view));
        }
        if gets_message {
            socket.emit_unlogged(&packet(answer, &socket));
        }
    }
}

fn packet(answer: &CommandAnswer, socket: &ConnectedSocket) -> Arc<Packet> {
    let view = &answer.view;
    Arc::new(match socket.session.dialect {
        Dialect::Root => root::encode::inbox_message(view, socket.user(), true),
        Dialect::Namespace => namespace::encode::inbox_message(view, true),
        Dialect::Underscore => underscore::encode::inbox_message(view, socket.user(), true),
    })
}
