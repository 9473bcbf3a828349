//! Messages of operator chat: pages, sending, deleting, read marks and counts.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects::{ConversationObject, MessageObject};
use super::{ChatCaller, LooseId, loose_id, loose_ids, signed_in, temp_id};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Body, ChatMessageParam, Query, Request};
use crate::domain::operator_chat::conversation::ConversationTarget;
use crate::domain::operator_chat::ids::ChatMessageId;
use crate::domain::operator_chat::message::{ChatMessageKind, InvalidMessageKind, MessageDraft};
use crate::service::operator_chat::MessageListRequest;

const DEFAULT_LIMIT: usize = 20;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(signed_in(&[400, 404], routes!(list)))
        .routes(signed_in(&[404, 409], routes!(send)))
        .routes(signed_in(&[404], routes!(delete)))
        .routes(signed_in(&[404], routes!(mark_read)))
        .routes(signed_in(&[404], routes!(conversations)))
        .routes(signed_in(&[404], routes!(unread_count)))
}

/// The page to read.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct ListMessages {
    /// The other user of a direct conversation.
    conversation_with: Option<String>,
    /// The conversation.
    conversation_id: Option<String>,
    /// The most messages; 20 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Skipped messages, from the newest one.
    #[param(minimum = 0, maximum = 1_000_000)]
    offset: Option<usize>,
    /// Only messages before this one.
    before: Option<String>,
}

impl Request for ListMessages {}

/// A page of messages in the order of time.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatMessagePage)]
struct MessagePageObject {
    success: bool,
    data: MessagePageData,
    pagination: MessagePagePosition,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatMessagePageData)]
struct MessagePageData {
    messages: Vec<MessageObject>,
    conversation: ConversationObject,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatMessagePagePosition)]
#[serde(rename_all = "camelCase")]
struct MessagePagePosition {
    #[schema(minimum = 1, maximum = 100, example = 20)]
    limit: usize,
    #[schema(minimum = 0, example = 0)]
    offset: usize,
    has_more: bool,
}

fn target(peer: Option<String>, id: Option<String>, field: &str) -> Result<ConversationTarget, ApiError> {
    let given = |text: &String| !text.is_empty();
    match (id.filter(given), peer.filter(given)) {
        (Some(id), _) => Ok(ConversationTarget::Named(id)),
        (None, Some(peer)) => Ok(ConversationTarget::Peer(peer)),
        (None, None) => Err(ApiError::field(field, "or conversationId is required")),
    }
}

/// List messages of a conversation
///
/// The fetch counts as delivery; it marks nothing read.
#[utoipa::path(get, path = "/api/messages", operation_id = "listChatMessages", tag = "operator chat",
    params(ListMessages),
    responses((status = 200, description = "The messages, oldest first", body = MessagePageObject)))]
async fn list(
    caller: ChatCaller,
    Query(query): Query<ListMessages>,
) -> Result<Json<MessagePageObject>, ApiError> {
    let before = query.before.as_deref().map(str::parse::<ChatMessageId>).transpose();
    let before = before.map_err(|error| ApiError::field("before", error.to_string()))?;
    let request = MessageListRequest {
        target: target(query.conversation_with, query.conversation_id, "conversationWith")?,
        limit: query.limit.unwrap_or(DEFAULT_LIMIT),
        offset: query.offset.unwrap_or(0),
        before: before.map(|id| id.0),
    };
    let (limit, offset) = (request.limit, request.offset);
    let page = caller.chat.messages(&caller.me, request).await?;
    let viewer = &caller.me.user;
    let messages = page.messages.iter().map(|view| MessageObject::seen_by(view, viewer)).collect();
    let conversation = ConversationObject::new(&page.conversation, viewer);
    Ok(Json(MessagePageObject {
        success: true,
        data: MessagePageData { messages, conversation },
        pagination: MessagePagePosition { limit, offset, has_more: page.has_more },
    }))
}

/// A message to send.
#[derive(Deserialize, ToSchema)]
#[schema(as = SendChatMessage, example = json!({ "recipientId": "u7", "content": "Hello World!", "tempId": "t-1" }))]
#[serde(rename_all = "camelCase")]
struct SendMessage {
    /// The other user of a direct conversation, which is created if there is none.
    #[serde(default, deserialize_with = "loose_id")]
    #[schema(value_type = Option<LooseId>)]
    recipient_id: Option<String>,
    /// The conversation.
    #[serde(default, deserialize_with = "loose_id")]
    #[schema(value_type = Option<LooseId>)]
    conversation_id: Option<String>,
    /// The text.
    content: Option<String>,
    /// `TEXT`, `IMAGE`, `AUDIO` or `FILE`, in any letter case; `TEXT` if absent.
    r#type: Option<String>,
    /// The address of a file: https, or of this daemon.
    attachment_url: Option<String>,
    /// The client's own id. A repeated request with the same one stores nothing.
    #[schema(value_type = Option<LooseId>)]
    temp_id: Option<serde_json::Value>,
}

impl Request for SendMessage {}

impl SendMessage {
    fn draft(&self) -> Result<MessageDraft, ApiError> {
        let word = self.r#type.as_deref().map(str::to_uppercase);
        let kind = word.map_or(Ok(ChatMessageKind::Text), |word| word.parse());
        Ok(MessageDraft {
            kind: kind.map_err(|error: InvalidMessageKind| ApiError::field("type", error.to_string()))?,
            content: self.content.clone().unwrap_or_default(),
            attachment_url: self.attachment_url.clone(),
            attachment_name: None,
            temp_id: temp_id(self.temp_id.as_ref())?,
        })
    }
}

/// A sent message.
#[derive(Serialize, ToSchema)]
#[schema(as = SentChatMessage)]
struct SentMessage {
    success: bool,
    #[schema(example = "Message sent successfully")]
    message: &'static str,
    data: MessageObject,
}

/// Send a message
///
/// Emits the same events as `message:send`.
#[utoipa::path(post, path = "/api/messages", operation_id = "sendChatMessage", tag = "operator chat",
    request_body = SendMessage,
    responses((status = 201, description = "The stored message", body = SentMessage)))]
async fn send(caller: ChatCaller, Body(body): Body<SendMessage>) -> Result<Response, ApiError> {
    let draft = body.draft()?;
    let target = target(body.recipient_id, body.conversation_id, "recipientId")?;
    let view = caller.chat.send(&caller.me.user, target, draft, None).await?.view;
    let data = MessageObject::seen_by(&view, &caller.me.user);
    let sent = SentMessage { success: true, message: "Message sent successfully", data };
    Ok((StatusCode::CREATED, Json(sent)).into_response())
}

/// A request that was carried out.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatDone)]
pub(super) struct Done {
    success: bool,
}

impl Done {
    pub(super) fn new() -> Json<Self> {
        Json(Self { success: true })
    }
}

/// Delete a message
///
/// Only its author may delete it.
#[utoipa::path(delete, path = "/api/messages/{chatMessageId}", operation_id = "deleteChatMessage", tag = "operator chat",
    responses((status = 200, description = "The message is deleted", body = Done)))]
async fn delete(caller: ChatCaller, ChatMessageParam(id): ChatMessageParam) -> Result<Json<Done>, ApiError> {
    caller.chat.delete_message(&caller.me.user, None, &id).await?;
    Ok(Done::new())
}

/// Messages to mark read.
#[derive(Deserialize, ToSchema)]
#[schema(as = ReadChatMessages, example = json!({ "conversationId": "17", "messageIds": ["1041", "1042"] }))]
#[serde(rename_all = "camelCase")]
struct ReadMessages {
    /// The conversation.
    #[serde(default, deserialize_with = "loose_id")]
    #[schema(value_type = LooseId)]
    conversation_id: Option<String>,
    /// The messages; all of the conversation if absent.
    #[serde(default, deserialize_with = "loose_ids")]
    #[schema(value_type = Option<Vec<LooseId>>, max_items = 1000)]
    message_ids: Option<Vec<String>>,
}

impl Request for ReadMessages {}

/// How many messages were marked.
#[derive(Serialize, ToSchema)]
#[schema(as = ReadChatMessageCount)]
struct ReadCount {
    success: bool,
    #[schema(minimum = 0, example = 2)]
    count: i64,
}

/// Mark messages read
#[utoipa::path(put, path = "/api/messages/read", operation_id = "readChatMessages", tag = "operator chat",
    request_body = ReadMessages,
    responses((status = 200, description = "The number of messages that were unread", body = ReadCount)))]
async fn mark_read(caller: ChatCaller, Body(body): Body<ReadMessages>) -> Result<Json<ReadCount>, ApiError> {
    let id = body.conversation_id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| ApiError::field("conversationId", "is required"))?;
    let target = ConversationTarget::Named(id);
    let count = caller.chat.mark_read(&caller.me.user, target, body.message_ids).await?;
    Ok(Json(ReadCount { success: true, count }))
}

/// Conversations, those with the newest messages first.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatConversationList)]
struct ConversationList {
    conversations: Vec<ConversationObject>,
}

/// List conversations
///
/// The 500 with the newest messages, newest first.
#[utoipa::path(get, path = "/api/messages/conversations", operation_id = "listChatConversations",
    tag = "operator chat",
    responses((status = 200, description = "The conversations", body = Success<ConversationList>)))]
async fn conversations(caller: ChatCaller) -> Result<Success<ConversationList>, ApiError> {
    let views = caller.chat.conversations(&caller.me).await?;
    let viewer = &caller.me.user;
    let conversations = views.iter().map(|view| ConversationObject::new(view, viewer)).collect();
    Ok(Success::new(ConversationList { conversations }))
}

/// The number of unread messages.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatUnreadCount)]
#[serde(rename_all = "camelCase")]
struct UnreadCount {
    #[schema(minimum = 0, example = 2)]
    unread_count: i64,
}

/// Count unread messages
#[utoipa::path(get, path = "/api/messages/unread-count", operation_id = "countUnreadChatMessages",
    tag = "operator chat",
    responses((status = 200, description = "The unread messages of all conversations", body = UnreadCount)))]
async fn unread_count(caller: ChatCaller) -> Result<Json<UnreadCount>, ApiError> {
    Ok(Json(UnreadCount { unread_count: caller.chat.unread_count(&caller.me).await? }))
}
