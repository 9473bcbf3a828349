//! Groups and who is in them.

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::jid::Jid;

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read and write.
    #[default]
    Member,
    /// Also change the group.
    Admin,
    /// The one who made it.
    Superadmin,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Who.
    pub id: Jid,
    /// What they may do.
    #[serde(default)]
    pub role: Role,
}

/// A group as the network knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Its id, which is also its chat's.
    pub id: Jid,
    /// Its name.
    pub subject: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Jid>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Millis>,
    /// Who is in it, our account included.
    pub participants: Vec<Participant>,
}

/// What changed in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupChange {
    /// It was made, or our account came into it.
    Created,
    /// People came.
    Add,
    /// People were removed.
    Remove,
    /// People left by themselves.
    Leave,
    /// Members became admins.
    Promote,
    /// Admins became members.
    Demote,
    /// Its name.
    Subject,
    /// Its description.
    Description,
    /// Its picture.
    Picture,
    /// Its invite link.
    InviteLink,
}
