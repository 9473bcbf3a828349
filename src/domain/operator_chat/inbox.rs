//! Device inboxes: who may use the conversations of a device, and with which rights.
//!
//! By default no user has access. A grant names one user or all users of a role.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

use super::assignment::AutoAssignment;
use super::ids::UserPk;
use super::user::ChatUser;
use crate::domain::ids::DeviceId;
use crate::domain::jid::{Jid, JidKind};

/// The most grants of a device.
pub const MAX_GRANTS: usize = 1_000;
const ROLE: &str = "role:";
const NAME_MAX_CHARS: usize = 128;

/// The access of a user to an inbox; a later variant includes the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InboxRights {
    /// Read conversations.
    Read,
    /// Send messages.
    Reply,
    /// Assign others, close, and manage members.
    Manage,
}

impl InboxRights {
    const ALL: [Self; 3] = [Self::Read, Self::Reply, Self::Manage];

    /// The word in REST and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Reply => "reply",
            Self::Manage => "manage",
        }
    }
}

/// A text that is no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidGrant {
    /// Not the word of a right.
    #[error("must be read, reply or manage")]
    Rights,
    /// Not a user or role of an identity provider.
    #[error("must be <identity>:<user id> or <identity>:role:<role> of a configured identity")]
    Grantee,
}

impl FromStr for InboxRights {
    type Err = InvalidGrant;

    fn from_str(word: &str) -> Result<Self, InvalidGrant> {
        Self::ALL.into_iter().find(|rights| rights.as_str() == word).ok_or(InvalidGrant::Rights)
    }
}

/// The subject of a grant, within a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// One user.
    User {
        /// The tenant.
        tenant: String,
        /// The id.
        id: String,
    },
    /// All users with a role, in any letter case.
    Role {
        /// The tenant.
        tenant: String,
        /// The role.
        role: String,
    },
}

impl Grantee {
    /// Reads `<tenant>:<user id>` or `<tenant>:role:<role>`. The tenant is optional while there is one.
    ///
    /// # Errors
    /// When there is no such tenant, or no id or role.
    pub fn parse(text: &str, tenants: &[&str]) -> Result<Self, InvalidGrant> {
        let after = |tenant: &str| text.strip_prefix(tenant).and_then(|rest| rest.strip_prefix(':'));
        let named = tenants.iter().find_map(|tenant| Some((*tenant, after(tenant)?)));
        let only = || match tenants {
            [tenant] => Some((*tenant, text)),
            _ => None,
        };
        let (tenant, rest) = named.or_else(only).ok_or(InvalidGrant::Grantee)?;
        let (tenant, role) = (tenant.to_owned(), rest.strip_prefix(ROLE));
        let name = role.unwrap_or(rest);
        let is_name = (1..=NAME_MAX_CHARS).contains(&name.chars().take(NAME_MAX_CHARS + 1).count());
        if !is_name || name.contains('\0') {
            return Err(InvalidGrant::Grantee);
        }
        let name = name.to_owned();
        Ok(match role {
            Some(_) => Self::Role { tenant, role: name },
            None => Self::User { tenant, id: name },
        })
    }

    fn names(&self, user: &ChatUser) -> bool {
        match self {
            Self::User { tenant, id } => *tenant == user.tenant && id == user.id.as_str(),
            Self::Role { tenant, role } => {
                let own = user.profile.role.as_ref();
                *tenant == user.tenant && own.is_some_and(|own| own.to_uppercase() == role.to_uppercase())
            }
        }
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { tenant, id } => write!(f, "{tenant}:{id}"),
            Self::Role { tenant, role } => write!(f, "{tenant}:{ROLE}{role}"),
        }
    }
}

/// Where a grant comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantSource {
    /// The API.
    Api,
    /// The device's file.
    File,
    /// The newest token of the user.
    Token,
}

/// Access of a user or a role to an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxGrant {
    /// The subject.
    pub who: Grantee,
    /// The access.
    pub rights: InboxRights,
    /// Where it comes from.
    pub source: GrantSource,
}

/// The widest rights that grants give a user; `None` without access.
#[must_use]
pub fn rights_of(grants: &[InboxGrant], user: &ChatUser) -> Option<InboxRights> {
    grants.iter().filter(|grant| grant.who.names(user)).map(|grant| grant.rights).max()
}

/// One chat of a device, and who may use the device's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceChat {
    /// The device.
    pub device: DeviceId,
    /// The chat.
    pub chat: Jid,
    /// The user that stands for the contact.
    pub contact: UserPk,
    /// The grants of the inbox.
    pub grants: Vec<InboxGrant>,
}

impl DeviceChat {
    /// The rights of a user; `None` without access.
    #[must_use]
    pub fn rights_of(&self, user: &ChatUser) -> Option<InboxRights> {
        rights_of(&self.grants, user)
    }
}

/// The value of `settings.chat.bridge` of a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BridgeMode {
    /// No chat has a conversation.
    #[default]
    Off,
    /// Chats with persons have conversations.
    People,
    /// Chats with persons and groups have conversations.
    All,
}

impl BridgeMode {
    /// Whether a chat has a conversation.
    #[must_use]
    pub fn includes(self, chat: &Jid) -> bool {
        match (self, chat.kind()) {
            (Self::Off, _) | (_, JidKind::Status | JidKind::Newsletter) => false,
            (Self::People, kind) => kind != JidKind::Group,
            (Self::All, _) => true,
        }
    }
}

/// The settings of all device inboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxSettings {
    /// Whether texts in the form of a slash command are commands; else they are sent.
    pub has_commands: bool,
    /// Whether system messages report changes of the workflow.
    pub has_system_lines: bool,
    /// Who gets a conversation without an assignee.
    pub assignment: AutoAssignment,
    /// The users who mark messages read at the network by reading them.
    pub read_marks: NetworkReadMarks,
}

/// The value of `chat.bridge.read`: the users who mark messages read at the network by reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkReadMarks {
    /// That of the assignee; of everyone while there is none.
    Assignee,
    /// That of everyone.
    Any,
    /// Of no one.
    Never,
}

impl NetworkReadMarks {
    /// Whether the reading of a user counts.
    #[must_use]
    pub fn counts(self, reader: UserPk, assignee: Option<UserPk>) -> bool {
        match self {
            Self::Assignee => assignee.is_none_or(|assignee| assignee == reader),
            Self::Any => true,
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::user::UserProfile;
    use super::*;

    fn user(tenant: &str, id: &str, role: Option<&str>) -> ChatUser {
        ChatUser {
            pk: UserPk(1),
            tenant: tenant.to_owned(),
            id: id.parse().unwrap(),
            profile: UserProfile { role: role.map(str::to_owned), ..UserProfile::default() },
            last_seen_at: None,
        }
    }

    fn grant(who: &str, rights: InboxRights) -> InboxGrant {
        InboxGrant { who: Grantee::parse(who, &["desk", "shop"]).unwrap(), rights, source: GrantSource::Api }
    }

    #[test]
    fn widest_grant_of_user_and_role_counts() {
        let grants = [grant("desk:role:support", InboxRights::Read), grant("desk:anna", InboxRights::Manage)];
        let anna = user("desk", "anna", Some("SUPPORT"));
        assert_eq!(rights_of(&grants, &anna), Some(InboxRights::Manage));
        assert_eq!(rights_of(&grants, &user("desk", "ben", Some("Support"))), Some(InboxRights::Read));
        assert_eq!(rights_of(&grants, &user("desk", "ben", None)), None);
        assert_eq!(rights_of(&grants, &user("shop", "anna", Some("SUPPORT"))), None);
    }

    #[test]
    fn grantee_needs_a_configured_identity() {
        assert_eq!(Grantee::parse("anna", &["desk"]).unwrap().to_string(), "desk:anna");
        assert_eq!(Grantee::parse("desk:role:x", &["desk"]).unwrap().to_string(), "desk:role:x");
        let both = &["desk", "shop"][..];
        for (wrong, tenants) in [("anna", both), ("desk:", &["desk"][..]), ("desk:role:", both)] {
            assert_eq!(Grantee::parse(wrong, tenants), Err(InvalidGrant::Grantee), "{wrong}");
        }
    }
}
