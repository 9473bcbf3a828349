//! Groups: asked about, changed, and as they change.

use super::boxed::erased;
use std::sync::PoisonError;
use std::time::Duration;

use whatsapp_rust::types::events::{Event, GroupUpdate};
use whatsapp_rust::wacore::iq::groups::ParticipantChangeResponse;
use whatsapp_rust::{
    GroupCreateOptions, GroupDescription, GroupError, GroupMetadata, GroupParticipantOptions, GroupSubject,
    IqError, Jid as NetworkJid, PreviousDescription,
};

use super::connection_context::Connected;
use super::convert::group_in::{self, Changed};
use super::convert::jid::to_network;
use crate::domain::group::{Group, GroupChange};
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, GroupAnswer, GroupRequest, InboundError, MembersChange, SessionError};

/// How long the network may take to say which groups there are.
const ALL: Duration = Duration::from_secs(20);

/// What became of each member.
type Outcomes = Vec<(Jid, Result<(), &'static str>)>;

/// See [`crate::engine::Session::group`].
pub(super) async fn request(
    connected: &Connected,
    request: GroupRequest,
) -> Result<GroupAnswer, SessionError> {
    let groups = connected.client.groups();
    match request {
        GroupRequest::Create { subject, participants } => create(connected, &subject, &participants).await,
        GroupRequest::Info(group) => as_it_is(connected, &group).await,
        GroupRequest::Participants { group, change, participants } => {
            members(connected, &group, change, &participants).await
        }
        GroupRequest::Subject { group, subject } => {
            let subject = GroupSubject::new(subject).map_err(|_| refused("the name is too long or empty"))?;
            erased(groups.set_subject(to_network(&group), subject)).await.map_err(|error| why(&error))?;
            as_it_is(connected, &group).await
        }
        GroupRequest::Description { group, description } => {
            let text = Some(description).filter(|text| !text.is_empty()).map(GroupDescription::new);
            let text = text.transpose().map_err(|_| refused("the description is too long"))?;
            let set = groups.set_description(to_network(&group), text, PreviousDescription::Resolve);
            erased(set).await.map_err(|error| why(&error))?;
            as_it_is(connected, &group).await
        }
        GroupRequest::InviteLink(group) => link(connected, &group, false).await,
        GroupRequest::RevokeInviteLink(group) => link(connected, &group, true).await,
        GroupRequest::Leave(group) => {
            match erased(groups.leave(to_network(&group))).await.map_err(|error| why(&error)) {
                Ok(()) | Err(SessionError::NotInGroup) => Ok(GroupAnswer::Done),
                Err(error) => Err(error),
            }
        }
    }
}

async fn create(
    connected: &Connected,
    subject: &str,
    participants: &[Jid],
) -> Result<GroupAnswer, SessionError> {
    let subject = GroupSubject::new(subject).map_err(|_| refused("the name is too long or empty"))?;
    let others = participants.iter().filter(|other| !connected.identities.is_me(other));
    let others = others.map(|other| GroupParticipantOptions::new(to_network(other))).collect();
    let options = GroupCreateOptions::new(subject.as_str()).with_participants(others);
    let made = erased(connected.client.groups().create_group(options)).await.map_err(|error| why(&error))?;
    let group = read(connected, &made.metadata).await?;
    Ok(GroupAnswer::Group(group))
}

async fn as_it_is(connected: &Connected, group: &Jid) -> Result<GroupAnswer, SessionError> {
    let told = erased(connected.client.groups().get_metadata(&to_network(group))).await;
    let group = read(connected, &told.map_err(|error| why(&error))?).await?;
    if !group.participants.iter().any(|member| connected.identities.is_me(&member.id)) {
        return Err(SessionError::NotInGroup);
    }
    Ok(GroupAnswer::Group(group))
}

async fn link(connected: &Connected, group: &Jid, reset: bool) -> Result<GroupAnswer, SessionError> {
    let link = erased(connected.client.groups().get_invite_link(to_network(group), reset)).await;
    Ok(GroupAnswer::Link(link.map_err(|error| why(&error))?))
}

async fn members(
    connected: &Connected,
    group: &Jid,
    change: MembersChange,
    people: &[Jid],
) -> Result<GroupAnswer, SessionError> {
    let (groups, to) = (connected.client.groups(), to_network(group));
    let (ours, others): (Vec<&Jid>, Vec<&Jid>) =
        people.iter().partition(|person| connected.identities.is_me(person));
    let mut outcomes: Outcomes = ours.into_iter().map(|me| (me.clone(), Err("not_allowed"))).collect();
    if others.is_empty() {
        return Ok(GroupAnswer::Participants(outcomes));
    }
    let asked: Vec<NetworkJid> = others.iter().map(|person| to_network(person)).collect();
    let told = match change {
        MembersChange::Add => erased(groups.add_participants(to, &asked)).await,
        MembersChange::Remove => erased(groups.remove_participants(to, &asked)).await,
        MembersChange::Promote => erased(groups.promote_participants(to, &asked)).await,
        MembersChange::Demote => erased(groups.demote_participants(to, &asked)).await,
    };
    let told = told.map_err(|error| why(&error))?;
    outcomes.extend(others.into_iter().map(|person| (person.clone(), outcome(connected, person, &told))));
    Ok(GroupAnswer::Participants(outcomes))
}

/// What became of a person; the network answers by either of their ids.
fn outcome(
    connected: &Connected,
    person: &Jid,
    told: &[ParticipantChangeResponse],
) -> Result<(), &'static str> {
    let ids = &connected.identities;
    let is = |jid: &NetworkJid| ids.jid(jid).as_ref() == Some(person) || to_network(person) == *jid;
    let answer = told.iter().find(|answer| is(&answer.jid) || answer.phone_number.as_ref().is_some_and(is));
    match answer.map(|answer| answer.error.as_deref()) {
        Some(Some(code)) if code != "200" => Err(group_in::refusal(code)),
        Some(_) => Ok(()),
        // Of one person, the answer can only be about them.
        None if told.len() == 1 && told.iter().all(ParticipantChangeResponse::is_ok) => Ok(()),
        None => Err("refused_by_network"),
    }
}

async fn read(connected: &Connected, told: &GroupMetadata) -> Result<Group, SessionError> {
    let news = group_in::learnt(&told.participants, &connected.identities);
    if !news.is_empty() {
        let taken = connected.tell(EngineEvent::Contacts(news)).await;
        taken.map_err(|_| refused("who is in the group could not be stored"))?;
    }
    group_in::group_of(told, &connected.identities).ok_or_else(|| refused("it is no group"))
}

/// Tells which groups the account is in: once after each connection is open, before anything else.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn tell_all(connected: &Connected) -> Result<(), InboundError> {
    let groups = connected.client.groups();
    let asked = erased(groups.get_participating());
    let Ok(Ok(told)) = tokio::time::timeout(ALL, asked).await else {
        // They are told at the next connection; until then they stay as they are known.
        tracing::warn!(device = %connected.device, "the network did not say which groups there are");
        return Ok(());
    };
    let mut all = Vec::with_capacity(told.len());
    for told in told.values() {
        let news = group_in::learnt(&told.participants, &connected.identities);
        if !news.is_empty() {
            connected.tell(EngineEvent::Contacts(news)).await?;
        }
        all.extend(group_in::group_of(told, &connected.identities));
    }
    let told = all.iter().map(|group| group.id.clone()).collect();
    *connected.groups_told.lock().unwrap_or_else(PoisonError::into_inner) = told;
    connected.tell(EngineEvent::Groups { groups: all, complete: true }).await
}

/// Tells of an event about groups; others are none of its business.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn heard(connected: &Connected, event: &Event) -> Result<(), InboundError> {
    match event {
        Event::GroupUpdate(told) => changed(connected, told).await,
        Event::PictureUpdate(told) => {
            let ids = &connected.identities;
            let Some(group) = ids.jid(&told.jid).filter(Jid::is_group) else { return Ok(()) };
            let author = told.author.as_ref().and_then(|author| ids.jid(author));
            let (change, participants, text) = (GroupChange::Picture, Vec::new(), None);
            connected.tell(EngineEvent::GroupChanged { group, change, participants, text, author }).await
        }
        _ => Ok(()),
    }
}

async fn changed(connected: &Connected, told: &GroupUpdate) -> Result<(), InboundError> {
    let news = group_in::learnt_of(told, &connected.identities);
    if !news.is_empty() {
        connected.tell(EngineEvent::Contacts(news)).await?;
    }
    match group_in::changed(told, &connected.identities) {
        Changed::Nothing => Ok(()),
        Changed::Event(event) => connected.tell(event).await,
        Changed::Entered(group) => {
            let asked = connected.client.groups();
            let to = to_network(&group);
            let told = tokio::time::timeout(ALL, erased(asked.get_metadata(&to))).await;
            let Ok(Ok(told)) = told else {
                tracing::warn!(device = %connected.device, "a group that the account came into could not be read");
                return Ok(());
            };
            let Ok(group) = read(connected, &told).await else { return Ok(()) };
            connected.tell(EngineEvent::Groups { groups: vec![group], complete: false }).await
        }
    }
}

/// Why the network did not do it.
fn why(error: &GroupError) -> SessionError {
    let GroupError::Iq(IqError::ServerError { code, .. }) = error else {
        return match error {
            GroupError::InvalidRequest(_) => refused("it does not understand the request"),
            GroupError::Iq(IqError::NotConnected | IqError::Disconnected(_)) => SessionError::Offline,
            _ => refused("it did not answer"),
        };
    };
    match code {
        401 => refused("only admins may change this group"),
        403 | 404 | 410 => SessionError::NotInGroup,
        406 => refused("it does not understand the request"),
        409 => refused("somebody else changed the group at the same time; try again"),
        429 => refused("this account changes groups too often; try again later"),
        code => SessionError::Refused(format!("its code is {code}")),
    }
}

fn refused(why: &str) -> SessionError {
    SessionError::Refused(why.to_owned())
}
