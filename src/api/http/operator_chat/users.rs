//! Users of operator chat as others see them.

use axum::Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects::UserObject;
use super::{ChatCaller, signed_in};
use crate::api::http::ApiState;
use crate::api::http::error::ApiError;
use crate::api::http::input::ChatUserParam;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(signed_in(&[404], routes!(show)))
}

/// Show a user
#[utoipa::path(get, path = "/api/users/{userId}", operation_id = "showChatUser", tag = "operator chat",
    responses((status = 200, description = "The user", body = UserObject)))]
async fn show(caller: ChatCaller, ChatUserParam(id): ChatUserParam) -> Result<Json<UserObject>, ApiError> {
    Ok(Json(UserObject::new(&caller.chat.user(&caller.me, &id).await?)))
}
