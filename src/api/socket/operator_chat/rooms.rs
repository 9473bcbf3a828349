//! Which sockets there are, whose they are, and which conversations they joined.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use socketioxide::socket::Socket;

use super::packet::Packet;
use super::session::{ChatSession, Emission};
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::user::ChatUser;

/// A connected socket.
#[derive(Clone)]
pub(super) struct ConnectedSocket {
    pub(super) socket: Arc<Socket>,
    pub(super) session: Arc<ChatSession>,
}

impl ConnectedSocket {
    /// The user.
    pub(super) fn user(&self) -> &ChatUser {
        &self.session.signed_in.user
    }

    /// Emits an event of a conversation.
    pub(super) fn emit(
        &self,
        packet: &Arc<Packet>,
        conversation: ConversationId,
        message: Option<ChatMessageId>,
    ) -> Emission {
        self.session.emit(&self.socket, packet, Some(conversation), message)
    }

    /// Emits an event of no conversation.
    pub(super) fn emit_now(&self, packet: &Packet) -> Emission {
        self.session.emit_now(&self.socket, packet)
    }
}

/// All connected sockets; clones of a table are never held over an await.
#[derive(Default)]
pub(super) struct Rooms {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sockets: HashMap<u64, ConnectedSocket>,
    of_user: HashMap<UserPk, HashSet<u64>>,
    joined: HashMap<ConversationId, HashSet<u64>>,
    conversations: HashMap<u64, HashSet<ConversationId>>,
}

impl Rooms {
    /// Adds a socket, which is in no conversation yet.
    pub(super) fn connect(&self, connected: ConnectedSocket) {
        let mut table = self.table.lock();
        let number = connected.session.number;
        table.of_user.entry(connected.user().pk).or_default().insert(number);
        table.sockets.insert(number, connected);
    }

    /// Removes a socket.
    pub(super) fn disconnect(&self, number: u64) {
        let mut table = self.table.lock();
        let Some(gone) = table.sockets.remove(&number) else { return };
        let user = gone.user().pk;
        if let Some(numbers) = table.of_user.get_mut(&user) {
            numbers.remove(&number);
            if numbers.is_empty() {
                table.of_user.remove(&user);
            }
        }
        for conversation in table.conversations.remove(&number).unwrap_or_default() {
            table.leave(conversation, number);
        }
    }

    /// Adds a socket to a conversation; `false` if it has joined `limit` others.
    pub(super) fn join(&self, number: u64, conversation: ConversationId, limit: usize) -> bool {
        let mut table = self.table.lock();
        if !table.sockets.contains_key(&number) {
            return true;
        }
        let conversations = table.conversations.entry(number).or_default();
        if conversations.len() >= limit && !conversations.contains(&conversation) {
            return false;
        }
        conversations.insert(conversation);
        table.joined.entry(conversation).or_default().insert(number);
        true
    }

    /// Removes a socket from a conversation.
    pub(super) fn leave(&self, number: u64, conversation: ConversationId) {
        let mut table = self.table.lock();
        if let Some(conversations) = table.conversations.get_mut(&number) {
            conversations.remove(&conversation);
        }
        table.leave(conversation, number);
    }

    /// The sockets that joined a conversation.
    pub(super) fn joined(&self, conversation: ConversationId) -> Vec<ConnectedSocket> {
        let table = self.table.lock();
        table.joined.get(&conversation).map_or_else(Vec::new, |numbers| table.select(numbers))
    }

    /// The sockets of a user that did not join a conversation.
    pub(super) fn outside(&self, user: UserPk, conversation: ConversationId) -> Vec<ConnectedSocket> {
        let table = self.table.lock();
        let joined = table.joined.get(&conversation);
        let is_outside = |number: &&u64| joined.is_none_or(|joined| !joined.contains(*number));
        let numbers = table.of_user.get(&user).into_iter().flatten().filter(is_outside);
        numbers.filter_map(|number| table.sockets.get(number).cloned()).collect()
    }

    /// All sockets that did not join a conversation.
    pub(super) fn all_outside(&self, conversation: ConversationId) -> Vec<ConnectedSocket> {
        let table = self.table.lock();
        let joined = table.joined.get(&conversation);
        let outside = table.sockets.iter();
        let outside = outside.filter(|(number, _)| joined.is_none_or(|joined| !joined.contains(*number)));
        outside.map(|(_, socket)| socket.clone()).collect()
    }

    /// The sockets of a user.
    pub(super) fn of_user(&self, user: UserPk) -> Vec<ConnectedSocket> {
        let table = self.table.lock();
        table.of_user.get(&user).map_or_else(Vec::new, |numbers| table.select(numbers))
    }

    /// All sockets.
    pub(super) fn all(&self) -> Vec<ConnectedSocket> {
        self.table.lock().sockets.values().cloned().collect()
    }
}

impl Table {
    fn leave(&mut self, conversation: ConversationId, number: u64) {
        if let Some(numbers) = self.joined.get_mut(&conversation) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.joined.remove(&conversation);
            }
        }
    }

    fn select(&self, numbers: &HashSet<u64>) -> Vec<ConnectedSocket> {
        numbers.iter().filter_map(|number| self.sockets.get(number).cloned()).collect()
    }
}
