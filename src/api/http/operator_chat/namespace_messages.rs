//! Messages of operator chat in the `namespace` dialect: numbered pages, sending and read marks. Pages are also a call
//! of the `underscore` dialect.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::namespace_objects::{MESSAGE_KINDS, NamespaceMessage, message_kind};
use super::underscore::{self, UnderscoreMessageList};
use super::{ChatCaller, LooseId, loose_id, signed_in_to, signed_in_to_any, temp_id};
use crate::api::http::ApiState;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Body, ConversationParam, Query, Request};
use crate::domain::operator_chat::conversation::ConversationTarget;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::ids::ChatMessageId;
use crate::domain::operator_chat::message::MessageDraft;
use crate::service::operator_chat::NumberedPageRequest;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    let signed_in = |refusals, routes| signed_in_to(Dialect::Namespace, refusals, routes);
    OpenApiRouter::new()
        .routes(signed_in_to_any(vec![Dialect::Namespace, Dialect::Underscore], &[400, 404], routes!(list)))
        .routes(signed_in(&[404, 409], routes!(send)))
        .routes(signed_in(&[404], routes!(mark_read)))
}

/// The page to read.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListMessages {
    /// The page; 1 is the newest and the default. Page times limit is at most 10,000.
    #[param(minimum = 1, maximum = 10_000)]
    page: Option<usize>,
    /// The most messages; 50 if absent, and at most 100. In the `underscore` dialect 500 for both.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only messages before this one.
    before: Option<String>,
    /// Only messages that contain this text, of the newest 2,000.
    #[param(max_length = 200)]
    search: Option<String>,
}

impl Request for ListMessages {}

/// Messages in the caller's dialect.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagesInDialect)]
#[serde(untagged)]
enum MessagesInDialect {
    Namespace(MessagePage),
    Underscore(UnderscoreMessageList),
}

/// A page of messages in the order of time.
#[derive(Serialize, ToSchema)]
#[schema(as = NamespaceMessagePage)]
struct MessagePage {
    messages: Vec<NamespaceMessage>,
    #[schema(minimum = 1, example = 1)]
    page: usize,
    #[schema(minimum = 1, maximum = 100, example = 50)]
    limit: usize,
    /// The messages of all pages, at most 10,000.
    #[schema(minimum = 0, maximum = 10_000, example = 1)]
    total: usize,
}

/// List messages of a conversation by page
///
/// The fetch counts as delivery; it marks nothing read.
#[utoipa::path(get, path = "/api/chat/conversations/{conversationId}/messages",
    operation_id = "listNamespaceMessages", tag = "operator chat", params(ListMessages),
    responses((status = 200, description = "A page of messages, oldest first", body = MessagesInDialect)))]
async fn list(
    caller: ChatCaller,
    ConversationParam(conversation): ConversationParam,
    Query(query): Query<ListMessages>,
) -> Result<Json<MessagesInDialect>, ApiError> {
    let before = query.before.as_deref().map(str::parse::<ChatMessageId>).transpose();
    let before = before.map_err(|error| ApiError::field("before", error.to_string()))?;
    let before = before.map(|id| id.0);
    if caller.dialect == Dialect::Underscore {
        let list = underscore::messages(&caller, conversation, query.limit, before).await?;
        return Ok(Json(MessagesInDialect::Underscore(list)));
    }
    let (page, limit) = (query.page.unwrap_or(1), query.limit.unwrap_or(DEFAULT_LIMIT));
    if limit > MAX_LIMIT {
        return Err(ApiError::field("limit", format!("must be a whole number from 1 to {MAX_LIMIT}")));
    }
    let search = query.search.filter(|text| !text.is_empty());
    let request = NumberedPageRequest { conversation, page, limit, before, search };
    let found = caller.chat.numbered_page(&caller.me, request).await?;
    let messages = found.messages.iter().map(NamespaceMessage::new).collect();
    let page = MessagePage { messages, page, limit, total: found.total };
    Ok(Json(MessagesInDialect::Namespace(page)))
}

/// A message to send.
#[derive(Deserialize, ToSchema)]
#[schema(as = SendNamespaceMessage, example = json!({ "conversationId": 123, "content": "Hello!", "tempId": 1_763_805_600_000_i64 }))]
#[serde(rename_all = "camelCase")]
struct SendMessage {
    /// The conversation.
    #[serde(default, deserialize_with = "loose_id")]
    #[schema(value_type = LooseId)]
    conversation_id: Option<String>,
    /// The text.
    content: Option<String>,
    /// `text`, `image` or `file`; `text` if absent.
    message_type: Option<String>,
    /// The address of a file: https, or of this daemon.
    attachment_url: Option<String>,
    /// The name of the file.
    attachment_name: Option<String>,
    /// The client's own id. A repeated request with the same one stores nothing.
    #[schema(value_type = Option<LooseId>)]
    temp_id: Option<serde_json::Value>,
}

impl Request for SendMessage {}

impl SendMessage {
    fn draft(self) -> Result<MessageDraft, ApiError> {
        let kind = message_kind(self.message_type.as_deref());
        Ok(MessageDraft {
            kind: kind.ok_or_else(|| ApiError::field("messageType", MESSAGE_KINDS))?,
            content: self.content.unwrap_or_default(),
            attachment_url: self.attachment_url,
            attachment_name: self.attachment_name,
            temp_id: temp_id(self.temp_id.as_ref())?,
        })
    }
}

/// A sent message.
#[derive(Serialize, ToSchema)]
#[schema(as = SentNamespaceMessage)]
struct SentMessage {
    message: NamespaceMessage,
}

/// Send a message to a conversation
///
/// Emits the same events as `message:send`.
#[utoipa::path(post, path = "/api/chat/messages", operation_id = "sendNamespaceMessage", tag = "operator chat",
    request_body = SendMessage,
    responses((status = 201, description = "The stored message", body = SentMessage)))]
async fn send(caller: ChatCaller, Body(mut body): Body<SendMessage>) -> Result<Response, ApiError> {
    let conversation = body.conversation_id.take().filter(|id| !id.is_empty());
    let conversation = conversation.ok_or_else(|| ApiError::field("conversationId", "is required"))?;
    let (target, draft) = (ConversationTarget::Named(conversation), body.draft()?);
    let view = caller.chat.send(&caller.me.user, target, draft, None).await?.view;
    Ok((StatusCode::CREATED, Json(SentMessage { message: NamespaceMessage::new(&view) })).into_response())
}

/// The messages to mark read.
#[derive(Deserialize, ToSchema)]
#[schema(as = ReadNamespaceMessages, example = json!({ "messageId": 456 }))]
#[serde(rename_all = "camelCase")]
struct ReadMessages {
    /// The last message to mark; the newest one if absent.
    #[serde(default, deserialize_with = "loose_id")]
    #[schema(value_type = Option<LooseId>)]
    message_id: Option<String>,
}

impl Request for ReadMessages {}

/// The messages that were marked.
#[derive(Serialize, ToSchema)]
#[schema(as = NamespaceReadMark)]
#[serde(rename_all = "camelCase")]
struct ReadMarkObject {
    #[schema(minimum = 1, example = 123)]
    conversation_id: i64,
    /// The last marked message; absent in a conversation without messages.
    #[schema(minimum = 1, example = 456)]
    message_id: Option<i64>,
    /// How many were unread.
    #[schema(minimum = 0, example = 3)]
    count: i64,
}

/// Mark messages read up to one
#[utoipa::path(put, path = "/api/chat/conversations/{conversationId}/read",
    operation_id = "readNamespaceMessages", tag = "operator chat", request_body = ReadMessages,
    responses((status = 200, description = "The number of messages that were unread", body = ReadMarkObject)))]
async fn mark_read(
    caller: ChatCaller,
    ConversationParam(conversation): ConversationParam,
    Body(body): Body<ReadMessages>,
) -> Result<Json<ReadMarkObject>, ApiError> {
    let mark = caller.chat.mark_read_up_to(&caller.me, conversation, body.message_id).await?;
    Ok(Json(ReadMarkObject {
        conversation_id: mark.conversation.0,
        message_id: mark.message.map(|id| id.0),
        count: mark.count,
    }))
}
