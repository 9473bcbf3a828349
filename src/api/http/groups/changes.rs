//! Changes of groups: members, subject, description, invite link, leaving.

use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{GroupObject, SUBJECT, check_participants};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::loose::distinct;
use crate::api::http::input::{Alias, Body, Device, Group as GroupParam, Report, Request};
use crate::api::http::routes::for_change;
use crate::api::http::schema;
use crate::domain::access::Scope;
use crate::domain::jid::Jid;
use crate::service::{MembersChange, Services};

/// Changes of members: the end of the path, the operation id and the summary.
const MEMBER_CHANGES: [(&str, &str, &str, MembersChange); 4] = [
    ("add", "addParticipants", "Add people to a group", MembersChange::Add),
    ("remove", "removeParticipants", "Remove people from a group", MembersChange::Remove),
    ("promote", "promoteParticipants", "Make members of a group admins", MembersChange::Promote),
    ("demote", "demoteParticipants", "Make admins of a group members", MembersChange::Demote),
];

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    let change = |routes| guarded(Scope::MessagesSend, &[409, 422], routes);
    let mut router = OpenApiRouter::new()
        .routes(change(routes!(name)))
        .routes(change(routes!(describe)))
        .routes(guarded(Scope::MessagesRead, &[409, 422], routes!(invite_link)))
        .routes(change(routes!(revoke_invite_link)))
        .routes(change(routes!(leave)));
    for (verb, operation_id, summary, members_change) in MEMBER_CHANGES {
        let path = format!("/devices/{{id}}/groups/{{gid}}/participants/{verb}");
        let routes = for_change(routes!(change_members), &path, operation_id, summary, members_change);
        router = router.routes(change(routes));
    }
    router
}

/// The members to change.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "participants": ["15550100002@c.us"] }))]
struct ParticipantList {
    /// The people to add or remove.
    #[schema(schema_with = schema::participant_ids)]
    participants: Vec<Jid>,
}

impl Request for ParticipantList {
    fn check(&self, report: &mut Report) {
        check_participants(&self.participants, report);
    }
}

/// The result for each participant.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChangedParticipants {
    /// The group.
    group_id: String,
    /// The participants of the request.
    participants: Vec<ChangedParticipant>,
}

/// The result for one participant.
#[derive(Serialize, ToSchema)]
struct ChangedParticipant {
    /// The participant.
    #[schema(example = "15550100002@c.us")]
    id: String,
    /// Whether the change was made.
    success: bool,
    /// The reason of a failure, as a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[a-z0-9_]+$", example = "not_a_member")]
    code: Option<&'static str>,
}

/// Change the members of a group
#[utoipa::path(post, path = "/devices/{id}/groups/{gid}/participants/add", operation_id = "addParticipants", tag = "groups",
    request_body = ParticipantList,
    responses((status = 200, description = "The result for each participant", body = Success<ChangedParticipants>)))]
async fn change_members(
    Extension(change): Extension<MembersChange>,
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
    Body(ParticipantList { participants }): Body<ParticipantList>,
) -> Result<Success<ChangedParticipants>, ApiError> {
    let participants = distinct(participants);
    let results = services.messaging.change_members(&device, &group, change, participants).await?;
    let participants = results.into_iter().map(|(id, outcome)| ChangedParticipant {
        id: id.to_string(),
        success: outcome.is_ok(),
        code: outcome.err(),
    });
    let participants = participants.collect();
    Ok(Success::new(ChangedParticipants { group_id: group.to_string(), participants }))
}

/// A group's new name.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "subject": "Friends" }))]
struct NameGroup {
    /// The name. `name` is accepted too.
    #[schema(min_length = 1, max_length = 100)]
    subject: String,
}

impl Request for NameGroup {
    const ALIASES: &'static [Alias] = &[SUBJECT];
}

/// Name a group
#[utoipa::path(put, path = "/devices/{id}/groups/{gid}/subject", operation_id = "nameGroup", tag = "groups",
    request_body = NameGroup,
    responses((status = 200, description = "The changed group", body = Success<GroupObject>)))]
async fn name(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
    Body(NameGroup { subject }): Body<NameGroup>,
) -> Result<Success<GroupObject>, ApiError> {
    services.messaging.name_group(&device, &group, subject).await?;
    Ok(Success::new(services.messaging.group(&device, &group).await?.into()))
}

/// A group's new description.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "description": "Where friends meet" }))]
struct DescribeGroup {
    /// The description; an empty text removes it.
    #[schema(max_length = 2048)]
    description: String,
}

impl Request for DescribeGroup {}

/// Describe a group
#[utoipa::path(put, path = "/devices/{id}/groups/{gid}/description", operation_id = "describeGroup", tag = "groups",
    request_body = DescribeGroup,
    responses((status = 200, description = "The changed group", body = Success<GroupObject>)))]
async fn describe(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
    Body(DescribeGroup { description }): Body<DescribeGroup>,
) -> Result<Success<GroupObject>, ApiError> {
    services.messaging.describe_group(&device, &group, description).await?;
    Ok(Success::new(services.messaging.group(&device, &group).await?.into()))
}

/// The address that invites people to a group.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct InviteLink {
    /// The group.
    group_id: String,
    /// The link.
    invite_link: String,
}

/// Show a group's invite link
#[utoipa::path(get, path = "/devices/{id}/groups/{gid}/invite-link", operation_id = "getInviteLink", tag = "groups",
    responses((status = 200, description = "The link", body = Success<InviteLink>)))]
async fn invite_link(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
) -> Result<Success<InviteLink>, ApiError> {
    let invite_link = services.messaging.invite_link(&device, &group).await?;
    Ok(Success::new(InviteLink { group_id: group.to_string(), invite_link }))
}

/// Revoke a group's invite link
///
/// The answer has the new link.
#[utoipa::path(post, path = "/devices/{id}/groups/{gid}/invite-link/revoke", operation_id = "revokeInviteLink", tag = "groups",
    responses((status = 200, description = "The new link", body = Success<InviteLink>)))]
async fn revoke_invite_link(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
) -> Result<Success<InviteLink>, ApiError> {
    let invite_link = services.messaging.revoke_invite_link(&device, &group).await?;
    Ok(Success::new(InviteLink { group_id: group.to_string(), invite_link }))
}

/// A group that the account left.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LeftGroup {
    /// The group.
    group_id: String,
}

/// Leave a group
///
/// Its chat is kept.
#[utoipa::path(post, path = "/devices/{id}/groups/{gid}/leave", operation_id = "leaveGroup", tag = "groups",
    responses((status = 200, description = "The account left the group", body = Success<LeftGroup>)))]
async fn leave(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
) -> Result<Success<LeftGroup>, ApiError> {
    services.messaging.leave_group(&device, &group).await?;
    Ok(Success::new(LeftGroup { group_id: group.to_string() }))
}
