//! Serves the device's requests about groups, and schedules the events by which the network reports
//! the changes.
//!
//! Only admins change a group; every member may leave it.

use tokio::time::Instant;

use super::delivery_queue::Due;
use super::group_rules::{self, MAX_DESCRIPTION, MAX_SUBJECT, MemberResults, SimulatedGroup, member};
use super::group_store::{GroupContext, GroupError};
use super::session::{SimulatorSession, refused};
use super::settings::MAX_PARTICIPANTS;
use crate::domain::group::{Group, GroupChange, Participant, Role};
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, GroupAnswer, GroupRequest, MembersChange, SessionError};

/// The account and the groups at the time of a request.
struct Requester {
    context: GroupContext,
    me: Jid,
}

impl SimulatorSession {
    /// See [`crate::engine::Session::group`].
    pub(super) async fn handle_group_request(
        &self,
        request: GroupRequest,
    ) -> Result<GroupAnswer, SessionError> {
        let context = self.device.group_context();
        let me = context.me.clone().ok_or_else(|| refused("no account is linked"))?;
        let requester = Requester { context, me };
        match request {
            GroupRequest::Create { subject, participants } => {
                self.create_group(&requester, subject, &participants).await
            }
            GroupRequest::Info(id) => {
                let group = self.device.groups.get(&requester.context, &id).await;
                let group = group.ok_or(SessionError::NotInGroup)?;
                ensure_member(&group, &requester.me)?;
                Ok(GroupAnswer::Group(group.group))
            }
            GroupRequest::Participants { group, change, participants } => {
                self.change_members(&requester, &group, change, &participants).await
            }
            GroupRequest::Subject { group, subject } => {
                ensure_subject(&subject)?;
                let text = subject.clone();
                let set = |group: &mut SimulatedGroup| group.group.subject = subject;
                self.change_text(&requester, &group, GroupChange::Subject, text, set).await
            }
            GroupRequest::Description { group, description } => {
                if description.chars().count() > MAX_DESCRIPTION {
                    return Err(refused("the description is too long"));
                }
                let text = description.clone();
                let set = |group: &mut SimulatedGroup| {
                    group.group.description = Some(description).filter(|text| !text.is_empty());
                };
                self.change_text(&requester, &group, GroupChange::Description, text, set).await
            }
            GroupRequest::InviteLink(id) => {
                let link = |group: &mut SimulatedGroup| group.link(self.random.as_ref());
                let (_, link) = self.change_as_admin(&requester, &id, link).await?;
                Ok(GroupAnswer::Link(link))
            }
            GroupRequest::RevokeInviteLink(id) => {
                let link = |group: &mut SimulatedGroup| group.new_link(self.random.as_ref());
                let (group, link) = self.change_as_admin(&requester, &id, link).await?;
                self.schedule_change(&requester.me, &group, GroupChange::InviteLink, Vec::new(), None);
                Ok(GroupAnswer::Link(link))
            }
            GroupRequest::Leave(id) => self.leave_group(&requester, &id).await,
        }
    }

    async fn create_group(
        &self,
        Requester { me, .. }: &Requester,
        subject: String,
        participants: &[Jid],
    ) -> Result<GroupAnswer, SessionError> {
        ensure_subject(&subject)?;
        if participants.len() >= MAX_PARTICIPANTS {
            return Err(refused("a group has at most 1024 members"));
        }
        let group = Group {
            id: group_rules::new_id(self.random.as_ref()).ok_or_else(|| refused("no group id is left"))?,
            subject: subject.clone(),
            description: None,
            owner: Some(me.clone()),
            created_at: Some(self.clock.now()),
            participants: vec![member(me.clone(), Role::Superadmin)],
        };
        let mut group = SimulatedGroup { group, invite: None };
        // People who are not on the network are skipped, as when they are added later.
        group.change_members(MembersChange::Add, &without(participants, me));
        self.device.groups.put(group.clone()).await.map_err(group_error)?;
        self.schedule_event(EngineEvent::Groups { groups: vec![group.group.clone()], complete: false });
        let members = group.group.participants.clone();
        self.schedule_change(me, &group, GroupChange::Created, members, Some(subject));
        Ok(GroupAnswer::Group(group.group))
    }

    async fn change_members(
        &self,
        requester: &Requester,
        id: &Jid,
        change: MembersChange,
        people: &[Jid],
    ) -> Result<GroupAnswer, SessionError> {
        let me = &requester.me;
        let change_others = |group: &mut SimulatedGroup| {
            let mut results = group.change_members(change, &without(people, me));
            let own = people.iter().filter(|person| *person == me);
            results.extend(own.map(|me| (me.clone(), Err("not_allowed"))));
            results
        };
        let (group, results): (_, MemberResults) = self.change_as_admin(requester, id, change_others).await?;
        let changed = results.iter().filter(|(_, result)| result.is_ok()).map(|(person, _)| person.clone());
        let participants = group.with_roles(changed);
        if !participants.is_empty() {
            self.schedule_change(me, &group, reported_as(change), participants, None);
        }
        Ok(GroupAnswer::Participants(results))
    }

    async fn change_text(
        &self,
        requester: &Requester,
        id: &Jid,
        change: GroupChange,
        text: String,
        set: impl FnOnce(&mut SimulatedGroup),
    ) -> Result<GroupAnswer, SessionError> {
        let (group, ()) = self.change_as_admin(requester, id, set).await?;
        self.schedule_change(&requester.me, &group, change, Vec::new(), Some(text));
        Ok(GroupAnswer::Group(group.group))
    }

    /// Leaves a group; idempotent.
    async fn leave_group(
        &self,
        Requester { context, me }: &Requester,
        id: &Jid,
    ) -> Result<GroupAnswer, SessionError> {
        let leave = |group: &mut SimulatedGroup| {
            ensure_member(group, me)?;
            group.leave(me);
            Ok(())
        };
        match self.device.groups.change(context, id, leave).await.map_err(group_error) {
            Ok((group, ())) => {
                let participants = group.with_roles([me.clone()]);
                self.schedule_change(me, &group, GroupChange::Leave, participants, None);
                Ok(GroupAnswer::Done)
            }
            Err(SessionError::NotInGroup) => Ok(GroupAnswer::Done),
            Err(error) => Err(error),
        }
    }

    /// Changes a group of which the account is an admin.
    async fn change_as_admin<T>(
        &self,
        Requester { context, me }: &Requester,
        id: &Jid,
        change: impl FnOnce(&mut SimulatedGroup) -> T,
    ) -> Result<(SimulatedGroup, T), SessionError> {
        let change = |group: &mut SimulatedGroup| {
            ensure_member(group, me)?;
            if !group.is_admin(me) {
                return Err(refused("only admins may change this group"));
            }
            Ok(change(group))
        };
        self.device.groups.change(context, id, change).await.map_err(group_error)
    }

    fn schedule_change(
        &self,
        me: &Jid,
        group: &SimulatedGroup,
        change: GroupChange,
        participants: Vec<Participant>,
        text: Option<String>,
    ) {
        let (group, author) = (group.group.id.clone(), Some(me.clone()));
        self.schedule_event(EngineEvent::GroupChanged { group, change, participants, text, author });
    }

    fn schedule_event(&self, event: EngineEvent) {
        self.device.schedule(Instant::now(), Due::event(event), None);
    }
}

fn reported_as(change: MembersChange) -> GroupChange {
    match change {
        MembersChange::Add => GroupChange::Add,
        MembersChange::Remove => GroupChange::Remove,
        MembersChange::Promote => GroupChange::Promote,
        MembersChange::Demote => GroupChange::Demote,
    }
}

fn without(people: &[Jid], me: &Jid) -> Vec<Jid> {
    people.iter().filter(|person| *person != me).cloned().collect()
}

fn ensure_member(group: &SimulatedGroup, me: &Jid) -> Result<(), SessionError> {
    group.role_of(me).map(|_| ()).ok_or(SessionError::NotInGroup)
}

fn ensure_subject(subject: &str) -> Result<(), SessionError> {
    if (1..=MAX_SUBJECT).contains(&subject.chars().count()) {
        return Ok(());
    }
    Err(refused("a group's name has 1 to 100 characters"))
}

fn group_error(error: GroupError<SessionError>) -> SessionError {
    match error {
        GroupError::Unknown => SessionError::NotInGroup,
        GroupError::TooMany => refused("the account has reached the maximum number of groups"),
        GroupError::Refused(error) => error,
        GroupError::Vault(error) => SessionError::Refused(error.to_string()),
    }
}
