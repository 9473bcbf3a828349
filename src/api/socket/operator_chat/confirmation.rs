//! Confirms a message to its sending socket of the `namespace` dialect, and notifies sockets that did not join.

use std::sync::Arc;

use super::packet::Packet;
use super::rooms::ConnectedSocket;
use super::{ChatState, namespace};
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::message::{ChatMessageKind, MessageView};

/// Whether a socket gets the confirmation of the message that it sent.
pub(super) fn is_confirmed(socket: &ConnectedSocket, origin: Option<u64>) -> bool {
    Some(socket.session.number) == origin && socket.session.dialect == Dialect::Namespace
}

/// Confirms a message to its sending socket, which has rendered it already if it gave a `tempId`.
pub(super) fn confirm(state: &ChatState, view: &MessageView, origin: Option<u64>, packets: &[Arc<Packet>]) {
    // The author of a system message is the daemon; the socket that sent the command is confirmed.
    let own = match view.message.kind {
        ChatMessageKind::System if origin.is_some() => state.rooms.all(),
        _ => state.rooms.of_user(view.message.sender),
    };
    let Some(sending) = own.iter().find(|socket| is_confirmed(socket, origin)) else { return };
    sending.emit_now(&namespace::encode::message_sent(view));
    if view.message.temp_id.is_none() {
        for packet in packets {
            sending.emit_now(packet);
        }
    }
}

/// Notifies sockets of the `namespace` dialect that did not join, but not the sending one.
pub(super) fn notify(
    view: &MessageView,
    origin: Option<u64>,
    outside: impl Iterator<Item = ConnectedSocket>,
) {
    let mut packet = None;
    let is_notified = |socket: &ConnectedSocket| {
        socket.session.dialect == Dialect::Namespace && Some(socket.session.number) != origin
    };
    for socket in outside.filter(is_notified) {
        socket.emit_now(packet.get_or_insert_with(|| namespace::encode::message_notification(view)));
    }
}
