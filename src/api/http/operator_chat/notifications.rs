//! Notifications of the user.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::messages::Done;
use super::objects::NotificationObject;
use super::{ChatCaller, signed_in};
use crate::api::http::ApiState;
use crate::api::http::error::ApiError;
use crate::api::http::input::{ChatNotificationParam, Query, Request};
use crate::domain::operator_chat::ids::ChatNotificationId;

const DEFAULT_LIMIT: usize = 20;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(signed_in(&[400, 404], routes!(list)))
        .routes(signed_in(&[404], routes!(read)))
        .routes(signed_in(&[404], routes!(read_all)))
}

/// The page to read.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct ListNotifications {
    /// The most notifications; 20 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Only notifications before this one.
    before: Option<String>,
    /// Whether to list unread ones only.
    unread: Option<bool>,
}

impl Request for ListNotifications {}

/// Notifications, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatNotificationList)]
#[serde(rename_all = "camelCase")]
struct NotificationList {
    notifications: Vec<NotificationObject>,
    #[schema(minimum = 0, example = 1)]
    unread_count: i64,
}

/// List notifications of the user
#[utoipa::path(get, path = "/api/notifications", operation_id = "listChatNotifications", tag = "operator chat",
    params(ListNotifications),
    responses((status = 200, description = "The notifications, newest first", body = NotificationList)))]
async fn list(
    caller: ChatCaller,
    Query(query): Query<ListNotifications>,
) -> Result<Json<NotificationList>, ApiError> {
    let before = query.before.as_deref().map(str::parse::<ChatNotificationId>).transpose();
    let before = before.map_err(|error| ApiError::field("before", error.to_string()))?.map(|id| id.0);
    let (limit, unread) = (query.limit.unwrap_or(DEFAULT_LIMIT), query.unread.unwrap_or(false));
    let (page, unread_count) = caller.chat.notifications(&caller.me, before, unread, limit).await?;
    let notifications = page.iter().map(NotificationObject::new).collect();
    Ok(Json(NotificationList { notifications, unread_count }))
}

/// Mark a notification read
#[utoipa::path(put, path = "/api/notifications/{chatNotificationId}/read", operation_id = "readChatNotification",
    tag = "operator chat",
    responses((status = 200, description = "The notification is read", body = Done)))]
async fn read(
    caller: ChatCaller,
    ChatNotificationParam(id): ChatNotificationParam,
) -> Result<Json<Done>, ApiError> {
    caller.chat.read_notification(&caller.me, &id, None).await?;
    Ok(Done::new())
}

/// Mark all notifications read
#[utoipa::path(put, path = "/api/notifications/read-all", operation_id = "readAllChatNotifications",
    tag = "operator chat",
    responses((status = 200, description = "All notifications are read", body = Done)))]
async fn read_all(caller: ChatCaller) -> Result<Json<Done>, ApiError> {
    caller.chat.read_all_notifications(&caller.me, None).await?;
    Ok(Done::new())
}
