//! Groups: requests, changes, and events of the network.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use whatsapp_rust::types::events::{Event, GroupUpdate};
use whatsapp_rust::wacore::iq::groups::ParticipantChangeResponse;
use whatsapp_rust::{
    GroupCreateOptions, GroupDescription, GroupError, GroupMetadata, GroupParticipantOptions, GroupSubject,
    IqError, Jid as NetworkJid, PreviousDescription,
};

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::convert::group_in::{self, GroupUpdateEffect};
use super::convert::jid::to_network;
use crate::domain::group::{Group, GroupChange};
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, GroupAnswer, GroupRequest, InboundError, MembersChange, SessionError};

/// How long the network may take to list the groups.
const ALL: Duration = Duration::from_secs(20);
/// How long a new connection waits for the groups before it is open.
const BEFORE_OPEN: Duration = Duration::from_secs(2);
/// Queries of the groups while they are being changed.
const MAX_QUERIES: u32 = 3;

/// Reads the groups once the connection has logged in. Runs in its own task, because the network may not answer.
pub(super) async fn run(context: Arc<ConnectionContext>) {
    context.group_reading.logged_in.notified().await;
    if let Err(error) = deliver_all(&context).await {
        tracing::warn!(device = %context.device, %error, "groups not stored; read again with the next connection");
    }
    context.group_reading.done.cancel();
}

/// Starts reading the groups, and waits for them for a short time.
pub(super) async fn start_reading(context: &ConnectionContext) {
    context.group_reading.logged_in.notify_one();
    let done = context.group_reading.done.cancelled();
    if tokio::time::timeout(BEFORE_OPEN, done).await.is_err() {
        tracing::info!(device = %context.device, "the network has not listed the groups yet; the device is online without them");
    }
}

/// The result for each member.
type Outcomes = Vec<(Jid, Result<(), &'static str>)>;

/// See [`crate::engine::Session::group`].
pub(super) async fn request(
    context: &ConnectionContext,
    request: GroupRequest,
) -> Result<GroupAnswer, SessionError> {
    context.group_reading.record_change().await;
    let answer = send_request(context, request).await;
    context.group_reading.record_change().await;
    answer
}

async fn send_request(
    context: &ConnectionContext,
    request: GroupRequest,
) -> Result<GroupAnswer, SessionError> {
    let groups = context.client.groups();
    match request {
        GroupRequest::Create { subject, participants } => create(context, &subject, &participants).await,
        GroupRequest::Info(group) => info(context, &group).await,
        GroupRequest::Participants { group, change, participants } => {
            members(context, &group, change, &participants).await
        }
        GroupRequest::Subject { group, subject } => {
            let subject = GroupSubject::new(subject).map_err(|_| refused("the name is too long or empty"))?;
            boxed(groups.set_subject(to_network(&group), subject))
                .await
                .map_err(|error| session_error(&error))?;
            info(context, &group).await
        }
        GroupRequest::Description { group, description } => {
            let text = Some(description).filter(|text| !text.is_empty()).map(GroupDescription::new);
            let text = text.transpose().map_err(|_| refused("the description is too long"))?;
            let set = groups.set_description(to_network(&group), text, PreviousDescription::Resolve);
            boxed(set).await.map_err(|error| session_error(&error))?;
            info(context, &group).await
        }
        GroupRequest::InviteLink(group) => link(context, &group, false).await,
        GroupRequest::RevokeInviteLink(group) => link(context, &group, true).await,
        GroupRequest::Leave(group) => {
            match boxed(groups.leave(to_network(&group))).await.map_err(|error| session_error(&error)) {
                Ok(()) | Err(SessionError::NotInGroup) => Ok(GroupAnswer::Done),
                Err(error) => Err(error),
            }
        }
    }
}

async fn create(
    context: &ConnectionContext,
    subject: &str,
    participants: &[Jid],
) -> Result<GroupAnswer, SessionError> {
    let subject = GroupSubject::new(subject).map_err(|_| refused("the name is too long or empty"))?;
    let others = participants.iter().filter(|other| !context.identities.is_me(other));
    let others = others.map(|other| GroupParticipantOptions::new(to_network(other))).collect();
    let options = GroupCreateOptions::new(subject.as_str()).with_participants(others);
    let made =
        boxed(context.client.groups().create_group(options)).await.map_err(|error| session_error(&error))?;
    let group = convert(context, &made.metadata).await?;
    Ok(GroupAnswer::Group(group))
}

async fn info(context: &ConnectionContext, group: &Jid) -> Result<GroupAnswer, SessionError> {
    let metadata = boxed(context.client.groups().get_metadata(&to_network(group))).await;
    let group = convert(context, &metadata.map_err(|error| session_error(&error))?).await?;
    if !group.participants.iter().any(|member| context.identities.is_me(&member.id)) {
        return Err(SessionError::NotInGroup);
    }
    Ok(GroupAnswer::Group(group))
}

async fn link(context: &ConnectionContext, group: &Jid, reset: bool) -> Result<GroupAnswer, SessionError> {
    let link = boxed(context.client.groups().get_invite_link(to_network(group), reset)).await;
    Ok(GroupAnswer::Link(link.map_err(|error| session_error(&error))?))
}

async fn members(
    context: &ConnectionContext,
    group: &Jid,
    change: MembersChange,
    people: &[Jid],
) -> Result<GroupAnswer, SessionError> {
    let (groups, to) = (context.client.groups(), to_network(group));
    let (ours, others): (Vec<&Jid>, Vec<&Jid>) =
        people.iter().partition(|person| context.identities.is_me(person));
    let mut outcomes: Outcomes = ours.into_iter().map(|me| (me.clone(), Err("not_allowed"))).collect();
    if others.is_empty() {
        return Ok(GroupAnswer::Participants(outcomes));
    }
    let requested: Vec<NetworkJid> = others.iter().map(|person| to_network(person)).collect();
    let responses = match change {
        MembersChange::Add => boxed(groups.add_participants(to, &requested)).await,
        MembersChange::Remove => boxed(groups.remove_participants(to, &requested)).await,
        MembersChange::Promote => boxed(groups.promote_participants(to, &requested)).await,
        MembersChange::Demote => boxed(groups.demote_participants(to, &requested)).await,
    };
    let responses = responses.map_err(|error| session_error(&error))?;
    outcomes.extend(others.into_iter().map(|person| (person.clone(), outcome(context, person, &responses))));
    Ok(GroupAnswer::Participants(outcomes))
}

/// The result for one member; the network answers with either of their ids.
fn outcome(
    context: &ConnectionContext,
    person: &Jid,
    responses: &[ParticipantChangeResponse],
) -> Result<(), &'static str> {
    let ids = &context.identities;
    let is = |jid: &NetworkJid| ids.jid(jid).as_ref() == Some(person) || to_network(person) == *jid;
    let answer =
        responses.iter().find(|answer| is(&answer.jid) || answer.phone_number.as_ref().is_some_and(is));
    match answer.map(|answer| answer.error.as_deref()) {
        Some(Some(code)) if code != "200" => Err(group_in::refusal(code)),
        Some(_) => Ok(()),
        // A single answer to a request about one member concerns that member.
        None if responses.len() == 1 && responses.iter().all(ParticipantChangeResponse::is_ok) => Ok(()),
        None => Err("refused_by_network"),
    }
}

async fn convert(context: &ConnectionContext, metadata: &GroupMetadata) -> Result<Group, SessionError> {
    let updates = group_in::resolved_members(&metadata.participants, &context.identities);
    if !updates.is_empty() {
        let delivered = context.deliver(EngineEvent::Contacts(updates)).await;
        delivered.map_err(|_| refused("the group's members could not be stored"))?;
    }
    group_in::group_of(metadata, &context.identities).ok_or_else(|| refused("it did not return a group"))
}

/// Delivers the account's groups. A list that is older than a change is read again.
///
/// # Errors
/// If the event could not be ingested.
async fn deliver_all(context: &ConnectionContext) -> Result<(), InboundError> {
    let reading = &context.group_reading;
    for _ in 0..MAX_QUERIES {
        let changes = reading.changes.load(Ordering::Relaxed);
        let groups = context.client.groups();
        let requested = boxed(groups.get_participating());
        let Ok(Ok(metadata)) = tokio::time::timeout(ALL, requested).await else { break };
        let _delivering = reading.delivering.lock().await;
        if reading.changes.load(Ordering::Relaxed) == changes {
            return deliver_list(context, &metadata).await;
        }
    }
    // Retried with the next connection; until then the stored groups stay.
    tracing::warn!(device = %context.device, "the network did not list the groups");
    Ok(())
}

async fn deliver_list(
    context: &ConnectionContext,
    metadata: &HashMap<NetworkJid, GroupMetadata>,
) -> Result<(), InboundError> {
    let mut all = Vec::with_capacity(metadata.len());
    for metadata in metadata.values() {
        let updates = group_in::resolved_members(&metadata.participants, &context.identities);
        if !updates.is_empty() {
            context.deliver(EngineEvent::Contacts(updates)).await?;
        }
        all.extend(group_in::group_of(metadata, &context.identities));
    }
    let delivered = all.iter().map(|group| group.id.clone()).collect();
    *context.delivered_groups.lock() = delivered;
    context.deliver(EngineEvent::Groups { groups: all, complete: true }).await
}

/// Delivers a group event; ignores other events.
///
/// # Errors
/// If the event could not be ingested.
pub(super) async fn on_event(context: &ConnectionContext, event: &Event) -> Result<(), InboundError> {
    match event {
        Event::GroupUpdate(update) => on_update(context, update).await,
        Event::PictureUpdate(update) => {
            let ids = &context.identities;
            let Some(group) = ids.jid(&update.jid).filter(Jid::is_group) else { return Ok(()) };
            let author = update.author.as_ref().and_then(|author| ids.jid(author));
            let (change, participants, text) = (GroupChange::Picture, Vec::new(), None);
            context.deliver(EngineEvent::GroupChanged { group, change, participants, text, author }).await
        }
        _ => Ok(()),
    }
}

async fn on_update(context: &ConnectionContext, update: &GroupUpdate) -> Result<(), InboundError> {
    context.group_reading.record_change().await;
    let updates = group_in::resolved_by(update, &context.identities);
    if !updates.is_empty() {
        context.deliver(EngineEvent::Contacts(updates)).await?;
    }
    match group_in::effect_of(update, &context.identities) {
        GroupUpdateEffect::Ignored => Ok(()),
        GroupUpdateEffect::Event(event) => context.deliver(event).await,
        GroupUpdateEffect::Joined(group) => {
            let requested = context.client.groups();
            let to = to_network(&group);
            let metadata = tokio::time::timeout(ALL, boxed(requested.get_metadata(&to))).await;
            let Ok(Ok(metadata)) = metadata else {
                tracing::warn!(device = %context.device, "could not read a group that the account joined");
                return Ok(());
            };
            let Ok(group) = convert(context, &metadata).await else { return Ok(()) };
            context.deliver(EngineEvent::Groups { groups: vec![group], complete: false }).await
        }
    }
}

/// Maps the network's error code.
fn session_error(error: &GroupError) -> SessionError {
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
        409 => refused("another member changed the group at the same time; try again"),
        429 => refused("this account changes groups too often; try again later"),
        code => SessionError::Refused(format!("its code is {code}")),
    }
}

fn refused(reason: &str) -> SessionError {
    SessionError::Refused(reason.to_owned())
}
