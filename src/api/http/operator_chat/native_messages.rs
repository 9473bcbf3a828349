//! The native calls for messages of a conversation: list, send, mark read and delete.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects::MessageObject;
use super::{LooseId, NativeCaller, loose_ids, temp_id, user_or_key};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Body, ChatMessageParam, ConversationParam, Query, Request};
use crate::api::http::paging::default_limit;
use crate::domain::access::Scope;
use crate::domain::operator_chat::ids::ChatMessageId;
use crate::domain::operator_chat::message::{ChatMessageKind, InvalidMessageKind, MessageDraft};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(user_or_key(Scope::ChatRead, &[404], routes!(list)))
        .routes(user_or_key(Scope::ChatWrite, &[403, 404, 409, 422, 429], routes!(send)))
        .routes(user_or_key(Scope::ChatWrite, &[404], routes!(mark_read)))
        .routes(user_or_key(Scope::ChatWrite, &[403, 404, 409, 422, 503], routes!(delete)))
}

/// The page to read.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListMessages {
    /// The most messages.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The `nextCursor` of the previous page.
    cursor: Option<String>,
}

impl Request for ListMessages {}

/// A page of messages
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationMessagePage)]
#[serde(rename_all = "camelCase")]
struct MessagePage {
    /// The messages, newest first.
    messages: Vec<MessageObject>,
    /// The `cursor` of the next page.
    #[schema(example = "1042")]
    next_cursor: Option<String>,
}

/// List messages of a conversation
///
/// With their real authors, newest first. The fetch of a user token counts as delivery; it marks nothing read.
#[utoipa::path(get, path = "/conversations/{conversationId}/messages", operation_id = "listConversationMessages",
    tag = "operator chat", params(ListMessages),
    responses((status = 200, description = "The messages", body = Success<MessagePage>)))]
async fn list(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    Query(query): Query<ListMessages>,
) -> Result<Success<MessagePage>, ApiError> {
    let before = query.cursor.as_deref().map(str::parse::<ChatMessageId>).transpose();
    let before = before.map_err(|error| ApiError::field("cursor", error.to_string()))?;
    let before = before.map_or(i64::MAX, |id| id.0);
    let page = chat.message_page(&caller, id, query.limit, before).await?;
    Ok(Success::new(MessagePage {
        messages: page.messages.iter().map(MessageObject::of_author).collect(),
        next_cursor: page.next.map(|next| next.to_string()),
    }))
}

/// A message to send.
#[derive(Deserialize, ToSchema)]
#[schema(as = SendConversationMessage,
    example = json!({ "senderId": "desk:anna", "content": "Your order has left.", "tempId": "t-1" }))]
#[serde(rename_all = "camelCase")]
struct SendMessage {
    /// The text; a caption with `attachmentUrl`.
    content: Option<String>,
    /// `TEXT`, `IMAGE`, `AUDIO` or `FILE`; `TEXT` if absent.
    r#type: Option<String>,
    /// The address of a file: https, or of this daemon.
    attachment_url: Option<String>,
    /// The client's own id. A repeated request with the same one stores nothing.
    #[schema(value_type = Option<LooseId>)]
    temp_id: Option<serde_json::Value>,
    /// The user on whose behalf an API key sends, as `<identity>:<id>`; required with a key, refused with a token.
    sender_id: Option<String>,
}

impl Request for SendMessage {}

/// Send a message to a conversation
///
/// In a conversation of a device, the device sends it to the contact, and slash commands run.
#[utoipa::path(post, path = "/conversations/{conversationId}/messages", operation_id = "sendConversationMessage",
    tag = "operator chat", request_body = SendMessage,
    responses((status = 201, description = "The stored message", body = Success<MessageObject>)))]
async fn send(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    Body(body): Body<SendMessage>,
) -> Result<Response, ApiError> {
    let kind = body.r#type.as_deref().map_or(Ok(ChatMessageKind::Text), str::parse);
    let draft = MessageDraft {
        kind: kind.map_err(|error: InvalidMessageKind| ApiError::field("type", error.to_string()))?,
        content: body.content.unwrap_or_default(),
        attachment_url: body.attachment_url,
        attachment_name: None,
        temp_id: temp_id(body.temp_id.as_ref())?,
    };
    let view = chat.send_for(caller, id, body.sender_id, draft).await?.view;
    Ok((StatusCode::CREATED, Success::new(MessageObject::of_author(&view))).into_response())
}

/// Messages to mark read.
#[derive(Deserialize, ToSchema)]
#[schema(as = ReadConversation, example = json!({ "messageIds": ["1042"], "userId": "desk:anna" }))]
#[serde(rename_all = "camelCase")]
struct ReadMessages {
    /// The messages; all of the conversation if absent.
    #[serde(default, deserialize_with = "loose_ids")]
    #[schema(value_type = Option<Vec<LooseId>>, max_items = 1_000)]
    message_ids: Option<Vec<String>>,
    /// The reader, as `<identity>:<id>`; required with an API key, refused with a token.
    user_id: Option<String>,
}

impl Request for ReadMessages {}

/// How many messages became read
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationReadCount)]
struct ReadCount {
    /// The messages that were unread.
    #[schema(minimum = 0, example = 2)]
    count: i64,
}

/// Mark messages of a conversation read
#[utoipa::path(post, path = "/conversations/{conversationId}/read", operation_id = "readConversation",
    tag = "operator chat", request_body = ReadMessages,
    responses((status = 200, description = "The messages are read", body = Success<ReadCount>)))]
async fn mark_read(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    Body(body): Body<ReadMessages>,
) -> Result<Success<ReadCount>, ApiError> {
    let count = chat.mark_read_for(caller, id, body.user_id, body.message_ids).await?;
    Ok(Success::new(ReadCount { count }))
}

/// A deleted message
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedConversationMessage)]
struct DeletedMessage {
    /// The message's id.
    #[schema(example = "1042")]
    id: String,
    /// `true`.
    #[schema(example = true)]
    deleted: bool,
}

/// Delete a message of a conversation
///
/// A user deletes own messages, an API key any. A message that a device sent is revoked for everyone.
#[utoipa::path(delete, path = "/conversations/{conversationId}/messages/{chatMessageId}",
    operation_id = "deleteConversationMessage", tag = "operator chat",
    responses((status = 200, description = "The message is deleted", body = Success<DeletedMessage>)))]
async fn delete(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    ChatMessageParam(message): ChatMessageParam,
) -> Result<Success<DeletedMessage>, ApiError> {
    chat.delete_for(caller, id, &message).await?;
    Ok(Success::new(DeletedMessage { id: message, deleted: true }))
}
