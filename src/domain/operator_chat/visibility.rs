//! Access control: what one user may do with another, and with a conversation. Every surface asks here.
//!
//! Invariant: nothing crosses tenants. A refusal is answered like the absence of what was requested.

use super::conversation::Conversation;
use super::user::ChatUser;

/// Who lists and writes to whom within a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRules {
    staff_roles: RoleSet,
    /// Rules of single roles, in place of the default ones.
    rules: Vec<DirectoryRule>,
}

/// The directory of the users of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRule {
    /// The tenant.
    pub tenant: String,
    /// The role, in any letter case; empty for users without one.
    pub role: String,
    /// The roles of the users whom they list.
    pub lists: RoleSet,
    /// The roles of the users to whom they write.
    pub writes: RoleSet,
}

/// A set of roles, in any letter case. An empty text stands for users without a role, `*` for all users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSet(Vec<String>);

impl RoleSet {
    /// The set of these roles.
    #[must_use]
    pub fn new(roles: &[String]) -> Self {
        Self(roles.iter().map(|role| role.to_uppercase()).collect())
    }

    fn contains(&self, user: &ChatUser) -> bool {
        let role = role_of(user);
        self.0.iter().any(|known| *known == role || known == "*")
    }
}

fn role_of(user: &ChatUser) -> String {
    user.profile.role.as_deref().unwrap_or_default().to_uppercase()
}

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

impl DirectoryRules {
    /// The rules for these staff roles and single roles.
    #[must_use]
    pub fn new(staff_roles: &[String], rules: Vec<DirectoryRule>) -> Self {
        Self { staff_roles: RoleSet::new(staff_roles), rules }
    }

    /// Whether a user is staff: by role, or because the user has none.
    #[must_use]
    pub fn is_staff(&self, user: &ChatUser) -> bool {
        user.profile.role.is_none() || self.staff_roles.contains(user)
    }

    /// Whether `viewer` may access `user`. By default everyone may write to every user of the tenant, and lists staff
    /// users; staff users list all users. Users to whom one may write may be queried.
    #[must_use]
    pub fn allows(&self, viewer: &ChatUser, user: &ChatUser, access: UserAccess) -> bool {
        if viewer.tenant != user.tenant {
            return false;
        }
        let (rule, is_self) = (self.rule_of(viewer), viewer.pk == user.pk);
        let may_write = rule.is_none_or(|rule| rule.writes.contains(user));
        match access {
            UserAccess::Write => !is_self && may_write,
            UserAccess::Query => is_self || may_write,
            UserAccess::List => match rule {
                Some(rule) => rule.lists.contains(user),
                None => self.is_staff(viewer) || self.is_staff(user),
            },
        }
    }

    fn rule_of(&self, viewer: &ChatUser) -> Option<&DirectoryRule> {
        let role = role_of(viewer);
        self.rules.iter().find(|rule| rule.tenant == viewer.tenant && rule.role.to_uppercase() == role)
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
        let roles = DirectoryRules::new(&["Support".to_owned()], Vec::new());
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
    fn rule_of_a_role_replaces_the_defaults() {
        let set =
            |roles: &[&str]| RoleSet::new(&roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>());
        let rule = |role: &str, lists, writes| DirectoryRule {
            tenant: "a".to_owned(),
            role: role.to_owned(),
            lists: set(lists),
            writes: set(writes),
        };
        let rules = vec![rule("Student", &["ADMIN"], &["admin", "expert"]), rule("", &[], &["*"])];
        let rules = DirectoryRules::new(&["ADMIN".to_owned()], rules);
        let (student, admin) = (user(1, "a", Some("STUDENT")), user(2, "a", Some("Admin")));
        let (expert, other) = (user(3, "a", Some("EXPERT")), user(4, "a", Some("STUDENT")));
        let (nameless, elsewhere) = (user(5, "a", None), user(6, "b", Some("STUDENT")));
        let all = |viewer: &ChatUser, of: &ChatUser| {
            [UserAccess::List, UserAccess::Write, UserAccess::Query]
                .map(|access| rules.allows(viewer, of, access))
        };
        assert_eq!(all(&student, &admin), [true, true, true]);
        assert_eq!(all(&student, &expert), [false, true, true]);
        assert_eq!(all(&student, &other), [false, false, false]);
        assert_eq!(all(&student, &student), [false, false, true]);
        assert_eq!(all(&nameless, &other), [false, true, true]);
        assert_eq!(all(&admin, &student), [true, true, true]);
        assert_eq!(all(&elsewhere, &admin), [false, false, false]);
    }

    #[test]
    fn nothing_crosses_tenants() {
        let roles = DirectoryRules::new(&[], Vec::new());
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
