//! The native calls for rooms: title, members and deletion.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::conversations::ConversationObject;
use super::objects::UserObject;
use super::{NativeCaller, user_or_key};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Body, ConversationParam, OperatorParam, Query, Request};
use crate::api::http::paging::default_limit;
use crate::domain::access::Scope;
use crate::domain::operator_chat::room::{InvalidRoom, NamedMember, RoomRole, RoomTitle};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(user_or_key(Scope::ChatWrite, &[403, 404, 409], routes!(rename)))
        .routes(user_or_key(Scope::ChatWrite, &[403, 404, 409], routes!(delete)))
        .routes(user_or_key(Scope::ChatRead, &[404, 409], routes!(members)))
        .routes(user_or_key(Scope::ChatWrite, &[403, 404, 409], routes!(put_member)))
        .routes(user_or_key(Scope::ChatWrite, &[403, 404, 409], routes!(remove_member)))
}

/// Changes of a room.
#[derive(Deserialize, ToSchema)]
#[schema(as = ChangeRoom, example = json!({ "title": "Late shift" }))]
struct ChangeRoom {
    /// The title; null removes it.
    #[schema(required = true, max_length = 200)]
    title: Option<String>,
}

impl Request for ChangeRoom {
    /// The title is removed by a `null` that the client wrote.
    fn is_absent(_field: &str, _value: &Value) -> bool {
        false
    }
}

/// Change a room
///
/// Only an owner may do this.
#[utoipa::path(patch, path = "/conversations/{conversationId}", operation_id = "changeRoom",
    tag = "operator chat", request_body = ChangeRoom,
    responses((status = 200, description = "The room", body = Success<ConversationObject>)))]
async fn rename(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    Body(body): Body<ChangeRoom>,
) -> Result<Success<ConversationObject>, ApiError> {
    let title = body.title.as_deref().map(str::parse::<RoomTitle>).transpose();
    let title = title.map_err(|error| ApiError::field("title", error.to_string()))?;
    let changed = chat.rename_room(caller.clone(), id, title).await?;
    Ok(Success::new(ConversationObject::new(&changed, &caller)))
}

/// A deleted room
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedRoom)]
struct DeletedRoom {
    /// The room's id.
    #[schema(example = "17")]
    id: String,
    /// `true`.
    #[schema(example = true)]
    deleted: bool,
}

/// Delete a room
///
/// With its messages, for all members. Only an owner may do this.
#[utoipa::path(delete, path = "/conversations/{conversationId}", operation_id = "deleteRoom", tag = "operator chat",
    responses((status = 200, description = "The room is deleted", body = Success<DeletedRoom>)))]
async fn delete(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
) -> Result<Success<DeletedRoom>, ApiError> {
    chat.delete_room(caller, id.clone()).await?;
    Ok(Success::new(DeletedRoom { id, deleted: true }))
}

/// The members to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListMembers {
    /// The most members.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The `nextCursor` of the previous page.
    cursor: Option<String>,
}

impl Request for ListMembers {}

/// A member of a room
#[derive(Serialize, ToSchema)]
#[schema(as = RoomMember)]
struct MemberObject {
    /// The user.
    #[serde(flatten)]
    user: UserObject,
    /// `owner` or `member`.
    #[serde(rename = "memberRole")]
    #[schema(example = "member")]
    role: &'static str,
}

impl MemberObject {
    fn new(member: &NamedMember) -> Self {
        Self { user: UserObject::new(&member.user), role: member.role.as_str() }
    }
}

/// A page of members
#[derive(Serialize, ToSchema)]
#[schema(as = RoomMemberPage)]
#[serde(rename_all = "camelCase")]
struct MemberPage {
    /// The members, in the order of their first sign-in.
    members: Vec<MemberObject>,
    /// The `cursor` of the next page.
    #[schema(example = "7")]
    next_cursor: Option<String>,
}

/// List the members of a room
#[utoipa::path(get, path = "/conversations/{conversationId}/members", operation_id = "listRoomMembers",
    tag = "operator chat", params(ListMembers),
    responses((status = 200, description = "The members", body = Success<MemberPage>)))]
async fn members(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    Query(query): Query<ListMembers>,
) -> Result<Success<MemberPage>, ApiError> {
    let after = query.cursor.as_deref().map_or(Ok(0), |cursor| {
        let position = cursor.parse::<i64>().ok().filter(|position| *position >= 0);
        position.ok_or_else(|| ApiError::field("cursor", "must be the `nextCursor` of a page"))
    })?;
    let page = chat.room_members(caller, id, query.limit, after).await?;
    Ok(Success::new(MemberPage {
        members: page.members.iter().map(MemberObject::new).collect(),
        next_cursor: page.next.map(|next| next.to_string()),
    }))
}

/// The role of a member.
#[derive(Deserialize, ToSchema)]
#[schema(as = PutRoomMember, example = json!({ "role": "member" }))]
struct PutMember {
    /// `owner` or `member`. Absent: a new member is a `member`, and any other keeps its role.
    role: Option<String>,
}

impl Request for PutMember {}

/// Add a member to a room or change its role
///
/// Only an owner may do this. A new member sees the whole conversation and has nothing unread.
#[utoipa::path(put, path = "/conversations/{conversationId}/members/{operatorId}", operation_id = "putRoomMember",
    tag = "operator chat", request_body = PutMember,
    responses((status = 200, description = "The room", body = Success<ConversationObject>)))]
async fn put_member(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    OperatorParam(user): OperatorParam,
    Body(body): Body<PutMember>,
) -> Result<Success<ConversationObject>, ApiError> {
    let role = body.role.as_deref().map(str::parse::<RoomRole>).transpose();
    let role = role.map_err(|error: InvalidRoom| ApiError::field("role", error.to_string()))?;
    let changed = chat.put_room_member(caller.clone(), id, user, role).await?;
    Ok(Success::new(ConversationObject::new(&changed, &caller)))
}

/// A removed member of a room
#[derive(Serialize, ToSchema)]
#[schema(as = RemovedRoomMember)]
struct RemovedMember {
    /// The user's id.
    #[schema(example = "ben")]
    id: String,
    /// `true`.
    #[schema(example = true)]
    removed: bool,
}

/// Remove a member from a room
///
/// Its sockets leave the room, and get nothing of it from then on. Every member may leave; if no owner is left, the member
/// who signed in first becomes the owner. A room without members is deleted.
#[utoipa::path(delete, path = "/conversations/{conversationId}/members/{operatorId}",
    operation_id = "removeRoomMember", tag = "operator chat",
    responses((status = 200, description = "The user is no member", body = Success<RemovedMember>)))]
async fn remove_member(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    OperatorParam(user): OperatorParam,
) -> Result<Success<RemovedMember>, ApiError> {
    chat.remove_room_member(caller, id, user.clone()).await?;
    Ok(Success::new(RemovedMember { id: user, removed: true }))
}
