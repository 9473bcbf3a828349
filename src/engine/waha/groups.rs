//! Groups: the account's list of them, and requests about them.

use serde_json::{Value, json};

use super::client::session_error;
use super::convert::{group_in, ids};
use super::session::WahaSession;
use crate::domain::group::Group;
use crate::domain::jid::Jid;
use crate::engine::relay::client::UpstreamFailure;
use crate::engine::{EngineEvent, GroupAnswer, GroupRequest, MembersChange, SessionEnd, SessionError};
use crate::net::Method;

/// The beginning of an invite link; the server returns only the code.
const INVITE: &str = "https://chat.whatsapp.com/";

/// Delivers the account's groups; a server without such a list is skipped.
pub(super) async fn deliver_groups(session: &WahaSession) -> Result<(), SessionEnd> {
    match session.client.of_session(&["groups"], &[]).await {
        Ok(answer) => {
            let groups = group_in::all(&answer);
            session.context.deliver(EngineEvent::Groups { groups, complete: true }).await
        }
        Err(failure) if failure.is_unauthorized() || failure.is_unreachable() => {
            session.context.answered(Err(failure))
        }
        Err(failure) => {
            tracing::warn!(device = %session.context.device, error = %failure, "the account's groups could not be read");
            Ok(())
        }
    }
}

/// The members of a group besides the account; empty where the server does not list them.
pub(super) async fn other_members(session: &WahaSession, group: &Jid) -> Vec<Jid> {
    let me = session.base.me();
    match info(session, group).await {
        Ok(group) => {
            let members = group.participants.into_iter().map(|member| member.id);
            members.filter(|member| Some(member) != me.as_ref()).collect()
        }
        Err(error) => {
            tracing::debug!(device = %session.context.device, %error, "the members of a group could not be read");
            Vec::new()
        }
    }
}

/// See [`crate::engine::Session::group`].
pub(super) async fn request(
    session: &WahaSession,
    request: GroupRequest,
) -> Result<GroupAnswer, SessionError> {
    match request {
        GroupRequest::Create { subject, participants } => {
            let body = json!({ "name": subject, "participants": people(&participants) });
            let created =
                session.client.to_session(Method::POST, &["groups"], body).await.map_err(session_error)?;
            let id = group_in::id(&created).or_else(|| ids::jid(created.get("gid")));
            let id = id.ok_or_else(|| {
                SessionError::Refused("the WAHA server returned no id of the group".to_owned())
            })?;
            Ok(GroupAnswer::Group(info(session, &id).await?))
        }
        GroupRequest::Info(group) => Ok(GroupAnswer::Group(info(session, &group).await?)),
        GroupRequest::Participants { group, change, participants } => {
            change_members(session, &group, change, participants).await
        }
        GroupRequest::Subject { group, subject } => {
            call(session, Method::PUT, &group, &["subject"], json!({ "subject": subject })).await?;
            Ok(GroupAnswer::Done)
        }
        GroupRequest::Description { group, description } => {
            call(session, Method::PUT, &group, &["description"], json!({ "description": description }))
                .await?;
            Ok(GroupAnswer::Done)
        }
        GroupRequest::InviteLink(group) => {
            let id = group.to_string();
            let answer = session.client.of_session(&["groups", &id, "invite-code"], &[]).await;
            invite_link(&answer.map_err(group_error)?)
        }
        GroupRequest::RevokeInviteLink(group) => {
            invite_link(&call(session, Method::POST, &group, &["invite-code", "revoke"], json!({})).await?)
        }
        GroupRequest::Leave(group) => {
            match call(session, Method::POST, &group, &["leave"], json!({})).await {
                Ok(_) | Err(SessionError::NotInGroup) => Ok(GroupAnswer::Done),
                Err(error) => Err(error),
            }
        }
    }
}

async fn info(session: &WahaSession, group: &Jid) -> Result<Group, SessionError> {
    let id = group.to_string();
    let answer = session.client.of_session(&["groups", &id], &[]).await.map_err(group_error)?;
    group_in::group(&answer).ok_or(SessionError::NotInGroup)
}

async fn change_members(
    session: &WahaSession,
    group: &Jid,
    change: MembersChange,
    participants: Vec<Jid>,
) -> Result<GroupAnswer, SessionError> {
    let path: &[&str] = match change {
        MembersChange::Add => &["participants", "add"],
        MembersChange::Remove => &["participants", "remove"],
        MembersChange::Promote => &["admin", "promote"],
        MembersChange::Demote => &["admin", "demote"],
    };
    let answer =
        call(session, Method::POST, group, path, json!({ "participants": people(&participants) })).await?;
    Ok(GroupAnswer::Participants(group_in::outcomes(&answer, &participants)))
}

async fn call(
    session: &WahaSession,
    method: Method,
    group: &Jid,
    resource: &[&str],
    body: Value,
) -> Result<Value, SessionError> {
    let id = group.to_string();
    let path: Vec<&str> = ["groups", id.as_str()].into_iter().chain(resource.iter().copied()).collect();
    let answer = session.client.to_session(method, &path, body).await.map_err(group_error)?;
    // The answer where only admins may make the change.
    if answer == Value::Bool(false) {
        return Err(SessionError::Refused("the account may not change this group".to_owned()));
    }
    Ok(answer)
}

fn group_error(failure: UpstreamFailure) -> SessionError {
    if failure.is_not_found() { SessionError::NotInGroup } else { session_error(failure) }
}

fn people(participants: &[Jid]) -> Vec<Value> {
    participants.iter().map(|person| json!({ "id": person })).collect()
}

fn invite_link(answer: &Value) -> Result<GroupAnswer, SessionError> {
    let code = answer.as_str().or_else(|| answer.get("code").or_else(|| answer.get("inviteCode"))?.as_str());
    match code {
        Some(code) if code.starts_with("https://") => Ok(GroupAnswer::Link(code.to_owned())),
        Some(code) if !code.is_empty() => Ok(GroupAnswer::Link(format!("{INVITE}{code}"))),
        _ => Err(SessionError::Refused("the WAHA server gave no invite code".to_owned())),
    }
}
