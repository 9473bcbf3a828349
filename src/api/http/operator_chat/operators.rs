//! The native calls for users: profile, presence, notifications, and the revocation of their tokens.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects::{NotificationObject, iso};
use super::{NativeCaller, user_or_key};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{Body, OperatorParam, Query, Request};
use crate::api::http::paging::default_limit;
use crate::domain::access::Scope;
use crate::domain::operator_chat::user::{ChatUser, UserProfile};
use crate::service::operator_chat::{InboxCaller, NewChatNotification};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(user_or_key(Scope::ChatRead, &[], routes!(list)))
        .routes(user_or_key(Scope::ChatRead, &[404], routes!(show)))
        .routes(guarded(Scope::ChatWrite, &[409], routes!(replace)))
        .routes(guarded(Scope::ChatWrite, &[404], routes!(revoke)))
        .routes(user_or_key(Scope::ChatRead, &[404], routes!(presence)))
        .routes(guarded(Scope::ChatRead, &[], routes!(online)))
        .routes(guarded(Scope::ChatWrite, &[404], routes!(notify)))
}

/// A user of operator chat
#[derive(Serialize, ToSchema)]
#[schema(as = Operator)]
#[serde(rename_all = "camelCase")]
struct OperatorObject {
    /// `<identity>:<id>` for an API key, else the id.
    #[schema(example = "desk:anna")]
    id: String,
    /// The identity that the user belongs to.
    #[schema(example = "desk")]
    identity: String,
    /// The name to show.
    #[schema(example = "Anna")]
    display_name: String,
    /// The address of a picture.
    #[schema(example = "https://example.com/a.png")]
    avatar: Option<String>,
    /// The email address; only for API keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "anna@example.com")]
    email: Option<String>,
    /// The role.
    #[schema(example = "SUPPORT")]
    role: Option<String>,
    /// The type of a user that is identified by type and id.
    #[schema(example = "staff")]
    user_type: Option<String>,
    /// Whether the user is online.
    online: bool,
    /// The last sign of life.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    last_seen: Option<String>,
}

impl OperatorObject {
    fn new(caller: &NativeCaller, user: &ChatUser) -> Self {
        let status = caller.chat.operator_presence(user).status;
        let is_key = matches!(caller.caller, InboxCaller::Key(_));
        Self {
            id: native_id(&caller.caller, user),
            identity: user.tenant.clone(),
            display_name: user.display_name().to_owned(),
            avatar: user.profile.avatar.clone(),
            email: user.profile.email.clone().filter(|_| is_key),
            role: user.profile.role.clone(),
            user_type: user.profile.user_type.clone(),
            online: status.is_online,
            last_seen: status.last_seen.map(iso),
        }
    }
}

/// The id of a user as the caller writes it.
fn native_id(caller: &InboxCaller, user: &ChatUser) -> String {
    match caller {
        InboxCaller::User(_) => user.id.to_string(),
        InboxCaller::Key(_) => format!("{}:{}", user.tenant, user.id),
    }
}

/// The users to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListOperators {
    /// The most users.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The `nextCursor` of the previous page.
    cursor: Option<String>,
}

impl Request for ListOperators {}

/// A page of users
#[derive(Serialize, ToSchema)]
#[schema(as = OperatorPage)]
#[serde(rename_all = "camelCase")]
struct OperatorPageObject {
    /// The users, in the order of their first sign-in.
    operators: Vec<OperatorObject>,
    /// The `cursor` of the next page.
    #[schema(example = "1042")]
    next_cursor: Option<String>,
}

/// List users
///
/// A user gets the directory; a key for some devices gets the users who may use their inboxes.
#[utoipa::path(get, path = "/operators", operation_id = "listOperators", tag = "operator chat",
    params(ListOperators),
    responses((status = 200, description = "The users", body = Success<OperatorPageObject>)))]
async fn list(
    caller: NativeCaller,
    Query(query): Query<ListOperators>,
) -> Result<Success<OperatorPageObject>, ApiError> {
    let after = query.cursor.as_deref().map_or(Ok(0), |cursor| {
        let position = cursor.parse::<i64>().ok().filter(|position| *position >= 0);
        position.ok_or_else(|| ApiError::field("cursor", "must be the `nextCursor` of a page"))
    })?;
    let page = caller.chat.operators(caller.caller.clone(), query.limit, after).await?;
    Ok(Success::new(OperatorPageObject {
        operators: page.users.iter().map(|user| OperatorObject::new(&caller, user)).collect(),
        next_cursor: page.next.map(|next| next.to_string()),
    }))
}

/// Show a user
#[utoipa::path(get, path = "/operators/{operatorId}", operation_id = "getOperator", tag = "operator chat",
    responses((status = 200, description = "The user", body = Success<OperatorObject>)))]
async fn show(
    caller: NativeCaller,
    OperatorParam(id): OperatorParam,
) -> Result<Success<OperatorObject>, ApiError> {
    let user = caller.chat.operator(caller.caller.clone(), id).await?;
    Ok(Success::new(OperatorObject::new(&caller, &user)))
}

/// The profile of a user.
#[derive(Deserialize, ToSchema)]
#[schema(as = PutOperator, example = json!({ "name": "Anna", "role": "SUPPORT" }))]
#[serde(rename_all = "camelCase")]
struct PutOperator {
    /// The name to show; the id if absent.
    name: Option<String>,
    /// The address of a picture.
    avatar: Option<String>,
    /// The email address.
    email: Option<String>,
    /// The role.
    role: Option<String>,
    /// The type of a user that is identified by type and id. It never changes.
    user_type: Option<String>,
}

impl Request for PutOperator {}

/// Add a user or replace its profile
///
/// Others can write to the user before its first sign-in. The next token of the user replaces the profile.
#[utoipa::path(put, path = "/operators/{operatorId}", operation_id = "putOperator", tag = "operator chat",
    request_body = PutOperator,
    responses((status = 200, description = "The user", body = Success<OperatorObject>),
        (status = 201, description = "The new user", body = Success<OperatorObject>)))]
async fn replace(
    caller: NativeCaller,
    OperatorParam(id): OperatorParam,
    Body(body): Body<PutOperator>,
) -> Result<Response, ApiError> {
    let PutOperator { name, avatar, email, role, user_type } = body;
    let profile = UserProfile { name, avatar, email, role, user_type };
    let (user, is_new) = caller.chat.put_operator(&caller.caller, &id, profile).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Success::new(OperatorObject::new(&caller, &user))).into_response())
}

/// Revoke the tokens of a user
///
/// Tokens that were issued before now (`iat`), and those without `iat`, are refused. The sockets of the user are closed.
#[utoipa::path(post, path = "/operators/{operatorId}/revoke", operation_id = "revokeOperatorTokens",
    tag = "operator chat",
    responses((status = 200, description = "The user", body = Success<OperatorObject>)))]
async fn revoke(
    caller: NativeCaller,
    OperatorParam(id): OperatorParam,
) -> Result<Success<OperatorObject>, ApiError> {
    let user = caller.chat.revoke_tokens(caller.caller.clone(), id).await?;
    Ok(Success::new(OperatorObject::new(&caller, &user)))
}

/// The presence of a user
#[derive(Serialize, ToSchema)]
#[schema(as = OperatorPresence)]
#[serde(rename_all = "camelCase")]
struct PresenceObject {
    /// Whether the user is online.
    online: bool,
    /// The last sign of life.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    last_seen: Option<String>,
    /// The connected sockets.
    #[schema(minimum = 0, example = 2)]
    sockets: usize,
}

/// Show the presence of a user
#[utoipa::path(get, path = "/operators/{operatorId}/presence", operation_id = "getOperatorPresence",
    tag = "operator chat",
    responses((status = 200, description = "The presence", body = Success<PresenceObject>)))]
async fn presence(
    caller: NativeCaller,
    OperatorParam(id): OperatorParam,
) -> Result<Success<PresenceObject>, ApiError> {
    let user = caller.chat.operator(caller.caller.clone(), id).await?;
    let found = caller.chat.operator_presence(&user);
    Ok(Success::new(PresenceObject {
        online: found.status.is_online,
        last_seen: found.status.last_seen.map(iso),
        sockets: found.sockets,
    }))
}

/// The users who are online
#[derive(Serialize, ToSchema)]
#[schema(as = OnlineOperators)]
struct OnlineObject {
    /// Their number.
    #[schema(minimum = 0, example = 3)]
    online: usize,
}

/// Count users who are online
#[utoipa::path(get, path = "/presence", operation_id = "countOnlineOperators", tag = "operator chat",
    responses((status = 200, description = "The number", body = Success<OnlineObject>)))]
async fn online(caller: NativeCaller) -> Result<Success<OnlineObject>, ApiError> {
    Ok(Success::new(OnlineObject { online: caller.chat.online_count(&caller.caller)? }))
}

/// A notification for a user.
#[derive(Deserialize, ToSchema)]
#[schema(as = NotifyOperator, example = json!({
    "type": "order", "title": "Order shipped", "message": "Order 12 is on its way", "link": "/orders/12",
    "data": { "orderId": "12" },
}))]
struct NotifyOperator {
    /// The application's type.
    #[serde(rename = "type")]
    kind: String,
    /// The title.
    title: String,
    /// The text.
    message: String,
    /// Where it leads.
    link: Option<String>,
    /// Further data.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Json>>)]
    data: Option<serde_json::Map<String, Json>>,
}

impl Request for NotifyOperator {}

/// Notify a user
///
/// The notification is stored, then emitted as `notification:new` to all sockets of the user.
#[utoipa::path(post, path = "/operators/{operatorId}/notifications", operation_id = "notifyOperator",
    tag = "operator chat", request_body = NotifyOperator,
    responses((status = 201, description = "The stored notification", body = Success<NotificationObject>)))]
async fn notify(
    caller: NativeCaller,
    OperatorParam(id): OperatorParam,
    Body(body): Body<NotifyOperator>,
) -> Result<Response, ApiError> {
    let user = caller.chat.operator(caller.caller.clone(), id).await?;
    let data = Json::Object(body.data.unwrap_or_default()).to_string();
    let NotifyOperator { kind, title, message, link, .. } = body;
    let new = NewChatNotification { kind, title, message, link, data };
    let stored = caller.chat.notify_user(&user.tenant, &user.id, new).await?;
    Ok((StatusCode::CREATED, Success::new(NotificationObject::new(&stored))).into_response())
}
