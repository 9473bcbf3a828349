//! Groups: what is asked of them, and how they are told.

use serde_json::{Value, json};

use super::client::{Ask, Trouble};
use super::convert::{group_in, words};
use super::session::WwebjsSession;
use crate::domain::group::Group;
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, GroupAnswer, GroupRequest, MembersChange, SessionEnd, SessionError};

/// Entries on a page of a list.
pub(super) const PAGE: usize = 100;
/// Groups that are told at once; each has many members.
const TOLD_AT_ONCE: usize = 20;
/// Groups that are read at most.
const MOST_GROUPS: usize = 10_000;

impl WwebjsSession {
    /// See [`crate::engine::Session::group`].
    pub(super) async fn group_request(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        let group = about(&request).cloned();
        let trouble = match self.ask_about_group(request).await {
            Ok(answer) => return Ok(answer),
            Err(trouble) => trouble,
        };
        // The upstream refuses what its network refuses, and then knows the group no longer where that was why.
        let out = match (&trouble, group) {
            (trouble, _) if trouble.is_absence() => true,
            (Trouble::Refused { status: 422, .. }, Some(group)) => {
                let found = self.client.data(Ask::get(&["groups", &group.to_string()])).await;
                found.is_err_and(|trouble| trouble.code() == "group_not_found")
            }
            _ => false,
        };
        Err(if out { SessionError::NotInGroup } else { trouble.into_session_error() })
    }

    async fn ask_about_group(&self, request: GroupRequest) -> Result<GroupAnswer, Trouble> {
        match request {
            GroupRequest::Create { subject, participants } => {
                let body = json!({ "subject": subject, "participants": participants });
                read_group(self.client.data(Ask::post(&["groups"], body)).await?)
            }
            GroupRequest::Info(group) => {
                read_group(self.client.data(Ask::get(&["groups", &group.to_string()])).await?)
            }
            GroupRequest::Participants { group, change, participants } => {
                self.change_members(&group, change, &participants).await
            }
            GroupRequest::Subject { group, subject } => {
                let path = ["groups", &group.to_string(), "subject"];
                self.client.ask(Ask::put(&path, json!({ "subject": subject }))).await?;
                Ok(GroupAnswer::Done)
            }
            GroupRequest::Description { group, description } => {
                let path = ["groups", &group.to_string(), "description"];
                self.client.ask(Ask::put(&path, json!({ "description": description }))).await?;
                Ok(GroupAnswer::Done)
            }
            GroupRequest::InviteLink(group) => {
                link(&self.client.data(Ask::get(&["groups", &group.to_string(), "invite-link"])).await?)
            }
            GroupRequest::RevokeInviteLink(group) => {
                let path = ["groups", &group.to_string(), "invite-link", "revoke"];
                link(&self.client.data(Ask::post(&path, json!({}))).await?)
            }
            GroupRequest::Leave(group) => {
                match self.client.ask(Ask::post(&["groups", &group.to_string(), "leave"], json!({}))).await {
                    Err(trouble) if !trouble.is_absence() => Err(trouble),
                    _ => Ok(GroupAnswer::Done),
                }
            }
        }
    }

    async fn change_members(
        &self,
        group: &Jid,
        change: MembersChange,
        participants: &[Jid],
    ) -> Result<GroupAnswer, Trouble> {
        let verb = match change {
            MembersChange::Add => "add",
            MembersChange::Remove => "remove",
            MembersChange::Promote => "promote",
            MembersChange::Demote => "demote",
        };
        let path = ["groups", &group.to_string(), "participants", verb];
        let told = self.client.data(Ask::post(&path, json!({ "participants": participants }))).await?;
        let each = told["participants"].as_array().ok_or(Trouble::Garbled)?;
        let outcome = |one: &Value| {
            let id: Jid = one["id"].as_str()?.parse().ok()?;
            let done = one["success"] == true;
            Some((id, if done { Ok(()) } else { Err(words::member_code(one["code"].as_str())) }))
        };
        Ok(GroupAnswer::Participants(each.iter().filter_map(outcome).collect()))
    }

    /// Tells of a group that the account came into.
    pub(super) async fn tell_group(&self, group: &Jid) -> Result<(), SessionEnd> {
        let groups = self.group_there(group).await?.into_iter().collect();
        self.tell(EngineEvent::Groups { groups, complete: false }).await
    }

    async fn group_there(&self, group: &Jid) -> Result<Option<Group>, SessionEnd> {
        let found = self.client.data(Ask::get(&["groups", &group.to_string()])).await;
        let is_to_come =
            found.as_ref().is_err_and(|trouble| trouble.is_passing() || trouble.is_without_device());
        match found {
            Err(Trouble::Refused { own: true, status: 400..=499, .. }) if !is_to_come => Ok(None),
            found => Ok(group_in::group(self.answered(found)?)),
        }
    }

    /// Tells of all groups; `complete`: what is known besides is outdated.
    pub(super) async fn tell_groups(&self, complete: bool) -> Result<(), SessionEnd> {
        let Some(ids) = self.group_ids().await? else { return Ok(()) };
        let mut groups = Vec::new();
        for id in ids {
            groups.extend(self.group_there(&id).await?);
            if !complete && groups.len() == TOLD_AT_ONCE {
                self.tell(EngineEvent::Groups { groups: std::mem::take(&mut groups), complete }).await?;
            }
        }
        if complete || !groups.is_empty() {
            self.tell(EngineEvent::Groups { groups, complete }).await?;
        }
        Ok(())
    }

    /// None where the upstream lists no groups, which is no list without any.
    async fn group_ids(&self) -> Result<Option<Vec<Jid>>, SessionEnd> {
        let mut ids = Vec::new();
        while ids.len() < MOST_GROUPS {
            let ask = Ask::get(&["groups"]).query("limit", &PAGE).query("offset", &ids.len());
            let page = match self.client.ask(ask).await {
                // An engine there that has no groups.
                Err(trouble) if trouble.is_nothing_there() => return Ok(None),
                Err(Trouble::Refused { status: 422, .. }) => return Ok(None),
                page => self.answered(page)?,
            };
            let before = ids.len();
            let listed = page["data"].as_array().into_iter().flatten();
            ids.extend(listed.filter_map(|group| group["id"].as_str()?.parse::<Jid>().ok()));
            if ids.len() - before < PAGE {
                break;
            }
        }
        Ok(Some(ids))
    }
}

/// The group that a request is about.
fn about(request: &GroupRequest) -> Option<&Jid> {
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

fn read_group(told: Value) -> Result<GroupAnswer, Trouble> {
    group_in::group(told).map(GroupAnswer::Group).ok_or(Trouble::Garbled)
}

fn link(told: &Value) -> Result<GroupAnswer, Trouble> {
    let link = told["inviteLink"].as_str().ok_or(Trouble::Garbled)?;
    Ok(GroupAnswer::Link(link.to_owned()))
}
