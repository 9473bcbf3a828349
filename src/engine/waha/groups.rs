//! Groups: what the account is in, and what it does with them.

use serde_json::{Value, json};

use super::client::Failure;
use super::convert::group_in;
use super::session::{WahaSession, ended};
use crate::domain::group::Group;
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, GroupAnswer, GroupRequest, MembersChange, SessionEnd, SessionError};
use crate::net::Method;

/// What an invite link begins with; the server gives the code alone.
const INVITE: &str = "https://chat.whatsapp.com/";

/// Tells which groups the account is in. A server that cannot say so is asked no further.
pub(super) async fn tell(session: &WahaSession) -> Result<(), SessionEnd> {
    match session.client.of_session(&["groups"], &[]).await {
        Ok(told) => {
            let groups = group_in::all(&told);
            session.tell(EngineEvent::Groups { groups, complete: true }).await
        }
        Err(failure @ (Failure::Unauthorized | Failure::Unreachable(_))) => {
            Err(ended(&session.device, &failure))
        }
        Err(failure) => {
            tracing::warn!(device = %session.device, error = %failure, "the WAHA server did not tell the account's groups");
            Ok(())
        }
    }
}

/// Who is in a group besides the account; nobody where that is not told.
pub(super) async fn others(session: &WahaSession, group: &Jid) -> Vec<Jid> {
    let me = session.me();
    match info(session, group).await {
        Ok(group) => {
            let members = group.participants.into_iter().map(|member| member.id);
            members.filter(|member| Some(member) != me.as_ref()).collect()
        }
        Err(error) => {
            tracing::debug!(device = %session.device, %error, "the WAHA server did not tell who is in a group");
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
            let made = session.client.to_session(Method::POST, &["groups"], body).await?;
            let id = group_in::id(&made).or_else(|| super::convert::ids::jid(made.get("gid")));
            let id =
                id.ok_or_else(|| SessionError::Refused("the WAHA server did not name the group".to_owned()))?;
            Ok(GroupAnswer::Group(info(session, &id).await?))
        }
        GroupRequest::Info(group) => Ok(GroupAnswer::Group(info(session, &group).await?)),
        GroupRequest::Participants { group, change, participants } => {
            members(session, &group, change, participants).await
        }
        GroupRequest::Subject { group, subject } => {
            done(session, Method::PUT, &group, &["subject"], json!({ "subject": subject })).await?;
            Ok(GroupAnswer::Done)
        }
        GroupRequest::Description { group, description } => {
            done(session, Method::PUT, &group, &["description"], json!({ "description": description }))
                .await?;
            Ok(GroupAnswer::Done)
        }
        GroupRequest::InviteLink(group) => {
            let id = group.to_string();
            let told = session.client.of_session(&["groups", &id, "invite-code"], &[]).await;
            link(&told.map_err(refused)?)
        }
        GroupRequest::RevokeInviteLink(group) => {
            link(&done(session, Method::POST, &group, &["invite-code", "revoke"], json!({})).await?)
        }
        GroupRequest::Leave(group) => {
            match done(session, Method::POST, &group, &["leave"], json!({})).await {
                Ok(_) | Err(SessionError::NotInGroup) => Ok(GroupAnswer::Done),
                Err(error) => Err(error),
            }
        }
    }
}

async fn info(session: &WahaSession, group: &Jid) -> Result<Group, SessionError> {
    let id = group.to_string();
    let told = session.client.of_session(&["groups", &id], &[]).await.map_err(refused)?;
    group_in::group(&told).ok_or(SessionError::NotInGroup)
}

async fn members(
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
    let told =
        done(session, Method::POST, group, path, json!({ "participants": people(&participants) })).await?;
    Ok(GroupAnswer::Participants(group_in::outcomes(&told, &participants)))
}

async fn done(
    session: &WahaSession,
    method: Method,
    group: &Jid,
    what: &[&str],
    body: Value,
) -> Result<Value, SessionError> {
    let id = group.to_string();
    let path: Vec<&str> = ["groups", id.as_str()].into_iter().chain(what.iter().copied()).collect();
    let told = session.client.to_session(method, &path, body).await.map_err(refused)?;
    // So is said of what only admins may change.
    if told == Value::Bool(false) {
        return Err(SessionError::Refused("the account may not change this group".to_owned()));
    }
    Ok(told)
}

fn refused(failure: Failure) -> SessionError {
    match failure {
        Failure::Unknowing => SessionError::NotInGroup,
        failure => failure.into(),
    }
}

fn people(participants: &[Jid]) -> Vec<Value> {
    participants.iter().map(|person| json!({ "id": person })).collect()
}

fn link(told: &Value) -> Result<GroupAnswer, SessionError> {
    let code = told.as_str().or_else(|| told.get("code").or_else(|| told.get("inviteCode"))?.as_str());
    match code {
        Some(code) if code.starts_with("https://") => Ok(GroupAnswer::Link(code.to_owned())),
        Some(code) if !code.is_empty() => Ok(GroupAnswer::Link(format!("{INVITE}{code}"))),
        _ => Err(SessionError::Refused("the WAHA server gave no invite code".to_owned())),
    }
}
