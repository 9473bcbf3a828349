//! A group and its rules: who may do what, and what comes of it. Pure.

use crate::server::directory::UNREGISTERED_PREFIX;

/// How many people a group has at most.
pub const MAX_MEMBERS: usize = 1_024;
/// The longest name in characters.
pub const MAX_SUBJECT: usize = 100;
/// The longest description in characters.
pub const MAX_DESCRIPTION: usize = 2_048;

/// What somebody may do in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Write.
    Member,
    /// Change the group.
    Admin,
    /// Change it, and not be removed.
    Superadmin,
}

impl Role {
    /// As the wire has it; plain members have none there.
    #[must_use]
    pub fn on_wire(self) -> Option<&'static str> {
        match self {
            Self::Member => None,
            Self::Admin => Some("admin"),
            Self::Superadmin => Some("superadmin"),
        }
    }

    /// As the control API has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.on_wire().unwrap_or("member")
    }
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub number: String,
    /// What they may do.
    pub role: Role,
}

/// What is done to members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// They come in.
    Add,
    /// They are put out.
    Remove,
    /// They become admins.
    Promote,
    /// They are admins no more.
    Demote,
}

impl Change {
    /// The word for it, on the wire and in the control API.
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

/// Why a change was refused for one person: the network's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The owner stays what they are.
    NotAllowed,
    /// They are not in the group, or nobody has that number.
    NotFound,
    /// They are in it already.
    AlreadyIn,
    /// The group is full.
    Full,
}

impl Refusal {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::NotAllowed => 403,
            Self::NotFound => 404,
            Self::AlreadyIn => 409,
            Self::Full => 419,
        }
    }

    /// The word that the simulator has for it.
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

/// What became of each person.
pub type Outcomes = Vec<(String, Result<(), Refusal>)>;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedGroup {
    /// `…@g.us`.
    pub id: String,
    /// Its name.
    pub subject: String,
    /// What it is for, with the id that each description has.
    pub description: Option<(String, String)>,
    /// Who made it.
    pub owner: Option<String>,
    /// When, in seconds.
    pub created: Option<i64>,
    /// Who is in it, and for whom the order is how long.
    pub members: Vec<Member>,
    /// The secret in its invite link, once somebody asked for it.
    pub invite: Option<String>,
    /// Whether its members call each other by LID.
    pub by_lid: bool,
}

impl SimulatedGroup {
    /// A group that the settings describe, with `others` besides the account.
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

    /// A group that somebody makes now, with nobody else in it.
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

    /// What somebody may do; `None`: they are not in the group.
    #[must_use]
    pub fn role_of(&self, number: &str) -> Option<Role> {
        self.members.iter().find(|member| member.number == number).map(|member| member.role)
    }

    /// Whether somebody may change the group.
    #[must_use]
    pub fn is_admin(&self, number: &str) -> bool {
        self.role_of(number).is_some_and(|role| role != Role::Member)
    }

    /// Who writes in a group is in it; whether that is news.
    pub fn meet(&mut self, writer: &str) -> bool {
        let news = self.role_of(writer).is_none() && self.members.len() < MAX_MEMBERS;
        if news {
            self.members.push(Member { number: writer.to_owned(), role: Role::Member });
        }
        news
    }

    /// Adds, removes, promotes or demotes, each person by themselves.
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

    /// Somebody goes; when no admin is left, who is there longest becomes one.
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
    fn each_person_is_added_by_themselves() {
        let mut group_state = SimulatedGroup::made("1@g.us", "Mine", ME, 0);
        let outcomes = group_state.change(Change::Add, &numbers(&["15550110001", "15550190001", ME]));
        let became: Vec<_> = outcomes.into_iter().map(|(_, became)| became).collect();
        assert_eq!(became, [Ok(()), Err(Refusal::NotFound), Err(Refusal::AlreadyIn)]);
        assert_eq!(group_state.role_of("15550110001"), Some(Role::Member));
    }

    #[test]
    fn the_owner_is_neither_removed_nor_demoted() {
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
    fn when_the_last_admin_leaves_who_is_there_longest_follows() {
        let mut group_state = SimulatedGroup::made("1@g.us", "Mine", ME, 0);
        group_state.change(Change::Add, &numbers(&["15550110001", "15550110002"]));
        group_state.leave(ME);
        assert_eq!(group_state.role_of("15550110001"), Some(Role::Admin));
        assert_eq!(group_state.role_of("15550110002"), Some(Role::Member));
    }
}
