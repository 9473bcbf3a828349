//! Users of operator chat. A user belongs to one tenant, and its profile comes from its token.

use super::ids::{UserId, UserPk};
use crate::domain::clock::Millis;

/// The tenant of contacts and of other systems that write as the device; no identity provider has this name.
pub const CONTACTS: &str = "";
/// The tenant of users who sign in without proof, for development.
pub const PLAIN_TENANT: &str = "plain";
/// The id, in the tenant of contacts, of the author of system messages.
pub const DAEMON: &str = "system";
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
    /// The type, which the `namespace` dialect shows.
    pub user_type: Option<String>,
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
        self.profile.name.as_deref().unwrap_or(self.bare_id())
    }

    /// Whether this user is the author of system messages.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.tenant == CONTACTS && self.id.as_str() == DAEMON
    }

    /// Whether this user stands for a contact of a device; its id is `c<number>`.
    #[must_use]
    pub fn is_contact(&self) -> bool {
        let number = self.id.as_str().strip_prefix('c').filter(|number| !number.is_empty());
        self.tenant == CONTACTS && number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    }

    /// The id without the type. The id of a user of a typed identity provider is `<type>:<id>`.
    #[must_use]
    pub fn bare_id(&self) -> &str {
        let id = self.id.as_str();
        let of_type = self.profile.user_type.as_deref().and_then(|user_type| id.strip_prefix(user_type));
        of_type.and_then(|rest| rest.strip_prefix(':')).unwrap_or(id)
    }

    /// Whether the identity provider identifies users by type and id.
    #[must_use]
    pub fn is_typed(&self) -> bool {
        self.bare_id().len() != self.id.as_str().len()
    }

    /// The id that this user's tenant has for another user.
    #[must_use]
    pub fn tenant_id(&self, user_type: &str, bare_id: &str) -> String {
        if self.is_typed() { format!("{user_type}:{bare_id}") } else { bare_id.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str, user_type: Option<&str>) -> ChatUser {
        let profile = UserProfile { user_type: user_type.map(str::to_owned), ..UserProfile::default() };
        let (pk, tenant, id) = (UserPk(1), "desk".to_owned(), id.parse().unwrap());
        ChatUser { pk, tenant, id, profile, last_seen_at: None }
    }

    #[test]
    fn typed_user_has_a_bare_id() {
        let typed = user("brand:7", Some("brand"));
        assert_eq!((typed.bare_id(), typed.is_typed()), ("7", true));
        assert_eq!(typed.tenant_id("influencer", "8"), "influencer:8");
        for plain in [user("7", Some("brand")), user("brand:7", None), user("brandy:7", Some("brand"))] {
            assert_eq!((plain.bare_id(), plain.is_typed()), (plain.id.as_str(), false));
            assert_eq!(plain.tenant_id("brand", "8"), "8");
        }
    }
}
