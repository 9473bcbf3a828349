//! Groups: requests about one, and the list of all.

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::backfill::{ListPage, PAGE_LEN};
use super::client::RemoteFailure;
use super::convert::static_codes;
use super::convert::wire::WireGroupId;
use super::session::RemoteSession;
use crate::domain::group::Group;
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, GroupAnswer, GroupRequest, MembersChange, SessionEnd, SessionError};

/// Groups in one event; each has many members.
const MAX_GROUPS_PER_EVENT: usize = 20;
const MAX_GROUPS: usize = 10_000;

impl RemoteSession {
    /// See [`crate::engine::Session::group`].
    pub(super) async fn group_request(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        let group = group_of(&request).map(ToString::to_string);
        let failure = match self.request_about_group(request, group.as_deref().unwrap_or_default()).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        // The upstream refuses what its network refuses; when our account left, it has removed the group.
        let is_removed = match (failure.status(), group) {
            _ if failure.is_absent() => true,
            (Some(422), Some(group)) => {
                let found = self.client.get(&["groups", &group]).await;
                found.is_err_and(|failure| failure.code() == "group_not_found")
            }
            _ => false,
        };
        Err(if is_removed { SessionError::NotInGroup } else { failure.session_error() })
    }

    async fn request_about_group(
        &self,
        request: GroupRequest,
        group: &str,
    ) -> Result<GroupAnswer, RemoteFailure> {
        let client = &self.client;
        match request {
            GroupRequest::Create { subject, participants } => {
                let body = json!({ "subject": subject, "participants": participants });
                group_answer(client.post(&["groups"], &body).await?)
            }
            GroupRequest::Info(_) => group_answer(client.get(&["groups", group]).await?),
            GroupRequest::Participants { change, participants, .. } => {
                let verb = match change {
                    MembersChange::Add => "add",
                    MembersChange::Remove => "remove",
                    MembersChange::Promote => "promote",
                    MembersChange::Demote => "demote",
                };
                let path = ["groups", group, "participants", verb];
                participants_answer(&client.post(&path, &json!({ "participants": participants })).await?)
            }
            GroupRequest::Subject { subject, .. } => {
                client.put(&["groups", group, "subject"], &json!({ "subject": subject })).await?;
                Ok(GroupAnswer::Done)
            }
            GroupRequest::Description { description, .. } => {
                let body = json!({ "description": description });
                client.put(&["groups", group, "description"], &body).await?;
                Ok(GroupAnswer::Done)
            }
            GroupRequest::InviteLink(_) => link_answer(&client.get(&["groups", group, "invite-link"]).await?),
            GroupRequest::RevokeInviteLink(_) => {
                let path = ["groups", group, "invite-link", "revoke"];
                link_answer(&client.post(&path, &json!({})).await?)
            }
            GroupRequest::Leave(_) => match client.post(&["groups", group, "leave"], &json!({})).await {
                Err(failure) if !failure.is_absent() => Err(failure),
                _ => Ok(GroupAnswer::Done),
            },
        }
    }

    /// Delivers a group that our account joined.
    pub(super) async fn deliver_group(&self, group: &Jid) -> Result<(), SessionEnd> {
        let groups = self.read_group(group).await?.into_iter().collect();
        self.relay.deliver(EngineEvent::Groups { groups, complete: false }).await
    }

    async fn read_group(&self, group: &Jid) -> Result<Option<Group>, SessionEnd> {
        match self.client.get(&["groups", &group.to_string()]).await {
            Err(failure)
                if matches!(failure.own_status(), Some(400..=499))
                    && !failure.is_temporary()
                    && !failure.is_unauthorized()
                    && !failure.is_device_missing() =>
            {
                Ok(None)
            }
            found => Ok(Group::deserialize(self.answered(found)?).ok()),
        }
    }

    /// Delivers all groups. `complete`: our account is in no other group.
    pub(super) async fn deliver_groups(&self, complete: bool) -> Result<(), SessionEnd> {
        let mut groups = Vec::new();
        for offset in (0..MAX_GROUPS).step_by(PAGE_LEN) {
            // An engine without groups has no list, which differs from an empty list.
            let page = self.list_page::<WireGroupId>("group", "groups", offset).await?;
            let Some(ListPage { values, is_last }) = page else { return Ok(()) };
            for listed in values {
                groups.extend(self.read_group(&listed.id).await?);
                if !complete && groups.len() == MAX_GROUPS_PER_EVENT {
                    let groups = std::mem::take(&mut groups);
                    self.relay.deliver(EngineEvent::Groups { groups, complete }).await?;
                }
            }
            if is_last {
                break;
            }
        }
        if complete || !groups.is_empty() {
            self.relay.deliver(EngineEvent::Groups { groups, complete }).await?;
        }
        Ok(())
    }
}

fn group_of(request: &GroupRequest) -> Option<&Jid> {
    match request {
        GroupRequest::Create { .. } => None,
        GroupRequest::Info(group)
        | GroupRequest::InviteLink(group)
        | GroupRequest::RevokeInviteLink(group)
        | GroupRequest::Leave(group)
        | GroupRequest::Participants { group, .. }
        | GroupRequest::Subject { group, .. }
        | GroupRequest::Description { group, .. } => Some(group),
    }
}

fn group_answer(answer: Value) -> Result<GroupAnswer, RemoteFailure> {
    Group::deserialize(answer).map(GroupAnswer::Group).map_err(|_| RemoteFailure::malformed())
}

fn link_answer(answer: &Value) -> Result<GroupAnswer, RemoteFailure> {
    let link = answer["inviteLink"].as_str().ok_or_else(RemoteFailure::malformed)?;
    Ok(GroupAnswer::Link(link.to_owned()))
}

fn participants_answer(answer: &Value) -> Result<GroupAnswer, RemoteFailure> {
    let participants = answer["participants"].as_array().ok_or_else(RemoteFailure::malformed)?;
    let result = |one: &Value| {
        let id: Jid = one["id"].as_str()?.parse().ok()?;
        let is_done = one["success"] == true;
        Some((id, if is_done { Ok(()) } else { Err(static_codes::member_code(one["code"].as_str())) }))
    };
    Ok(GroupAnswer::Participants(participants.iter().filter_map(result).collect()))
}
