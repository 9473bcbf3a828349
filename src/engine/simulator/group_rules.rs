//! The rules of groups: roles, membership changes and invite links. Pure functions.
//!
//! A member change has a result for each person; one refusal does not stop the others.

use serde::{Deserialize, Serialize};

use super::generator;
use super::settings::{GroupSetting, MAX_PARTICIPANTS};
use crate::domain::clock::Random;
use crate::domain::group::{Group, Participant, Role};
use crate::domain::jid::Jid;
use crate::engine::MembersChange;

/// The longest name and description in characters.
pub(super) const MAX_SUBJECT: usize = 100;
pub(super) const MAX_DESCRIPTION: usize = 2_048;
/// Invite links begin with this address, which never resolves.
const LINKS: &str = "https://chat.invalid/";

/// A group as the network stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SimulatedGroup {
    pub(super) group: Group,
    /// The secret part of its invite link; created at the first request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) invite: Option<String>,
}

/// The result for each person: done, or a stable code of the refusal.
pub(super) type MemberResults = Vec<(Jid, Result<(), &'static str>)>;

impl SimulatedGroup {
    /// A group that the settings describe.
    pub(super) fn of_setting(setting: GroupSetting, me: Option<&Jid>) -> Self {
        let GroupSetting { id, subject, participants, admin } = setting;
        let others = participants.into_iter().filter(|other| Some(other) != me);
        let mut participants: Vec<Participant> = others.map(|id| member(id, Role::Member)).collect();
        let mut owner = None;
        if !admin && let Some(first) = participants.first_mut() {
            first.role = Role::Superadmin;
            owner = Some(first.id.clone());
        }
        let own = if admin { Role::Admin } else { Role::Member };
        participants.extend(me.map(|me| member(me.clone(), own)));
        let group = Group { id, subject, description: None, owner, created_at: None, participants };
        Self { group, invite: None }
    }

    /// A group outside the settings, created by the first message in it.
    pub(super) fn from_message(id: &Jid, me: &Jid) -> Self {
        let setting = GroupSetting {
            id: id.clone(),
            subject: format!("Group {}", id.user()),
            participants: Vec::new(),
            admin: true,
        };
        Self::of_setting(setting, Some(me))
    }

    /// Adds the writer of a message as a member; returns whether the group changed.
    pub(super) fn add_writer(&mut self, writer: &Jid) -> bool {
        let is_new = self.role_of(writer).is_none() && self.group.participants.len() < MAX_PARTICIPANTS;
        if is_new {
            self.group.participants.push(member(writer.clone(), Role::Member));
        }
        is_new
    }

    pub(super) fn role_of(&self, jid: &Jid) -> Option<Role> {
        self.group.participants.iter().find(|p| p.id == *jid).map(|p| p.role)
    }

    /// Whether this member may change the group.
    pub(super) fn is_admin(&self, jid: &Jid) -> bool {
        self.role_of(jid).is_some_and(|role| role != Role::Member)
    }

    /// The other members; `None` when the account is not a member.
    pub(super) fn others(&self, me: Option<&Jid>) -> Option<Vec<Jid>> {
        let me = me?;
        self.role_of(me)?;
        let others = self.group.participants.iter().filter(|p| p.id != *me);
        Some(others.map(|p| p.id.clone()).collect())
    }

    /// Adds, removes, promotes or demotes each person.
    pub(super) fn change_members(&mut self, change: MembersChange, people: &[Jid]) -> MemberResults {
        people.iter().map(|person| (person.clone(), self.change_member(change, person))).collect()
    }

    fn change_member(&mut self, change: MembersChange, person: &Jid) -> Result<(), &'static str> {
        let size = self.group.participants.len();
        let found = self.group.participants.iter_mut().find(|p| p.id == *person);
        match (change, found) {
            (MembersChange::Add, Some(_)) => Err("already_in_group"),
            (MembersChange::Add, None) if !generator::is_on_network(person) => Err("not_on_network"),
            (MembersChange::Add, None) if size >= MAX_PARTICIPANTS => Err("group_full"),
            (MembersChange::Add, None) => {
                self.group.participants.push(member(person.clone(), Role::Member));
                Ok(())
            }
            (_, None) => Err("not_in_group"),
            (MembersChange::Remove | MembersChange::Demote, Some(found))
                if found.role == Role::Superadmin =>
            {
                Err("not_allowed")
            }
            (MembersChange::Remove, Some(_)) => {
                self.group.participants.retain(|p| p.id != *person);
                Ok(())
            }
            (MembersChange::Promote, Some(found)) => {
                if found.role == Role::Member {
                    found.role = Role::Admin;
                }
                Ok(())
            }
            (MembersChange::Demote, Some(found)) => {
                found.role = Role::Member;
                Ok(())
            }
        }
    }

    /// Removes a member; when no admin is left, the oldest member becomes one.
    pub(super) fn leave(&mut self, person: &Jid) {
        let members = &mut self.group.participants;
        members.retain(|p| p.id != *person);
        if members.iter().all(|p| p.role == Role::Member)
            && let Some(first) = members.first_mut()
        {
            first.role = Role::Admin;
        }
    }

    /// These people with their present roles.
    pub(super) fn with_roles(&self, people: impl IntoIterator<Item = Jid>) -> Vec<Participant> {
        let with_role = |id: Jid| Participant { role: self.role_of(&id).unwrap_or_default(), id };
        people.into_iter().map(with_role).collect()
    }

    /// The invite link; created at the first request.
    pub(super) fn link(&mut self, random: &dyn Random) -> String {
        let secret = self.invite.get_or_insert_with(|| secret(random));
        format!("{LINKS}{secret}")
    }

    /// Replaces the invite link.
    pub(super) fn new_link(&mut self, random: &dyn Random) -> String {
        self.invite = None;
        self.link(random)
    }
}

pub(super) fn member(id: Jid, role: Role) -> Participant {
    Participant { id, role }
}

/// A random group id; `None` if it is not a valid one.
pub(super) fn new_id(random: &dyn Random) -> Option<Jid> {
    let mut bytes = [0_u8; 8];
    random.fill(&mut bytes);
    let number = u64::from_le_bytes(bytes) % 100_000_000_000;
    format!("1203631{number:011}@g.us").parse().ok()
}

fn secret(random: &dyn Random) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0_u8; 22];
    random.fill(&mut bytes);
    bytes
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect()
}
