//! Conversations, and how clients name them.

use super::ids::{ConversationId, UserId, UserPk};
use super::inbox::DeviceChat;
use super::message::{MessageAuthor, MessageView};
use super::room::Room;
use super::user::ChatUser;
use crate::domain::clock::Millis;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The id.
    pub id: ConversationId,
    /// The name of the identity provider of its members.
    pub tenant: String,
    /// The kind, with its members.
    pub kind: ConversationKind,
    /// When it was created.
    pub created_at: Millis,
}

/// The kind of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationKind {
    /// Two users; there is one for each unordered pair.
    Direct(UserPair),
    /// Many users, with a title.
    Room(Box<Room>),
    /// One chat of a device.
    Device(Box<DeviceChat>),
}

/// Two different users in the order of their rows, so that each pair has one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserPair {
    low: UserPk,
    high: UserPk,
}

impl UserPair {
    /// The pair of two users; `None` if they are one.
    #[must_use]
    pub fn new(one: UserPk, other: UserPk) -> Option<Self> {
        (one != other).then(|| Self { low: one.min(other), high: one.max(other) })
    }

    /// Both users, the lower row first.
    #[must_use]
    pub fn users(self) -> [UserPk; 2] {
        [self.low, self.high]
    }
}

impl Conversation {
    /// The users who take part: both of a direct conversation, all of a room, the contact of a device conversation.
    #[must_use]
    pub fn members(&self) -> Vec<UserPk> {
        match &self.kind {
            ConversationKind::Direct(pair) => pair.users().to_vec(),
            ConversationKind::Room(room) => room.members().iter().map(|member| member.user).collect(),
            ConversationKind::Device(chat) => vec![chat.contact],
        }
    }

    /// The room, if it is one.
    #[must_use]
    pub fn room(&self) -> Option<&Room> {
        match &self.kind {
            ConversationKind::Room(room) => Some(room),
            ConversationKind::Direct(_) | ConversationKind::Device(_) => None,
        }
    }

    /// The chat of a device conversation.
    #[must_use]
    pub fn device_chat(&self) -> Option<&DeviceChat> {
        match &self.kind {
            ConversationKind::Direct(_) | ConversationKind::Room(_) => None,
            ConversationKind::Device(chat) => Some(chat),
        }
    }

    /// Whether a user takes part.
    #[must_use]
    pub fn has_member(&self, user: UserPk) -> bool {
        match &self.kind {
            ConversationKind::Direct(pair) => pair.users().contains(&user),
            ConversationKind::Room(room) => room.role_of(user).is_some(),
            ConversationKind::Device(chat) => chat.contact == user,
        }
    }

    /// The other user of a direct conversation, or the contact of a device conversation.
    #[must_use]
    pub fn peer_of(&self, user: UserPk) -> Option<UserPk> {
        match &self.kind {
            ConversationKind::Direct(pair) => pair.users().into_iter().find(|member| *member != user),
            ConversationKind::Room(_) => None,
            ConversationKind::Device(chat) => Some(chat.contact).filter(|contact| *contact != user),
        }
    }

    /// The messages for which a user has receipts.
    #[must_use]
    pub fn received_by(&self, user: UserPk) -> Option<MessageAuthor> {
        match &self.kind {
            ConversationKind::Room(room) => room.role_of(user).map(|_| MessageAuthor::Not(user)),
            // In a group, each member is an author of its own.
            ConversationKind::Device(chat) if chat.chat.is_group() => Some(MessageAuthor::Not(user)),
            ConversationKind::Direct(_) | ConversationKind::Device(_) => {
                self.peer_of(user).map(MessageAuthor::Is)
            }
        }
    }
}

/// A conversation as one of its members sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationView {
    /// The id in the dialects: the number, or `<a>_<b>` for a pair without a conversation.
    pub name: String,
    /// The title of a room.
    pub title: Option<String>,
    /// The other members; of a room at most 50.
    pub participants: Vec<ChatUser>,
    /// The newest message.
    pub last_message: Option<MessageView>,
    /// Messages of others that the member has not read.
    pub unread: i64,
    /// When it was created; none for a pair without a conversation.
    pub created_at: Option<Millis>,
}

/// How a client names a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationTarget {
    /// By the id of the other user.
    Peer(String),
    /// By its id, or by both user ids as `<a>_<b>`.
    Named(String),
}

/// The other user in `<a>_<b>`, where one of both is `me`.
#[must_use]
pub fn peer_in_name(name: &str, me: &UserId) -> Option<UserId> {
    let after = name.strip_prefix(me.as_str()).and_then(|rest| rest.strip_prefix('_'));
    let before = || name.strip_suffix(me.as_str()).and_then(|rest| rest.strip_suffix('_'));
    after.or_else(before)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pair_has_one_form() {
        let (a, b) = (UserPk(3), UserPk(7));
        assert_eq!(UserPair::new(a, b), UserPair::new(b, a));
        assert_eq!(UserPair::new(b, a).unwrap().users(), [a, b]);
        assert_eq!(UserPair::new(a, a), None);
    }

    #[test]
    fn pair_name_gives_other_user() {
        let me = "u_1".parse().unwrap();
        let peer = |name: &str| peer_in_name(name, &me).map(|id| id.to_string());
        assert_eq!(peer("u_1_b").as_deref(), Some("b"));
        assert_eq!(peer("b_u_1").as_deref(), Some("b"));
        for other in ["u_1", "u_1_", "_u_1", "a_b", ""] {
            assert_eq!(peer(other), None, "{other}");
        }
    }
}
