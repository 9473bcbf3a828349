//! The rules of groups: who may do what, and what comes of it. Pure.

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
/// Where invite links lead: nowhere.
const LINKS: &str = "https://chat.invalid/";

/// A group as the network keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SimulatedGroup {
    pub(super) group: Group,
    /// The secret in its invite link, once somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) invite: Option<String>,
}

/// What became of each member: done, or a stable code that says why not.
pub(super) type Outcomes = Vec<(Jid, Result<(), &'static str>)>;

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

    /// A group that nobody described, known because somebody writes in it.
    pub(super) fn from_message(id: &Jid, me: &Jid) -> Self {
        let setting = GroupSetting {
            id: id.clone(),
            subject: format!("Group {}", id.user()),
            participants: Vec::new(),
            admin: true,
        };
        Self::of_setting(setting, Some(me))
    }

    /// Who writes in a group is in it; whether that is news.
    pub(super) fn add_writer(&mut self, writer: &Jid) -> bool {
        let news = self.role_of(writer).is_none() && self.group.participants.len() < MAX_PARTICIPANTS;
        if news {
            self.group.participants.push(member(writer.clone(), Role::Member));
        }
        news
    }

    pub(super) fn role_of(&self, jid: &Jid) -> Option<Role> {
        self.group.participants.iter().find(|p| p.id == *jid).map(|p| p.role)
    }

    /// Whether this member may change the group.
    pub(super) fn is_admin(&self, jid: &Jid) -> bool {
        self.role_of(jid).is_some_and(|role| role != Role::Member)
    }

    /// Who is in it besides the account; `None` when the account is not.
    pub(super) fn others(&self, me: Option<&Jid>) -> Option<Vec<Jid>> {
        let me = me?;
        self.role_of(me)?;
        let others = self.group.participants.iter().filter(|p| p.id != *me);
        Some(others.map(|p| p.id.clone()).collect())
    }

    /// Adds, removes, promotes or demotes, each person by themselves.
    pub(super) fn change_members(&mut self, change: MembersChange, people: &[Jid]) -> Outcomes {
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

    /// Somebody goes; when no admin is left, who is there longest becomes one.
    pub(super) fn leave(&mut self, person: &Jid) {
        let members = &mut self.group.participants;
        members.retain(|p| p.id != *person);
        if members.iter().all(|p| p.role == Role::Member)
            && let Some(first) = members.first_mut()
        {
            first.role = Role::Admin;
        }
    }

    /// These people, with what they may do now.
    pub(super) fn now(&self, people: impl IntoIterator<Item = Jid>) -> Vec<Participant> {
        let now = |id: Jid| Participant { role: self.role_of(&id).unwrap_or_default(), id };
        people.into_iter().map(now).collect()
    }

    /// The address by which people come in; made when it is first asked for.
    pub(super) fn link(&mut self, random: &dyn Random) -> String {
        let secret = self.invite.get_or_insert_with(|| secret(random));
        format!("{LINKS}{secret}")
    }

    /// A new address in place of the old one.
    pub(super) fn new_link(&mut self, random: &dyn Random) -> String {
        self.invite = None;
        self.link(random)
    }
}

/// Somebody in a group.
pub(super) fn member(id: Jid, role: Role) -> Participant {
    Participant { id, role }
}

/// A group's id, as the network makes them.
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
