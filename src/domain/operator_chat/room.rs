//! Rooms: conversations of many users with a title. An owner changes the room; every member reads and writes.

use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::ids::UserPk;
use super::user::ChatUser;

/// Longest title, in characters.
pub const TITLE_MAX_CHARS: usize = 200;
/// Up to this many members, receipts go to all of them, and they are in each other's presence audience.
pub const SMALL_ROOM_MEMBERS: usize = 50;

/// The role of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomRole {
    /// Changes the room and its members.
    Owner,
    /// Reads and writes.
    Member,
}

impl RoomRole {
    /// The word in REST and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
        }
    }
}

impl FromStr for RoomRole {
    type Err = InvalidRoom;

    fn from_str(word: &str) -> Result<Self, InvalidRoom> {
        [Self::Owner, Self::Member].into_iter().find(|role| role.as_str() == word).ok_or(InvalidRoom::Role)
    }
}

/// A text that no room has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidRoom {
    /// Not the word of a role.
    #[error("must be owner or member")]
    Role,
    /// Empty, too long, or with U+0000.
    #[error("must be 1 to 200 characters without U+0000")]
    Title,
}

/// The title of a room, without space around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomTitle(String);

impl RoomTitle {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomTitle {
    type Err = InvalidRoom;

    fn from_str(text: &str) -> Result<Self, InvalidRoom> {
        let text = text.trim();
        let length = text.chars().take(TITLE_MAX_CHARS + 1).count();
        match (1..=TITLE_MAX_CHARS).contains(&length) && !text.contains('\0') {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidRoom::Title),
        }
    }
}

/// A member of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomMember {
    /// The user.
    pub user: UserPk,
    /// The role.
    pub role: RoomRole,
}

/// A member of a room, with its role.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedMember {
    /// The user.
    pub user: ChatUser,
    /// The role.
    pub role: RoomRole,
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The title, if it has one.
    pub title: Option<String>,
    members: Arc<[RoomMember]>,
}

impl Room {
    /// A room with these members.
    #[must_use]
    pub fn new(title: Option<String>, mut members: Vec<RoomMember>) -> Self {
        members.sort_by_key(|member| member.user);
        Self { title, members: members.into() }
    }

    /// A room with members that are in the order of their rows.
    #[must_use]
    pub fn of_sorted(title: Option<String>, members: Arc<[RoomMember]>) -> Self {
        Self { title, members }
    }

    /// The members, in the order of their rows.
    #[must_use]
    pub fn members(&self) -> &Arc<[RoomMember]> {
        &self.members
    }

    /// Whether receipts go to all members.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.members.len() <= SMALL_ROOM_MEMBERS
    }

    /// The role of a user; `None` for others.
    #[must_use]
    pub fn role_of(&self, user: UserPk) -> Option<RoomRole> {
        role_in(&self.members, user)
    }

    /// The member who becomes the owner when `leaving` leaves: the one with the lowest row, if no other owner is left.
    #[must_use]
    pub fn successor_of(&self, leaving: UserPk) -> Option<UserPk> {
        let mut others = self.members.iter().filter(|member| member.user != leaving);
        let has_owner = others.clone().any(|member| member.role == RoomRole::Owner);
        others.next().filter(|_| !has_owner).map(|member| member.user)
    }
}

/// The role of a user among members in the order of their rows; `None` for others.
#[must_use]
pub fn role_in(members: &[RoomMember], user: UserPk) -> Option<RoomRole> {
    let index = members.binary_search_by_key(&user, |member| member.user).ok()?;
    Some(members[index].role)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(members: &[(i64, RoomRole)]) -> Room {
        let member = |(user, role): &(i64, RoomRole)| RoomMember { user: UserPk(*user), role: *role };
        Room::new(None, members.iter().map(member).collect())
    }

    #[test]
    fn titles_are_trimmed_and_bounded() {
        assert_eq!(" Night shift ".parse::<RoomTitle>().unwrap().as_str(), "Night shift");
        for wrong in ["", "  ", "a\0b", &"x".repeat(201)] {
            assert_eq!(wrong.parse::<RoomTitle>(), Err(InvalidRoom::Title));
        }
        assert!("é".repeat(200).parse::<RoomTitle>().is_ok());
    }

    #[test]
    fn only_members_have_a_role() {
        let room = room(&[(7, RoomRole::Member), (3, RoomRole::Owner)]);
        assert_eq!(room.role_of(UserPk(3)), Some(RoomRole::Owner));
        assert_eq!(room.role_of(UserPk(7)), Some(RoomRole::Member));
        assert_eq!(room.role_of(UserPk(5)), None);
    }

    #[test]
    fn room_keeps_an_owner_while_it_has_members() {
        use RoomRole::{Member, Owner};
        assert_eq!(room(&[(3, Owner), (5, Member), (7, Member)]).successor_of(UserPk(3)), Some(UserPk(5)));
        assert_eq!(room(&[(3, Owner), (5, Owner)]).successor_of(UserPk(3)), None);
        assert_eq!(room(&[(3, Owner), (5, Member)]).successor_of(UserPk(5)), None);
        assert_eq!(room(&[(3, Owner)]).successor_of(UserPk(3)), None);
    }
}
