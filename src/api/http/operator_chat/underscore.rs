//! REST of operator chat in the `underscore` dialect: conversations, messages and users to write to.
//!
//! The paths that it shares with the `namespace` dialect are routed there.

use std::cmp::Reverse;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::underscore_objects::{
    MESSAGE_KINDS, UnderscoreConversation, UnderscoreMessage, UnderscoreOnlineUser, changed_at, message_kind,
};
use super::{ChatCaller, LooseId, loose_id, signed_in_to};
use crate::api::http::ApiState;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Body, ConversationParam, Request};
use crate::domain::operator_chat::conversation::{ConversationTarget, ConversationView};
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::message::MessageDraft;
use crate::domain::operator_chat::send_dedup::SendChannel;
use crate::domain::operator_chat::user::ChatUser;
use crate::service::operator_chat::{ChatError, MessageListRequest};

/// The messages of a page without a limit.
const DEFAULT_LIMIT: usize = 500;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    let signed_in = |refusals, routes| signed_in_to(Dialect::Underscore, refusals, routes);
    OpenApiRouter::new()
        .routes(signed_in(&[404, 409], routes!(send)))
        .routes(signed_in(&[], routes!(list)))
        .routes(signed_in(&[], routes!(experts)))
}

fn object(caller: &ChatCaller, view: &ConversationView) -> UnderscoreConversation {
    UnderscoreConversation::new(view, &caller.me.user, |user| caller.chat.is_online(user.pk))
}

fn online_user(caller: &ChatCaller, user: &ChatUser) -> UnderscoreOnlineUser {
    UnderscoreOnlineUser::new(user, caller.chat.is_online(user.pk))
}

/// A conversation of the caller.
#[derive(Serialize, ToSchema)]
pub(super) struct OpenedUnderscoreConversation {
    conversation: UnderscoreConversation,
}

/// Opens the direct conversation with a user.
pub(super) async fn open(
    caller: &ChatCaller,
    participant: &str,
) -> Result<(OpenedUnderscoreConversation, StatusCode), ApiError> {
    let opened = caller.chat.open_with_welcome(&caller.me, participant).await;
    let (view, is_new) = opened.map_err(|error| match error {
        ChatError::UserNotFound => ChatError::ParticipantNotFound,
        other => other,
    })?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((OpenedUnderscoreConversation { conversation: object(caller, &view) }, status))
}

/// Conversations, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct UnderscoreConversationList {
    conversations: Vec<UnderscoreConversation>,
}

/// The conversations of the caller, also those without messages.
pub(super) async fn conversations(caller: &ChatCaller) -> Result<UnderscoreConversationList, ApiError> {
    let mut views = caller.chat.all_conversations(&caller.me).await?;
    views.sort_by_key(|view| Reverse(changed_at(view)));
    let conversations = views.iter().map(|view| object(caller, view)).collect();
    Ok(UnderscoreConversationList { conversations })
}

/// Messages in the order of time.
#[derive(Serialize, ToSchema)]
pub(super) struct UnderscoreMessageList {
    messages: Vec<UnderscoreMessage>,
}

/// A page of messages of a conversation.
pub(super) async fn messages(
    caller: &ChatCaller,
    conversation: String,
    limit: Option<usize>,
    before: Option<i64>,
) -> Result<UnderscoreMessageList, ApiError> {
    let target = ConversationTarget::Named(conversation);
    let request = MessageListRequest { target, limit: limit.unwrap_or(DEFAULT_LIMIT), offset: 0, before };
    let page = caller.chat.messages(&caller.me, request).await?;
    let viewer = &caller.me.user;
    let messages = page.messages.iter().map(|view| UnderscoreMessage::seen_by(view, viewer)).collect();
    Ok(UnderscoreMessageList { messages })
}

/// A message to send.
#[derive(Deserialize, ToSchema)]
#[schema(as = SendUnderscoreMessage, example = json!({ "content": "Hello!", "receiverId": "u7", "messageType": "TEXT" }))]
#[serde(rename_all = "camelCase")]
struct SendMessage {
    /// The text.
    content: Option<String>,
    /// The other user; the conversation decides.
    #[serde(default, deserialize_with = "loose_id")]
    #[schema(value_type = Option<LooseId>)]
    #[expect(dead_code, reason = "clients send it; the conversation has the receiver")]
    receiver_id: Option<String>,
    /// `TEXT`, `IMAGE` or `FILE`; `TEXT` if absent.
    message_type: Option<String>,
}

impl Request for SendMessage {}

/// A sent message.
#[derive(Serialize, ToSchema)]
#[schema(as = SentUnderscoreMessage)]
struct SentMessage {
    message: UnderscoreMessage,
}

/// Send a message to one conversation
///
/// Emits the same events as `send_message`. If that event with the same text came within
/// `chat.send_dedup_window_ms`, both are one message.
#[utoipa::path(post, path = "/api/chat/conversations/{conversationId}/messages",
    operation_id = "sendUnderscoreMessage", tag = "operator chat", request_body = SendMessage,
    responses((status = 201, description = "The stored message", body = SentMessage)))]
async fn send(
    caller: ChatCaller,
    ConversationParam(conversation): ConversationParam,
    Body(body): Body<SendMessage>,
) -> Result<Response, ApiError> {
    let kind = message_kind(body.message_type.as_deref());
    let draft = MessageDraft {
        kind: kind.ok_or_else(|| ApiError::field("messageType", MESSAGE_KINDS))?,
        content: body.content.unwrap_or_default(),
        attachment_url: None,
        attachment_name: None,
        temp_id: None,
    };
    let sent = caller.chat.send_on_channel(&caller.me, conversation, draft, SendChannel::Rest, None).await?;
    let message = UnderscoreMessage::seen_by(&sent.view, &caller.me.user);
    Ok((StatusCode::CREATED, Json(SentMessage { message })).into_response())
}

/// A user to write to, with the conversation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UnderscoreListEntry {
    user: UnderscoreOnlineUser,
    conversation: Option<UnderscoreConversation>,
    last_message: Option<UnderscoreMessage>,
}

/// The users to write to, those with the newest messages first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UnderscoreChatList {
    chat_list: Vec<UnderscoreListEntry>,
}

/// List users with their conversations
///
/// The users of the directory, the other users of the caller's conversations, and the contacts of its inboxes.
#[utoipa::path(get, path = "/api/chat/list", operation_id = "listUnderscoreChats", tag = "operator chat",
    responses((status = 200, description = "The users, newest messages first", body = UnderscoreChatList)))]
async fn list(caller: ChatCaller) -> Result<Json<UnderscoreChatList>, ApiError> {
    let views = caller.chat.all_conversations(&caller.me).await?;
    let directory = caller.chat.directory(&caller.me).await?;
    let viewer = &caller.me.user;
    let with_conversation = views.iter().filter_map(|view| {
        let user = view.participants.first()?;
        Some(UnderscoreListEntry {
            user: online_user(&caller, user),
            conversation: Some(object(&caller, view)),
            last_message: view.last_message.as_ref().map(|last| UnderscoreMessage::seen_by(last, viewer)),
        })
    });
    let is_listed =
        |user: &ChatUser| views.iter().flat_map(|view| &view.participants).any(|p| p.pk == user.pk);
    let without = directory.iter().filter(|user| !is_listed(user)).map(|user| UnderscoreListEntry {
        user: online_user(&caller, user),
        conversation: None,
        last_message: None,
    });
    Ok(Json(UnderscoreChatList { chat_list: with_conversation.chain(without).collect() }))
}

/// The users with whom the caller may start a conversation; both lists are equal.
#[derive(Serialize, ToSchema)]
struct UnderscoreExperts {
    users: Vec<UnderscoreOnlineUser>,
    experts: Vec<UnderscoreOnlineUser>,
}

/// List users to write to
#[utoipa::path(get, path = "/api/chat/experts", operation_id = "listUnderscoreExperts", tag = "operator chat",
    responses((status = 200, description = "The users of the directory", body = UnderscoreExperts)))]
async fn experts(caller: ChatCaller) -> Result<Json<UnderscoreExperts>, ApiError> {
    let directory = caller.chat.directory(&caller.me).await?;
    let users = || directory.iter().map(|user| online_user(&caller, user)).collect();
    Ok(Json(UnderscoreExperts { users: users(), experts: users() }))
}
