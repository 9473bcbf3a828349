//! Group requests to engines.

use crate::domain::group::Group;
use crate::domain::jid::Jid;

/// A request about groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRequest {
    /// Creates a group.
    Create {
        /// The new group's name.
        subject: String,
        /// The members besides our account.
        participants: Vec<Jid>,
    },
    /// Reads a group.
    Info(Jid),
    /// Changes the members or their roles.
    Participants {
        /// The group.
        group: Jid,
        /// Add, remove, promote or demote.
        change: MembersChange,
        /// The members to change.
        participants: Vec<Jid>,
    },
    /// Renames a group.
    Subject {
        /// The group.
        group: Jid,
        /// The new name.
        subject: String,
    },
    /// Sets the description; an empty one removes it.
    Description {
        /// The group.
        group: Jid,
        /// The new description.
        description: String,
    },
    /// Reads the invite link.
    InviteLink(Jid),
    /// Replaces the invite link.
    RevokeInviteLink(Jid),
    /// Leaves the group; succeeds if our account is not a member.
    Leave(Jid),
}

/// A change of a group's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembersChange {
    /// Adds members.
    Add,
    /// Removes members.
    Remove,
    /// Makes members admins.
    Promote,
    /// Makes admins ordinary members.
    Demote,
}

/// The answer to a [`GroupRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupAnswer {
    /// The current group.
    Group(Group),
    /// The result for each member, with a stable code for failures.
    Participants(Vec<(Jid, Result<(), &'static str>)>),
    /// The invite link.
    Link(String),
    /// The request succeeded without a result.
    Done,
}
