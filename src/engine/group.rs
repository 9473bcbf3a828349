//! What an engine is asked of groups.

use crate::domain::group::Group;
use crate::domain::jid::Jid;

/// A request about groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRequest {
    /// Makes one.
    Create {
        /// Its name.
        subject: String,
        /// Who is in it besides our account.
        participants: Vec<Jid>,
    },
    /// What the network knows of one.
    Info(Jid),
    /// Changes who is in it, or what they may do.
    Participants {
        /// Which group.
        group: Jid,
        /// Add, remove, promote or demote.
        change: MembersChange,
        /// Whom.
        participants: Vec<Jid>,
    },
    /// Names it.
    Subject {
        /// Which group.
        group: Jid,
        /// Its new name.
        subject: String,
    },
    /// Describes it; empty takes the description away.
    Description {
        /// Which group.
        group: Jid,
        /// Its new description.
        description: String,
    },
    /// The address by which people come in.
    InviteLink(Jid),
    /// Makes that address void; a new one takes its place.
    RevokeInviteLink(Jid),
    /// Our account leaves. Done as well when it is not in it.
    Leave(Jid),
}

/// What is done to members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembersChange {
    /// They come in.
    Add,
    /// They are removed.
    Remove,
    /// They become admins.
    Promote,
    /// They become members.
    Demote,
}

/// The answer to a [`GroupRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupAnswer {
    /// The group as it now is.
    Group(Group),
    /// Who could be changed, and who not, each with why (a stable code).
    Participants(Vec<(Jid, Result<(), &'static str>)>),
    /// The invite link.
    Link(String),
    /// Done.
    Done,
}
