//! The native call that opens the conversation of a chat of a device.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::inbox_conversations::InboxConversationObject;
use super::{NativeCaller, user_or_key};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Chat, Device};
use crate::domain::access::Scope;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(user_or_key(Scope::ChatWrite, &[403, 404, 409], routes!(open)))
}

/// Open the conversation of a chat
///
/// Creates it if there is none, also before the first message. A new one gets up to 1,000 older messages of the chat.
/// `settings.chat.bridge` of the device must include the chat.
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/conversation", operation_id = "openChatConversation",
    tag = "operator chat",
    responses((status = 200, description = "The conversation existed", body = Success<InboxConversationObject>),
        (status = 201, description = "The new conversation", body = Success<InboxConversationObject>)))]
async fn open(
    NativeCaller { chat, caller }: NativeCaller,
    Device(device): Device,
    Chat(id): Chat,
) -> Result<Response, ApiError> {
    let (found, is_new) = chat.open_device_chat(caller.clone(), device, id).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Success::new(InboxConversationObject::new(&found, &caller))).into_response())
}
