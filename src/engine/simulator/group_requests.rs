//! What the device asks about groups, and what the network then tells it.

use tokio::time::Instant;

use super::changes::refused;
use super::delivery_queue::Due;
use super::group_book::{ChangeError, GroupContext};
use super::group_rules::{self, MAX_DESCRIPTION, MAX_SUBJECT, Outcomes, SimulatedGroup, member};
use super::session::SimulatorSession;
use super::settings::MAX_PARTICIPANTS;
use crate::domain::group::{Group, GroupChange, Participant, Role};
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, GroupAnswer, GroupRequest, MembersChange, SessionError};

/// A change that the account made.
struct Made {
    change: GroupChange,
    participants: Vec<Participant>,
    text: Option<String>,
}

impl Made {
    fn of(change: GroupChange) -> Self {
        Self { change, participants: Vec::new(), text: None }
    }
}

impl SimulatorSession {
    /// See [`crate::engine::Session::group`].
    pub(super) async fn handle_group_request(
        &self,
        request: GroupRequest,
    ) -> Result<GroupAnswer, SessionError> {
        let world = self.device.group_context();
        let me = world.me.clone().ok_or_else(|| refused("no account is linked"))?;
        match request {
            GroupRequest::Create { subject, participants } => self.create(&me, subject, &participants).await,
            GroupRequest::Info(group) => {
                let circle = self.device.groups.get(&world, &group).await.ok_or(SessionError::NotInGroup)?;
                inside(&circle, &me)?;
                Ok(GroupAnswer::Group(circle.group))
            }
            GroupRequest::Participants { group, change, participants } => {
                let change_members = |circle: &mut SimulatedGroup| {
                    let outcomes = circle.change_members(change, &without(&participants, &me));
                    let ours = participants.iter().filter(|person| **person == me);
                    let ours = ours.map(|me| (me.clone(), Err("not_allowed")));
                    Ok(outcomes.into_iter().chain(ours).collect::<Outcomes>())
                };
                let (circle, outcomes) = self.as_admin(&world, &me, &group, change_members).await?;
                self.schedule_member_change(&me, &circle, change, &outcomes);
                Ok(GroupAnswer::Participants(outcomes))
            }
            GroupRequest::Subject { group, subject } => {
                named(&subject)?;
                let set = |circle: &mut SimulatedGroup| {
                    circle.group.subject.clone_from(&subject);
                    Ok(())
                };
                let (circle, ()) = self.as_admin(&world, &me, &group, set).await?;
                self.schedule_group_change(
                    &me,
                    &circle,
                    Made { text: Some(subject), ..Made::of(GroupChange::Subject) },
                );
                Ok(GroupAnswer::Group(circle.group))
            }
            GroupRequest::Description { group, description } => {
                if description.chars().count() > MAX_DESCRIPTION {
                    return Err(refused("the description is too long"));
                }
                let set = |circle: &mut SimulatedGroup| {
                    circle.group.description = Some(description.clone()).filter(|text| !text.is_empty());
                    Ok(())
                };
                let (circle, ()) = self.as_admin(&world, &me, &group, set).await?;
                let made = Made { text: Some(description), ..Made::of(GroupChange::Description) };
                self.schedule_group_change(&me, &circle, made);
                Ok(GroupAnswer::Group(circle.group))
            }
            GroupRequest::InviteLink(group) => {
                let link = |circle: &mut SimulatedGroup| Ok(circle.link(self.random.as_ref()));
                let (_, link) = self.as_admin(&world, &me, &group, link).await?;
                Ok(GroupAnswer::Link(link))
            }
            GroupRequest::RevokeInviteLink(group) => {
                let link = |circle: &mut SimulatedGroup| Ok(circle.new_link(self.random.as_ref()));
                let (circle, link) = self.as_admin(&world, &me, &group, link).await?;
                self.schedule_group_change(&me, &circle, Made::of(GroupChange::InviteLink));
                Ok(GroupAnswer::Link(link))
            }
            GroupRequest::Leave(group) => self.leave(&world, &me, &group).await,
        }
    }

    async fn create(
        &self,
        me: &Jid,
        subject: String,
        participants: &[Jid],
    ) -> Result<GroupAnswer, SessionError> {
        named(&subject)?;
        if participants.len() >= MAX_PARTICIPANTS {
            return Err(refused("a group has at most 1024 members"));
        }
        let group = Group {
            id: group_rules::new_id(self.random.as_ref())
                .ok_or_else(|| refused("no group can be made now"))?,
            subject: subject.clone(),
            description: None,
            owner: Some(me.clone()),
            created_at: Some(self.clock.now()),
            participants: vec![member(me.clone(), Role::Superadmin)],
        };
        let mut circle = SimulatedGroup { group, invite: None };
        // Whom the network does not know is left out, as when they are added later.
        circle.change_members(MembersChange::Add, &without(participants, me));
        self.device.groups.put(circle.clone()).await.map_err(not_changed)?;
        self.schedule_event(EngineEvent::Groups { groups: vec![circle.group.clone()], complete: false });
        let participants = circle.group.participants.clone();
        self.schedule_group_change(
            me,
            &circle,
            Made { change: GroupChange::Created, participants, text: Some(subject) },
        );
        Ok(GroupAnswer::Group(circle.group))
    }

    async fn leave(&self, world: &GroupContext, me: &Jid, group: &Jid) -> Result<GroupAnswer, SessionError> {
        let leave = |circle: &mut SimulatedGroup| {
            inside(circle, me)?;
            circle.leave(me);
            Ok(())
        };
        let left = self.device.groups.change(world, group, leave).await.map_err(not_changed);
        let circle = match left {
            Ok((circle, ())) => circle,
            Err(SessionError::NotInGroup) => return Ok(GroupAnswer::Done),
            Err(error) => return Err(error),
        };
        let participants = circle.now([me.clone()]);
        self.schedule_group_change(me, &circle, Made { participants, ..Made::of(GroupChange::Leave) });
        Ok(GroupAnswer::Done)
    }

    /// Changes a group that the account is an admin of.
    async fn as_admin<T>(
        &self,
        world: &GroupContext,
        me: &Jid,
        group: &Jid,
        change: impl FnOnce(&mut SimulatedGroup) -> Result<T, SessionError>,
    ) -> Result<(SimulatedGroup, T), SessionError> {
        let allowed = |circle: &mut SimulatedGroup| {
            inside(circle, me)?;
            if !circle.is_admin(me) {
                return Err(refused("only admins may change this group"));
            }
            change(circle)
        };
        self.device.groups.change(world, group, allowed).await.map_err(not_changed)
    }

    fn schedule_member_change(
        &self,
        me: &Jid,
        circle: &SimulatedGroup,
        change: MembersChange,
        outcomes: &Outcomes,
    ) {
        let done = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(who, _)| who.clone());
        let participants = circle.now(done);
        if !participants.is_empty() {
            self.schedule_group_change(me, circle, Made { participants, ..Made::of(word(change)) });
        }
    }

    fn schedule_group_change(&self, me: &Jid, circle: &SimulatedGroup, made: Made) {
        let Made { change, participants, text } = made;
        let (group, author) = (circle.group.id.clone(), Some(me.clone()));
        self.schedule_event(EngineEvent::GroupChanged { group, change, participants, text, author });
    }

    fn schedule_event(&self, event: EngineEvent) {
        self.device.schedule(Instant::now(), Due::event(event), None);
    }
}

/// What a change of members is called when it is told.
fn word(change: MembersChange) -> GroupChange {
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

fn inside(circle: &SimulatedGroup, me: &Jid) -> Result<(), SessionError> {
    circle.role_of(me).map(|_| ()).ok_or(SessionError::NotInGroup)
}

fn named(subject: &str) -> Result<(), SessionError> {
    if !(1..=MAX_SUBJECT).contains(&subject.chars().count()) {
        return Err(refused("a group's name has 1 to 100 characters"));
    }
    Ok(())
}

fn not_changed(error: ChangeError<SessionError>) -> SessionError {
    match error {
        ChangeError::Unknown => SessionError::NotInGroup,
        ChangeError::TooMany => refused("the account is in as many groups as may be"),
        ChangeError::Refused(error) => error,
        ChangeError::Storage(error) => SessionError::Refused(error.to_string()),
    }
}
