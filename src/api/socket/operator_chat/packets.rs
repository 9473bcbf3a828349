//! The packets of one event in each dialect, encoded once and shared by all sockets of that dialect.

use std::sync::Arc;

use super::packet::Packet;
use super::{namespace, root, underscore};
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::event::ChatEvent;
use crate::domain::operator_chat::ids::ConversationId;
use crate::domain::operator_chat::user::ChatUser;
use crate::service::operator_chat::presence::PresenceChange;

/// The packets of one event.
pub(super) struct Packets {
    root: Vec<Arc<Packet>>,
    namespace: Vec<Arc<Packet>>,
    underscore: Vec<Arc<Packet>>,
}

impl Packets {
    /// Those of an entry of the chat log, for sockets that joined or whose user it is about.
    pub(super) fn of_event(event: &ChatEvent, seq: i64) -> Self {
        let with_seq =
            |packets: Vec<Packet>| packets.into_iter().map(|packet| packet.with_seq(seq)).collect();
        Self::new(
            with_seq(root::encode::event(event)),
            with_seq(namespace::encode::event(event)),
            with_seq(underscore::encode::event(event)),
        )
    }

    /// Those of a typing state.
    pub(super) fn of_typing(typist: &ChatUser, conversation: ConversationId, on: bool) -> Self {
        Self::new(
            vec![root::encode::typing(typist, conversation, on)],
            vec![namespace::encode::typing(typist, conversation, on)],
            vec![underscore::encode::typing(typist, conversation, on)],
        )
    }

    /// Those of a change of presence.
    pub(super) fn of_presence(change: &PresenceChange) -> Self {
        let PresenceChange { user, is_online, last_seen, .. } = change;
        Self::new(
            root::encode::presence(user, *is_online, Some(*last_seen)).into(),
            vec![namespace::encode::presence(user, *is_online)],
            vec![underscore::encode::presence(user, *is_online)],
        )
    }

    fn new(root: Vec<Packet>, namespace: Vec<Packet>, underscore: Vec<Packet>) -> Self {
        let shared = |packets: Vec<Packet>| packets.into_iter().map(Arc::new).collect();
        Self { root: shared(root), namespace: shared(namespace), underscore: shared(underscore) }
    }

    /// The packets for a socket of this dialect.
    pub(super) fn of(&self, dialect: Dialect) -> &[Arc<Packet>] {
        match dialect {
            Dialect::Root => &self.root,
            Dialect::Namespace => &self.namespace,
            Dialect::Underscore => &self.underscore,
        }
    }
}
