//! Which sockets there are, whose they are, and which conversations they joined.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use socketioxide::socket::Socket;

use super::event_packets::Audience;
use super::outgoing::Emission;
use super::packet::Packet;
use super::session::ChatSession;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::room::role_in;
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

    /// Emits an event that is not logged, after those that wait for the end of a replay.
    pub(super) fn emit_unlogged(&self, packet: &Arc<Packet>) -> Emission {
        self.session.emit_unlogged(&self.socket, packet)
    }

    /// Emits an event that is not logged, at once.
    pub(super) fn emit_now(&self, packet: &Packet) -> Emission {
        self.session.emit_now(&self.socket, packet)
    }
}

/// All connected sockets, and the position of the chat log up to which entries were routed to them.
#[derive(Default)]
pub(super) struct Rooms {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    position: i64,
    sockets: HashMap<u64, ConnectedSocket>,
    of_user: HashMap<UserPk, HashSet<u64>>,
    joined: HashMap<ConversationId, HashSet<u64>>,
    /// The conversations of each socket, with the position of the log at each join.
    conversations: HashMap<u64, HashMap<ConversationId, i64>>,
}

/// The result of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// The socket gets the entries after this position.
    New { joined_after: i64 },
    /// The socket had joined before.
    Known,
    /// The socket has joined too many others.
    TooMany,
}

impl Rooms {
    /// The entry of the log that was routed last.
    pub(super) fn position(&self) -> i64 {
        self.table.lock().position
    }

    /// Whether any socket is connected.
    pub(super) fn has_sockets(&self) -> bool {
        !self.table.lock().sockets.is_empty()
    }

    /// Moves the position over entries that were not read; `false` if a socket is connected, which may need them.
    pub(super) fn pass_without_sockets(&self, position: i64) -> bool {
        let mut table = self.table.lock();
        if table.sockets.is_empty() {
            table.position = table.position.max(position);
        }
        table.sockets.is_empty()
    }

    /// Moves the position over entries without an event.
    pub(super) fn pass(&self, position: i64) {
        let mut table = self.table.lock();
        table.position = table.position.max(position);
    }

    /// The sockets that an entry may concern, and whether each joined its conversation. Sockets that connect or join
    /// later are after this entry.
    pub(super) fn route(
        &self,
        seq: i64,
        conversation: Option<ConversationId>,
        audience: Audience,
    ) -> Vec<(ConnectedSocket, bool)> {
        let mut table = self.table.lock();
        table.position = seq;
        let joined = conversation.and_then(|id| table.joined.get(&id));
        let is_joined = |number: &u64| joined.is_some_and(|joined| joined.contains(number));
        let concerned = joined.into_iter().flatten().map(|number| (number, true));
        let select =
            |(number, is_joined): (&u64, bool)| Some((table.sockets.get(number)?.clone(), is_joined));
        match audience {
            Audience::Joined => concerned.filter_map(select).collect(),
            Audience::All => {
                let others = table.sockets.keys().filter(|number| !is_joined(number));
                concerned.chain(others.map(|number| (number, false))).filter_map(select).collect()
            }
            Audience::JoinedOf(users) => {
                let is_of = |number: &u64| {
                    table.sockets.get(number).is_some_and(|socket| users.contains(&socket.user().pk))
                };
                concerned.filter(|(number, _)| is_of(number)).filter_map(select).collect()
            }
            Audience::Members(members) => {
                let mut selected: Vec<_> = concerned.filter_map(select).collect();
                let others = table.sockets.len() - selected.len();
                if others > 0 && others < members.len() {
                    let is_other = |(number, socket): &(&u64, &ConnectedSocket)| {
                        !is_joined(number) && role_in(&members, socket.user().pk).is_some()
                    };
                    let others = table.sockets.iter().filter(is_other);
                    selected.extend(others.map(|(_, socket)| (socket.clone(), false)));
                } else if others > 0 {
                    let numbers =
                        members.iter().filter_map(|member| table.of_user.get(&member.user)).flatten();
                    let others = numbers.filter(|number| !is_joined(number)).map(|number| (number, false));
                    selected.extend(others.filter_map(select));
                }
                selected
            }
            Audience::Users([first, second]) => {
                let users = [first, second.filter(|second| Some(*second) != first)];
                let numbers =
                    users.into_iter().flatten().filter_map(|user| table.of_user.get(&user)).flatten();
                let others = numbers.filter(|number| !is_joined(number)).map(|number| (number, false));
                concerned.chain(others).filter_map(select).collect()
            }
        }
    }

    /// Adds a socket with the conversations of a recovered session.
    pub(super) fn connect(
        &self,
        connected: ConnectedSocket,
        rooms: impl Iterator<Item = (ConversationId, i64)>,
    ) {
        let mut table = self.table.lock();
        let number = connected.session.number;
        table.of_user.entry(connected.user().pk).or_default().insert(number);
        table.sockets.insert(number, connected);
        for (conversation, joined_after) in rooms {
            table.joined.entry(conversation).or_default().insert(number);
            table.conversations.entry(number).or_default().insert(conversation, joined_after);
        }
    }

    /// The socket of a session.
    pub(super) fn socket(&self, number: u64) -> Option<ConnectedSocket> {
        self.table.lock().sockets.get(&number).cloned()
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
        for conversation in table.conversations.remove(&number).unwrap_or_default().into_keys() {
            table.leave(conversation, number);
        }
    }

    /// Adds a socket to a conversation, unless it has joined `limit` others.
    pub(super) fn join(&self, number: u64, conversation: ConversationId, limit: usize) -> Join {
        let mut table = self.table.lock();
        if !table.sockets.contains_key(&number) {
            return Join::Known;
        }
        let joined_after = table.position;
        let conversations = table.conversations.entry(number).or_default();
        let count = conversations.len();
        let Entry::Vacant(room) = conversations.entry(conversation) else { return Join::Known };
        if count >= limit {
            return Join::TooMany;
        }
        room.insert(joined_after);
        table.joined.entry(conversation).or_default().insert(number);
        Join::New { joined_after }
    }

    /// Removes a socket from a conversation.
    pub(super) fn leave(&self, number: u64, conversation: ConversationId) {
        let mut table = self.table.lock();
        if let Some(conversations) = table.conversations.get_mut(&number) {
            conversations.remove(&conversation);
        }
        table.leave(conversation, number);
    }

    /// The conversations of a socket, with the position of the log at each join.
    pub(super) fn conversations(&self, number: u64) -> HashMap<ConversationId, i64> {
        self.table.lock().conversations.get(&number).cloned().unwrap_or_default()
    }

    /// The sockets that joined a conversation.
    pub(super) fn joined(&self, conversation: ConversationId) -> Vec<ConnectedSocket> {
        let table = self.table.lock();
        table.joined.get(&conversation).map_or_else(Vec::new, |numbers| table.select(numbers))
    }

    /// The sockets of a user.
    pub(super) fn of_user(&self, user: UserPk) -> Vec<ConnectedSocket> {
        let table = self.table.lock();
        table.of_user.get(&user).map_or_else(Vec::new, |numbers| table.select(numbers))
    }

    /// Whether a user has another socket of a dialect than this one.
    pub(super) fn has_other(&self, user: UserPk, dialect: Dialect, number: u64) -> bool {
        let table = self.table.lock();
        let others = table.of_user.get(&user).into_iter().flatten().filter(|other| **other != number);
        others.filter_map(|other| table.sockets.get(other)).any(|other| other.session.dialect == dialect)
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
