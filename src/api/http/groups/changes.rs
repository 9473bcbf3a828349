//! What is done to a group: who is in it, its name and description, its invite link, leaving.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{GroupObject, people, subject};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{Body, Device, Fields, FromFields, Group as GroupParam};
use crate::api::http::schema;
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::service::{MembersChange, Services};

/// As many characters as phones allow.
const DESCRIPTION_CHARS: usize = 2_048;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    let change = |routes| guarded(Scope::MessagesSend, &[409, 422], routes);
    OpenApiRouter::new()
        .routes(change(routes!(add)))
        .routes(change(routes!(remove)))
        .routes(change(routes!(promote)))
        .routes(change(routes!(demote)))
        .routes(change(routes!(name)))
        .routes(change(routes!(describe)))
        .routes(guarded(Scope::MessagesRead, &[409, 422], routes!(invite_link)))
        .routes(change(routes!(revoke_invite_link)))
        .routes(change(routes!(leave)))
}

/// Whom it is about.
#[derive(Debug, ToSchema)]
#[schema(example = json!({ "participants": ["15550100002@c.us"] }))]
struct ParticipantList {
    /// People.
    #[schema(schema_with = schema::participant_ids)]
    participants: Vec<Jid>,
}

impl FromFields for ParticipantList {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { participants: people(fields)? })
    }
}

/// What became of each participant.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChangedParticipants {
    /// The group.
    group_id: String,
    /// Each of those named.
    participants: Vec<ChangedParticipant>,
}

/// What became of one participant.
#[derive(Serialize, ToSchema)]
struct ChangedParticipant {
    /// Who.
    #[schema(example = "15550100002@c.us")]
    id: String,
    /// Whether it was done.
    success: bool,
    /// Why not, as a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[a-z0-9_]+$", example = "not_a_member")]
    code: Option<&'static str>,
}

type MembersAnswer = Result<Success<ChangedParticipants>, ApiError>;

async fn change_members(
    services: &Services,
    device: &DeviceId,
    group: &Jid,
    change: MembersChange,
    participants: Vec<Jid>,
) -> MembersAnswer {
    let answers = services.messaging.change_members(device, group, change, participants).await?;
    let participants = answers.into_iter().map(|(id, outcome)| ChangedParticipant {
        id: id.to_string(),
        success: outcome.is_ok(),
        code: outcome.err(),
    });
    Ok(Success::new(ChangedParticipants {
        group_id: group.to_string(),
        participants: participants.collect(),
    }))
}

/// Add people to a group
#[utoipa::path(post, path = "/devices/{id}/groups/{gid}/participants/add", operation_id = "addParticipants", tag = "groups",
    request_body = ParticipantList,
    responses((status = 200, description = "What became of each", body = Success<ChangedParticipants>)))]
async fn add(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
    Body(ParticipantList { participants }): Body<ParticipantList>,
) -> MembersAnswer {
    change_members(&services, &device, &group, MembersChange::Add, participants).await
}

/// Remove people from a group
#[utoipa::path(post, path = "/devices/{id}/groups/{gid}/participants/remove", operation_id = "removeParticipants", tag = "groups",
    request_body = ParticipantList,
    responses((status = 200, description = "What became of each", body = Success<ChangedParticipants>)))]
async fn remove(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
    Body(ParticipantList { participants }): Body<ParticipantList>,
) -> MembersAnswer {
    change_members(&services, &device, &group, MembersChange::Remove, participants).await
}

/// Make members of a group its admins
#[utoipa::path(post, path = "/devices/{id}/groups/{gid}/participants/promote", operation_id = "promoteParticipants", tag = "groups",
    request_body = ParticipantList,
    responses((status = 200, description = "What became of each", body = Success<ChangedParticipants>)))]
async fn promote(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
    Body(ParticipantList { participants }): Body<ParticipantList>,
) -> MembersAnswer {
    change_members(&services, &device, &group, MembersChange::Promote, participants).await
}

/// Make admins of a group members again
#[utoipa::path(post, path = "/devices/{id}/groups/{gid}/participants/demote", operation_id = "demoteParticipants", tag = "groups",
    request_body = ParticipantList,
    responses((status = 200, description = "What became of each", body = Success<ChangedParticipants>)))]
async fn demote(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
    Body(ParticipantList { participants }): Body<ParticipantList>,
) -> MembersAnswer {
    change_members(&services, &device, &group, MembersChange::Demote, participants).await
}

/// A group's new name.
#[derive(Debug, ToSchema)]
#[schema(example = json!({ "subject": "Friends" }))]
struct NameGroup {
    /// The name. `name` is accepted too.
    #[schema(min_length = 1, max_length = 100)]
    subject: String,
}

impl FromFields for NameGroup {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { subject: subject(fields)? })
    }
}

/// Name a group
#[utoipa::path(put, path = "/devices/{id}/groups/{gid}/subject", operation_id = "nameGroup", tag = "groups",
    request_body = NameGroup,
    responses((status = 200, description = "The group as it now is", body = Success<GroupObject>)))]
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
#[derive(Debug, ToSchema)]
#[schema(example = json!({ "description": "Where friends meet" }))]
struct DescribeGroup {
    /// The description; empty takes it away.
    #[schema(max_length = 2048)]
    description: String,
}

impl FromFields for DescribeGroup {
    fn read(fields: &mut Fields) -> Option<Self> {
        let text = fields.text("description", DESCRIPTION_CHARS);
        Some(Self { description: fields.require("description", text, "a text, which may be empty")? })
    }
}

/// Describe a group
#[utoipa::path(put, path = "/devices/{id}/groups/{gid}/description", operation_id = "describeGroup", tag = "groups",
    request_body = DescribeGroup,
    responses((status = 200, description = "The group as it now is", body = Success<GroupObject>)))]
async fn describe(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
    Body(DescribeGroup { description }): Body<DescribeGroup>,
) -> Result<Success<GroupObject>, ApiError> {
    services.messaging.describe_group(&device, &group, description).await?;
    Ok(Success::new(services.messaging.group(&device, &group).await?.into()))
}

/// The address by which people come into a group.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct InviteLink {
    /// The group.
    group_id: String,
    /// The address.
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

/// Make a group's invite link void
///
/// Answers the new one.
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
/// Its chat stays.
#[utoipa::path(post, path = "/devices/{id}/groups/{gid}/leave", operation_id = "leaveGroup", tag = "groups",
    responses((status = 200, description = "It was left", body = Success<LeftGroup>)))]
async fn leave(
    State(services): State<Services>,
    Device(device): Device,
    GroupParam(group): GroupParam,
) -> Result<Success<LeftGroup>, ApiError> {
    services.messaging.leave_group(&device, &group).await?;
    Ok(Success::new(LeftGroup { group_id: group.to_string() }))
}
