//! A group and its rules for changes. Pure.

use crate::server::directory::UNREGISTERED_PREFIX;

/// The most members of a group.
pub const MAX_MEMBERS: usize = 1_024;
/// The longest subject in characters.
pub const MAX_SUBJECT: usize = 100;
/// The longest description in characters.
pub const MAX_DESCRIPTION: usize = 2_048;

/// A member's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May write.
    Member,
    /// May change the group.
    Admin,
    /// May change the group and cannot be removed.
    Superadmin,
}

impl Role {
    /// The role on the wire, where ordinary members have none.
    #[must_use]
    pub fn on_wire(self) -> Option<&'static str> {
        match self {
            Self::Member => None,
            Self::Admin => Some("admin"),
            Self::Superadmin => Some("superadmin"),
        }
    }

    /// The role in the control API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.on_wire().unwrap_or("member")
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The phone number.
    pub number: String,
    /// The member's role.
    pub role: Role,
}

/// A change of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Adds members.
    Add,
    /// Removes members.
    Remove,
    /// Makes members admins.
    Promote,
    /// Makes admins ordinary members.
    Demote,
}

impl Change {
    /// The name on the wire and in the control API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Promote => "promote",
            Self::Demote => "demote",
        }
    }
}

/// Why a change was refused for one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The owner cannot be changed.
    NotAllowed,
    /// Not in the group, or not registered.
    NotFound,
    /// Already in the group.
    AlreadyIn,
    /// The group is full.
    Full,
}

impl Refusal {
    /// The network's code.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::NotAllowed => 403,
            Self::NotFound => 404,
            Self::AlreadyIn => 409,
            Self::Full => 419,
        }
    }

    /// The simulator's code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::NotFound => "not_in_group",
            Self::AlreadyIn => "already_in_group",
            Self::Full => "group_full",
        }
    }
}

/// The result for each person.
pub type Outcomes = Vec<(String, Result<(), Refusal>)>;

/// A group of the testbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedGroup {
    /// `…@g.us`.
    pub id: String,
    /// The group's name.
    pub subject: String,
    /// The description's id and text.
    pub description: Option<(String, String)>,
    /// The creator's phone number.
    pub owner: Option<String>,
    /// The creation time in seconds.
    pub created: Option<i64>,
    /// The members, in the order in which they joined.
    pub members: Vec<Member>,
    /// The secret of the invite link, once it was requested.
    pub invite: Option<String>,
    /// Whether the group uses LIDs instead of numbers.
    pub by_lid: bool,
}

impl SimulatedGroup {
    /// A group of the settings, with the members `others` besides the account.
    #[must_use]
    pub fn described(id: &str, subject: &str, others: Vec<String>, me: &str, admin: bool) -> Self {
        let others = others.into_iter().filter(|number| number != me);
        let mut members: Vec<Member> = others.map(|number| Member { number, role: Role::Member }).collect();
        let mut owner = None;
        if !admin && let Some(first) = members.first_mut() {
            first.role = Role::Superadmin;
            owner = Some(first.number.clone());
        }
        let own = if admin { Role::Admin } else { Role::Member };
        members.push(Member { number: me.to_owned(), role: own });
        let (id, subject) = (id.to_owned(), subject.to_owned());
        Self { id, subject, description: None, owner, created: None, members, invite: None, by_lid: false }
    }

    /// A new group with its creator as only member.
    #[must_use]
    pub fn made(id: &str, subject: &str, owner: &str, now: i64) -> Self {
        let owner = owner.to_owned();
        Self {
            id: id.to_owned(),
            subject: subject.to_owned(),
            description: None,
            members: vec![Member { number: owner.clone(), role: Role::Superadmin }],
            owner: Some(owner),
            created: Some(now),
            invite: None,
            by_lid: false,
        }
    }

    /// A person's role; `None` if not in the group.
    #[must_use]
    pub fn role_of(&self, number: &str) -> Option<Role> {
        self.members.iter().find(|member| member.number == number).map(|member| member.role)
    }

    /// Whether a person may change the group.
    #[must_use]
    pub fn is_admin(&self, number: &str) -> bool {
        self.role_of(number).is_some_and(|role| role != Role::Member)
    }

    /// Adds an author who is not a member; `true` if added.
    pub fn meet(&mut self, writer: &str) -> bool {
        let is_new = self.role_of(writer).is_none() && self.members.len() < MAX_MEMBERS;
        if is_new {
            self.members.push(Member { number: writer.to_owned(), role: Role::Member });
        }
        is_new
    }

    /// Changes each person separately.
    pub fn change(&mut self, change: Change, people: &[String]) -> Outcomes {
        people.iter().map(|number| (number.clone(), self.change_one(change, number))).collect()
    }

    fn change_one(&mut self, change: Change, number: &str) -> Result<(), Refusal> {
        let size = self.members.len();
        let found = self.members.iter_mut().find(|member| member.number == number);
        match (change, found) {
            (Change::Add, Some(_)) => Err(Refusal::AlreadyIn),
            (Change::Add, None) if !is_on_network(number) => Err(Refusal::NotFound),
            (Change::Add, None) if size >= MAX_MEMBERS => Err(Refusal::Full),
            (Change::Add, None) => {
                self.members.push(Member { number: number.to_owned(), role: Role::Member });
                Ok(())
            }
            (_, None) => Err(Refusal::NotFound),
            (Change::Remove | Change::Demote, Some(found)) if found.role == Role::Superadmin => {
                Err(Refusal::NotAllowed)
            }
            (Change::Remove, Some(_)) => {
                self.members.retain(|member| member.number != number);
                Ok(())
            }
            (Change::Promote, Some(found)) => {
                found.role = found.role.max(Role::Admin);
                Ok(())
            }
            (Change::Demote, Some(found)) => {
                found.role = Role::Member;
                Ok(())
            }
        }
    }

    /// Removes a member; without an admin, the member of longest standing becomes one.
    pub fn leave(&mut self, number: &str) {
        self.members.retain(|member| member.number != number);
        if self.members.iter().all(|member| member.role == Role::Member)
            && let Some(first) = self.members.first_mut()
        {
            first.role = Role::Admin;
        }
    }
}

fn is_on_network(number: &str) -> bool {
    !number.starts_with(UNREGISTERED_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "15550100001";

    fn numbers(numbers: &[&str]) -> Vec<String> {
        numbers.iter().map(|number| (*number).to_owned()).collect()
    }

    #[test]
    fn each_person_is_added_separately() {
        let mut group_state = SimulatedGroup::made("1@g.us", "Mine", ME, 0);
        let outcomes = group_state.change(Change::Add, &numbers(&["15550110001", "15550190001", ME]));
        let became: Vec<_> = outcomes.into_iter().map(|(_, became)| became).collect();
        assert_eq!(became, [Ok(()), Err(Refusal::NotFound), Err(Refusal::AlreadyIn)]);
        assert_eq!(group_state.role_of("15550110001"), Some(Role::Member));
    }

    #[test]
    fn owner_cannot_be_removed_or_demoted() {
        let mut group_state = SimulatedGroup::made("1@g.us", "Mine", ME, 0);
        for change in [Change::Remove, Change::Demote] {
            assert_eq!(
                group_state.change(change, &numbers(&[ME])),
                [(ME.to_owned(), Err(Refusal::NotAllowed))]
            );
        }
        assert_eq!(group_state.role_of(ME), Some(Role::Superadmin));
    }

    #[test]
    fn first_member_succeeds_last_admin() {
        let mut group_state = SimulatedGroup::made("1@g.us", "Mine", ME, 0);
        group_state.change(Change::Add, &numbers(&["15550110001", "15550110002"]));
        group_state.leave(ME);
        assert_eq!(group_state.role_of("15550110001"), Some(Role::Admin));
        assert_eq!(group_state.role_of("15550110002"), Some(Role::Member));
    }
}
