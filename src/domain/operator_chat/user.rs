//! Users of operator chat. A user belongs to one tenant, and its profile comes from its token.

use super::ids::{UserId, UserPk};
use crate::domain::clock::Millis;

/// Longest name, picture address, email or role that is stored, in characters.
pub const PROFILE_MAX_CHARS: usize = 500;

/// The profile of a user, from the claims of its token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserProfile {
    /// The display name.
    pub name: Option<String>,
    /// The address of a picture.
    pub avatar: Option<String>,
    /// The email address.
    pub email: Option<String>,
    /// The role.
    pub role: Option<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatUser {
    /// The row.
    pub pk: UserPk,
    /// The name of the identity provider.
    pub tenant: String,
    /// The id within the tenant.
    pub id: UserId,
    /// The profile.
    pub profile: UserProfile,
    /// The end of the last connection, or the last sign of life before it.
    pub last_seen_at: Option<Millis>,
}

impl ChatUser {
    /// The name to show: the profile's, else the id.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.profile.name.as_deref().unwrap_or(self.id.as_str())
    }
}
