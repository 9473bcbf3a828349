//! Access control: what one user may do with another, and with a conversation. Every surface asks here.
//!
//! Invariant: nothing crosses tenants. A refusal is answered like the absence of what was requested.

use super::conversation::Conversation;
use super::user::ChatUser;

/// The roles of staff users, in upper case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffRoles(Vec<String>);

/// An access of one user to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserAccess {
    /// Find the user in the directory.
    List,
    /// Send messages to the user, given the id.
    Write,
    /// Read the status and the profile.
    Query,
}

impl StaffRoles {
    /// The configured roles, in any letter case.
    #[must_use]
    pub fn new(roles: &[String]) -> Self {
        Self(roles.iter().map(|role| role.to_uppercase()).collect())
    }

    /// Whether a user is staff: by role, or because the user has none.
    #[must_use]
    pub fn is_staff(&self, user: &ChatUser) -> bool {
        user.profile.role.as_ref().is_none_or(|role| self.0.contains(&role.to_uppercase()))
    }

    /// Whether `viewer` may access `user`. Everyone may write to and query every user of the tenant, and
    /// lists staff users; staff users list all users.
    #[must_use]
    pub fn allows(&self, viewer: &ChatUser, user: &ChatUser, access: UserAccess) -> bool {
        let same_tenant = viewer.tenant == user.tenant;
        match access {
            UserAccess::Write => same_tenant && viewer.pk != user.pk,
            UserAccess::Query => same_tenant,
            UserAccess::List => same_tenant && (self.is_staff(viewer) || self.is_staff(user)),
        }
    }
}

/// Whether a user may read a conversation and write to it.
#[must_use]
pub fn sees_conversation(viewer: &ChatUser, conversation: &Conversation) -> bool {
    match conversation.device_chat() {
        Some(chat) => chat.rights_of(viewer).is_some(),
        None => viewer.tenant == conversation.tenant && conversation.has_member(viewer.pk),
    }
}

#[cfg(test)]
mod tests {
    use super::super::conversation::{ConversationKind, UserPair};
    use super::super::ids::{ConversationId, UserPk};
    use super::super::user::UserProfile;
    use super::*;
    use crate::domain::clock::Millis;

    fn user(pk: i64, tenant: &str, role: Option<&str>) -> ChatUser {
        ChatUser {
            pk: UserPk(pk),
            tenant: tenant.to_owned(),
            id: format!("u{pk}").parse().unwrap(),
            profile: UserProfile { role: role.map(str::to_owned), ..UserProfile::default() },
            last_seen_at: None,
        }
    }

    #[test]
    fn directory_shows_staff_to_everyone() {
        let roles = StaffRoles::new(&["Support".to_owned()]);
        let (staff, plain) = (user(1, "a", Some("SUPPORT")), user(2, "a", Some("artist")));
        let (other, unnamed) = (user(3, "a", Some("artist")), user(4, "a", None));
        let lists = |viewer, listed| roles.allows(viewer, listed, UserAccess::List);
        assert!(lists(&plain, &staff) && lists(&staff, &plain) && lists(&plain, &unnamed));
        assert!(!lists(&plain, &other));
        assert!(roles.allows(&plain, &other, UserAccess::Write));
        assert!(!roles.allows(&plain, &plain, UserAccess::Write));
        assert!(roles.allows(&plain, &plain, UserAccess::Query));
    }

    #[test]
    fn nothing_crosses_tenants() {
        let roles = StaffRoles::new(&[]);
        let (here, there) = (user(1, "a", None), user(2, "b", None));
        for access in [UserAccess::List, UserAccess::Write, UserAccess::Query] {
            assert!(!roles.allows(&here, &there, access));
        }
        let pair = UserPair::new(UserPk(1), UserPk(3)).unwrap();
        let (id, kind) = (ConversationId(1), ConversationKind::Direct(pair));
        let conversation = Conversation { id, tenant: "a".to_owned(), kind, created_at: Millis(0) };
        assert!(sees_conversation(&here, &conversation));
        assert!(!sees_conversation(&there, &conversation));
        assert!(!sees_conversation(&user(5, "a", None), &conversation));
    }
}
