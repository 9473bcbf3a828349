//! The packets of one entry of the chat log for each socket. Each is encoded once and shared.
//!
//! These are the rules about who gets which event; they are the same for live events and for missed ones.

use std::collections::HashMap;
use std::sync::Arc;

use super::outgoing::LoggedPacket;
use super::packet::Packet;
use super::packets::Packets;
use super::session::ChatSession;
use super::{namespace, root, underscore};
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::event::ChatEvent;
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::log_offset::LogOffset;
use crate::domain::operator_chat::message::MessageView;
use crate::domain::operator_chat::room::RoomMember;
use crate::domain::operator_chat::user::ChatUser;
use crate::domain::operator_chat::visibility::sees_conversation;

/// The packets of one entry.
pub(super) struct EventPackets<'a> {
    seq: i64,
    event: &'a ChatEvent,
    /// Whether a `namespace` socket gets an echo of a message with a `tempId`.
    has_echo: bool,
    shared: Option<Packets>,
    /// The events that all joined sockets of the `root` and of the `namespace` dialect get.
    joined: [Option<Arc<[LoggedPacket]>>; 2],
    root: HashMap<UserPk, Arc<Packet>>,
    underscore: HashMap<UserPk, Arc<Packet>>,
    namespace: Option<Arc<Packet>>,
    sent: Option<Arc<Packet>>,
    notification: Option<Arc<Packet>>,
    receiver_notifications: HashMap<UserPk, Arc<Packet>>,
}

/// The sockets that an entry may concern, beside those that joined its conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Audience {
    /// No other socket.
    Joined,
    /// Those of up to two users.
    Users([Option<UserPk>; 2]),
    /// Those of the members of a room.
    Members(Arc<[RoomMember]>),
    /// Of those that joined, the ones of these users only.
    JoinedOf(Vec<UserPk>),
    /// All: access to an inbox is checked for each socket.
    All,
}

impl<'a> EventPackets<'a> {
    pub(super) fn new(seq: i64, event: &'a ChatEvent, has_echo: bool) -> Self {
        Self {
            seq,
            event,
            has_echo,
            shared: None,
            joined: [None, None],
            root: HashMap::new(),
            underscore: HashMap::new(),
            namespace: None,
            sent: None,
            notification: None,
            receiver_notifications: HashMap::new(),
        }
    }

    /// The conversation whose joined sockets get the event.
    pub(super) fn conversation(&self) -> Option<ConversationId> {
        match self.event {
            ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view) | ChatEvent::Updated(view) => {
                Some(view.message.conversation)
            }
            ChatEvent::Receipts { conversation, .. } | ChatEvent::RoomReceipts { conversation, .. } => {
                Some(conversation.id)
            }
            ChatEvent::Deleted { conversation, .. } => Some(*conversation),
            _ => None,
        }
    }

    /// The other sockets that may get it.
    pub(super) fn audience(&self) -> Audience {
        match self.event {
            ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view) | ChatEvent::Updated(view)
                if view.inbox.is_some() =>
            {
                Audience::All
            }
            ChatEvent::RoomReceipts { by_author, .. } => {
                Audience::JoinedOf(by_author.keys().copied().collect())
            }
            ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view) => {
                if let Some(room) = &view.room {
                    return Audience::Members(room.members.clone());
                }
                Audience::Users([Some(view.sender.pk), view.recipient.as_ref().map(|user| user.pk)])
            }
            ChatEvent::Notification { user, .. }
            | ChatEvent::NotificationRead { user, .. }
            | ChatEvent::NotificationsRead { user, .. } => Audience::Users([Some(*user), None]),
            _ => Audience::Joined,
        }
    }

    /// The socket that is confirmed before any other gets the event.
    pub(super) fn origin(&self) -> Option<u64> {
        match self.event {
            ChatEvent::Message { origin, .. }
            | ChatEvent::NotificationRead { origin, .. }
            | ChatEvent::NotificationsRead { origin, .. } => *origin,
            _ => None,
        }
    }

    /// The events of a socket, in their order.
    pub(super) fn of(&mut self, session: &ChatSession, is_joined: bool) -> Arc<[LoggedPacket]> {
        let is_origin = self.origin() == Some(session.number);
        if is_joined && !is_origin && self.is_same_for_joined(session) {
            let slot = usize::from(session.dialect == Dialect::Namespace);
            if let Some(known) = &self.joined[slot] {
                return known.clone();
            }
            let made = self.logged(session, true, false);
            self.joined[slot] = Some(made.clone());
            return made;
        }
        self.logged(session, is_joined, is_origin)
    }

    /// Whether each joined socket of the dialect but the sending one gets the same events: those of a message between
    /// users, for its participants.
    fn is_same_for_joined(&self, session: &ChatSession) -> bool {
        let (ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view)) = self.event else { return false };
        session.dialect != Dialect::Underscore
            && view.inbox.is_none()
            && view.room.as_ref().is_none_or(|room| room.has_member(session.signed_in.user.pk))
    }

    fn logged(&mut self, session: &ChatSession, is_joined: bool, is_origin: bool) -> Arc<[LoggedPacket]> {
        let packets = self.packets(&session.signed_in.user, session.dialect, is_joined, is_origin);
        let message = match self.event {
            ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view) if is_joined => Some(view.message.id),
            _ => None,
        };
        let (seq, count) = (self.seq, packets.len());
        let logged = packets.into_iter().zip(1..).map(|(packet, emitted)| LoggedPacket {
            packet,
            offset: LogOffset::within(seq, emitted, count),
            message,
        });
        logged.collect()
    }

    fn packets(
        &mut self,
        user: &ChatUser,
        dialect: Dialect,
        is_joined: bool,
        is_origin: bool,
    ) -> Vec<Arc<Packet>> {
        match self.event {
            ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view) => match &view.inbox {
                Some(inbox) if inbox.chat.rights_of(user).is_none() => Vec::new(),
                _ if view.room.as_ref().is_some_and(|room| !room.has_member(user.pk)) => Vec::new(),
                _ => self.message(view, user, dialect, is_joined, is_origin),
            },
            ChatEvent::Updated(view) => self.update(view, user, dialect, is_joined),
            ChatEvent::Receipts { conversation, by, .. } => {
                // Clients of this dialect get no receipts of their own user.
                let is_own = dialect == Dialect::Underscore && by.pk == user.pk;
                match is_joined && !is_own && sees_conversation(user, conversation) {
                    true => self.shared(dialect),
                    false => Vec::new(),
                }
            }
            ChatEvent::RoomReceipts { level, conversation, by_author, by, at } if is_joined => {
                let Some(messages) = by_author.get(&user.pk) else { return Vec::new() };
                let (level, at, messages) = (*level, *at, messages.clone());
                let own = ChatEvent::Receipts {
                    level,
                    conversation: conversation.clone(),
                    messages,
                    by: by.clone(),
                    at,
                };
                Packets::of_event(&own, self.seq).of(dialect).to_vec()
            }
            ChatEvent::Deleted { .. } if is_joined => self.shared(dialect),
            ChatEvent::Notification { user: owner, .. }
            | ChatEvent::NotificationRead { user: owner, .. }
            | ChatEvent::NotificationsRead { user: owner, .. }
                if *owner == user.pk && !is_origin =>
            {
                self.shared(dialect)
            }
            _ => Vec::new(),
        }
    }

    fn message(
        &mut self,
        view: &MessageView,
        user: &ChatUser,
        dialect: Dialect,
        is_joined: bool,
        is_origin: bool,
    ) -> Vec<Arc<Packet>> {
        let is_namespace = dialect == Dialect::Namespace;
        let mut packets = Vec::new();
        if is_namespace && is_origin {
            // A client that gave a `tempId` has rendered the message already.
            packets.push(self.sent(view));
            if self.has_echo || view.message.temp_id.is_none() {
                packets.extend(self.new_message(view, user, dialect));
            }
        } else if is_joined {
            packets.extend(self.new_message(view, user, dialect));
        } else if is_namespace && is_participant(view, user) {
            packets.push(self.notification(view));
        }
        if dialect == Dialect::Underscore && is_notified(view, user) {
            packets.push(self.receiver_notification(view, user));
        }
        packets
    }

    fn new_message(&mut self, view: &MessageView, user: &ChatUser, dialect: Dialect) -> Vec<Arc<Packet>> {
        match view.inbox {
            Some(_) => vec![self.inbox_message(view, user, dialect, true)],
            None => self.shared(dialect),
        }
    }

    /// The author's sockets get the error of a message that failed, except in the `root` dialect.
    fn update(
        &mut self,
        view: &MessageView,
        user: &ChatUser,
        dialect: Dialect,
        is_joined: bool,
    ) -> Vec<Arc<Packet>> {
        let Some(inbox) = &view.inbox else { return Vec::new() };
        let mut packets = Vec::new();
        if is_joined && inbox.chat.rights_of(user).is_some() {
            packets.push(self.inbox_message(view, user, dialect, false));
        }
        if view.message.sender == user.pk {
            let failure = match dialect {
                Dialect::Root => None,
                Dialect::Namespace => namespace::encode::message_failed(view),
                Dialect::Underscore => underscore::encode::message_failed(view),
            };
            packets.extend(failure.map(|packet| Arc::new(packet.with_seq(self.seq))));
        }
        packets
    }

    /// In the `root` and `underscore` dialects each user gets an encoding of its own.
    fn inbox_message(
        &mut self,
        view: &MessageView,
        user: &ChatUser,
        dialect: Dialect,
        is_new: bool,
    ) -> Arc<Packet> {
        let seq = self.seq;
        let logged = |packet: Packet| Arc::new(packet.with_seq(seq));
        match dialect {
            Dialect::Root => {
                let encode = || logged(root::encode::inbox_message(view, user, is_new));
                self.root.entry(user.pk).or_insert_with(encode).clone()
            }
            Dialect::Underscore => {
                let encode = || logged(underscore::encode::inbox_message(view, user, is_new));
                self.underscore.entry(user.pk).or_insert_with(encode).clone()
            }
            Dialect::Namespace => {
                let encode = || logged(namespace::encode::inbox_message(view, is_new));
                self.namespace.get_or_insert_with(encode).clone()
            }
        }
    }

    fn shared(&mut self, dialect: Dialect) -> Vec<Arc<Packet>> {
        let (event, seq) = (self.event, self.seq);
        self.shared.get_or_insert_with(|| Packets::of_event(event, seq)).of(dialect).to_vec()
    }

    fn sent(&mut self, view: &MessageView) -> Arc<Packet> {
        let encode = || Arc::new(namespace::encode::message_sent(view).with_seq(self.seq));
        self.sent.get_or_insert_with(encode).clone()
    }

    fn notification(&mut self, view: &MessageView) -> Arc<Packet> {
        let encode = || Arc::new(namespace::encode::message_notification(view).with_seq(self.seq));
        self.notification.get_or_insert_with(encode).clone()
    }

    fn receiver_notification(&mut self, view: &MessageView, user: &ChatUser) -> Arc<Packet> {
        let encode = || Arc::new(underscore::encode::notification(view, user).with_seq(self.seq));
        self.receiver_notifications.entry(user.pk).or_insert_with(encode).clone()
    }
}

/// Whether a user takes part in the conversation of a message. Access to an inbox or a room was checked before.
fn is_participant(view: &MessageView, user: &ChatUser) -> bool {
    view.inbox.is_some()
        || view.room.is_some()
        || view.sender.pk == user.pk
        || view.recipient.as_ref().is_some_and(|recipient| recipient.pk == user.pk)
}

/// Whether the `underscore` dialect notifies a user of a message, joined or not.
fn is_notified(view: &MessageView, user: &ChatUser) -> bool {
    match &view.inbox {
        Some(inbox) => inbox.author.is_contact(),
        None if view.room.is_some() => view.sender.pk != user.pk,
        None => view.recipient.as_ref().is_some_and(|recipient| recipient.pk == user.pk),
    }
}
