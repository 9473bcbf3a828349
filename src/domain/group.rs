//! Groups, their participants and their changes. Participants include the device's own account.

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::jid::Jid;

/// The role of a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Can read and send messages.
    #[default]
    Member,
    /// Can also change the group.
    Admin,
    /// The creator of the group, with the rights of an admin.
    Superadmin,
}

/// A participant of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// The participant's chat id.
    pub id: Jid,
    /// The participant's role.
    #[serde(default)]
    pub role: Role,
}

/// A group, as the network reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The group id, which is also the id of the group's chat.
    pub id: Jid,
    /// The name of the group.
    pub subject: String,
    /// The description of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The creator of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Jid>,
    /// When the group was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Millis>,
    /// All participants, including the device's own account.
    pub participants: Vec<Participant>,
}

/// The kind of a group change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupChange {
    /// The group was created, or the device's own account joined it.
    Created,
    /// Participants joined or were added.
    Add,
    /// Participants were removed.
    Remove,
    /// Participants left the group.
    Leave,
    /// Members were promoted to admins.
    Promote,
    /// Admins were demoted to members.
    Demote,
    /// The name changed.
    Subject,
    /// The description changed.
    Description,
    /// The picture changed.
    Picture,
    /// The invite link changed.
    InviteLink,
}
