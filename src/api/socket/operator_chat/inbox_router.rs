//! Emits messages of device conversations. Users without access to the inbox get none. In the `root` and
//! `underscore` dialects each user gets an encoding of its own.

use std::collections::HashMap;
use std::sync::Arc;

use super::confirmation::{confirm, is_confirmed, notify};
use super::packet::Packet;
use super::rooms::ConnectedSocket;
use super::{ChatState, membership, namespace, root, underscore};
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::message::{CommandAnswer, MessageView};
use crate::domain::operator_chat::visibility::sees_conversation;

/// The sending socket is confirmed before any other socket has the message.
pub(super) fn route_message(state: &ChatState, view: &MessageView, origin: Option<u64>) {
    let Some(inbox) = &view.inbox else { return };
    let mut packets = InboxPackets::new(view, true);
    confirm(state, view, origin, std::slice::from_ref(&packets.namespace));
    emit_to_joined(state, view, origin, &mut packets);
    let conversation = view.message.conversation;
    let outside = state.rooms.all_outside(conversation).into_iter();
    notify(view, origin, outside.filter(|socket| inbox.chat.rights_of(socket.user()).is_some()));
    underscore::notify_receiver(state, view);
}

/// The answer to a slash command, for the sockets of its writer that would get it as a message.
pub(super) fn route_answer(state: &ChatState, answer: &CommandAnswer) {
    let CommandAnswer { view, user, origin } = answer;
    let mut packets = InboxPackets::new(view, true);
    confirm(state, view, *origin, std::slice::from_ref(&packets.namespace));
    let conversation = view.message.conversation;
    for joined in state.rooms.joined(conversation) {
        if joined.user().pk == *user && !is_confirmed(&joined, *origin) {
            let packet = packets.of(&joined);
            joined.emit(&packet, conversation, Some(view.message.id));
        }
    }
}

/// A message that changed. The author's sockets get the error of one that failed, except in the `root` dialect.
pub(super) fn route_update(state: &ChatState, view: &MessageView) {
    emit_to_joined(state, view, None, &mut InboxPackets::new(view, false));
    for socket in state.rooms.of_user(view.message.sender) {
        let packet = match socket.session.dialect {
            Dialect::Root => None,
            Dialect::Namespace => namespace::encode::message_failed(view),
            Dialect::Underscore => underscore::encode::message_failed(view),
        };
        if let Some(packet) = packet {
            socket.emit_now(&packet);
        }
    }
}

/// Sockets of users without access leave the conversations.
pub(super) fn remove_users(state: &ChatState, conversations: &[Conversation]) {
    for conversation in conversations {
        for joined in state.rooms.joined(conversation.id) {
            if !sees_conversation(joined.user(), conversation) {
                membership::leave(state, &joined, conversation.id);
            }
        }
    }
}

fn emit_to_joined(
    state: &ChatState,
    view: &MessageView,
    origin: Option<u64>,
    packets: &mut InboxPackets<'_>,
) {
    let Some(inbox) = &view.inbox else { return };
    let (conversation, message) = (view.message.conversation, view.message.id);
    let holder = state.chat.upload_holder(view).filter(|_| packets.is_new);
    for joined in state.rooms.joined(conversation) {
        if underscore::is_held(&joined, holder) {
            continue;
        }
        if !is_confirmed(&joined, origin) && inbox.chat.rights_of(joined.user()).is_some() {
            let packet = packets.of(&joined);
            joined.emit(&packet, conversation, packets.is_new.then_some(message));
        }
    }
}

/// The packets of one message, encoded once for each user or dialect.
struct InboxPackets<'a> {
    view: &'a MessageView,
    is_new: bool,
    root: HashMap<UserPk, Arc<Packet>>,
    underscore: HashMap<UserPk, Arc<Packet>>,
    namespace: Arc<Packet>,
}

impl<'a> InboxPackets<'a> {
    fn new(view: &'a MessageView, is_new: bool) -> Self {
        let namespace = Arc::new(namespace::encode::inbox_message(view, is_new));
        Self { view, is_new, root: HashMap::new(), underscore: HashMap::new(), namespace }
    }

    fn of(&mut self, socket: &ConnectedSocket) -> Arc<Packet> {
        let user = socket.user();
        match socket.session.dialect {
            Dialect::Namespace => self.namespace.clone(),
            Dialect::Root => {
                let encode = || Arc::new(root::encode::inbox_message(self.view, user, self.is_new));
                self.root.entry(user.pk).or_insert_with(encode).clone()
            }
            Dialect::Underscore => {
                let encode = || Arc::new(underscore::encode::inbox_message(self.view, user, self.is_new));
                self.underscore.entry(user.pk).or_insert_with(encode).clone()
            }
        }
    }
}
