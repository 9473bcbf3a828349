//! Conversations of operator chat in the `namespace` dialect: open, list, remove from the list, and unread counts.
//! Opening and listing are also calls of the `underscore` dialect.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::namespace_objects::NamespaceConversation;
use super::underscore::{self, OpenedUnderscoreConversation, UnderscoreConversationList};
use super::{ChatCaller, LooseId, loose_id, signed_in_to, signed_in_to_any};
use crate::api::http::ApiState;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Body, ConversationParam, Query, Request};
use crate::domain::operator_chat::conversation::ConversationView;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::room::RoomTitle;
use crate::service::operator_chat::NewRoom;

const DEFAULT_LIMIT: usize = 20;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    let signed_in = |refusals, routes| signed_in_to(Dialect::Namespace, refusals, routes);
    let shared =
        |refusals, routes| signed_in_to_any(vec![Dialect::Namespace, Dialect::Underscore], refusals, routes);
    OpenApiRouter::new()
        .routes(shared(&[404, 409], routes!(open)))
        .routes(shared(&[], routes!(list)))
        .routes(signed_in(&[404, 409], routes!(remove)))
        .routes(signed_in(&[], routes!(unread_count)))
}

fn object(caller: &ChatCaller, view: &ConversationView) -> Option<NamespaceConversation> {
    NamespaceConversation::new(view, |user| caller.chat.is_online(user.pk))
}

/// The other user of a direct conversation, or the other members of a room.
#[derive(Deserialize, ToSchema)]
#[schema(as = OpenNamespaceConversation, example = json!({ "participantId": 7, "participantType": "brand" }))]
#[serde(rename_all = "camelCase")]
struct OpenConversation {
    /// The other members of a new room, in place of one participant. Not in the `underscore` dialect.
    #[schema(max_items = 10_000)]
    participants: Option<Vec<Participant>>,
    /// The title of a new room.
    #[schema(max_length = 200)]
    title: Option<String>,
    /// The user's id.
    #[serde(default, deserialize_with = "loose_id")]
    #[schema(value_type = LooseId)]
    participant_id: Option<String>,
    /// The user's type.
    participant_type: Option<String>,
}

/// A user.
#[derive(Deserialize, ToSchema)]
#[schema(as = NamespaceParticipantId)]
struct Participant {
    /// The user's id.
    #[serde(deserialize_with = "loose_id")]
    #[schema(value_type = LooseId)]
    id: Option<String>,
    /// The user's type.
    r#type: Option<String>,
}

impl Request for OpenConversation {}

/// A conversation of the caller, in the caller's dialect.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenedConversation)]
#[serde(untagged)]
enum OpenedInDialect {
    Namespace(Box<OpenedConversation>),
    Underscore(OpenedUnderscoreConversation),
}

/// A conversation of the caller.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenedNamespaceConversation)]
struct OpenedConversation {
    conversation: NamespaceConversation,
}

/// Open a direct conversation or create a room
///
/// With `participants` it creates a room, whose owner is the caller. Otherwise it opens the direct conversation with one user, and creates it if there is none. It is in the list from its first message on. In the `underscore` dialect a new one
/// gets the message of `chat.welcome`.
#[utoipa::path(post, path = "/api/chat/conversations", operation_id = "openNamespaceConversation",
    tag = "operator chat", request_body = OpenConversation,
    responses((status = 200, description = "The conversation existed", body = OpenedInDialect),
        (status = 201, description = "The conversation was created", body = OpenedInDialect)))]
async fn open(caller: ChatCaller, Body(body): Body<OpenConversation>) -> Result<Response, ApiError> {
    if let Some(participants) = body.participants {
        return create_room(&caller, &participants, body.title.as_deref()).await;
    }
    let id = body.participant_id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| ApiError::field("participantId", "is required"))?;
    if caller.dialect == Dialect::Underscore {
        let (opened, status) = underscore::open(&caller, &id).await?;
        return Ok((status, Json(OpenedInDialect::Underscore(opened))).into_response());
    }
    let user_type = body.participant_type.unwrap_or_default();
    let peer = caller.me.user.tenant_id(&user_type, &id);
    let (view, is_new) = caller.chat.open_conversation(&caller.me, &peer).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let conversation = object(&caller, &view).ok_or(ApiError::Internal)?;
    let opened = OpenedInDialect::Namespace(Box::new(OpenedConversation { conversation }));
    Ok((status, Json(opened)).into_response())
}

async fn create_room(
    caller: &ChatCaller,
    participants: &[Participant],
    title: Option<&str>,
) -> Result<Response, ApiError> {
    if caller.dialect == Dialect::Underscore {
        return Err(ApiError::field("participants", "creates a room, which is not a call of this dialect"));
    }
    let title = title.map(str::parse::<RoomTitle>).transpose();
    let title = title.map_err(|error| ApiError::field("title", error.to_string()))?;
    let me = &caller.me.user;
    let named = |one: &Participant| {
        let id = one.id.as_deref().filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| ApiError::field("participants", "must be objects with an id"))?;
        Ok(me.tenant_id(one.r#type.as_deref().unwrap_or_default(), id))
    };
    let participants = participants.iter().map(named).collect::<Result<Vec<_>, ApiError>>()?;
    let view = caller.chat.open_room(&caller.me, NewRoom { participants, title }).await?;
    let conversation = object(caller, &view).ok_or(ApiError::Internal)?;
    let opened = OpenedInDialect::Namespace(Box::new(OpenedConversation { conversation }));
    Ok((StatusCode::CREATED, Json(opened)).into_response())
}

/// The page to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListConversations {
    /// The page; 1 if absent.
    #[param(minimum = 1, maximum = 500)]
    page: Option<usize>,
    /// The most conversations; 20 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

impl Request for ListConversations {}

/// Conversations in the caller's dialect.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationsInDialect)]
#[serde(untagged)]
enum ConversationsInDialect {
    Namespace(ConversationPage),
    Underscore(UnderscoreConversationList),
}

/// A page of conversations, those with the newest messages first.
#[derive(Serialize, ToSchema)]
#[schema(as = NamespaceConversationPage)]
struct ConversationPage {
    conversations: Vec<NamespaceConversation>,
    #[schema(minimum = 1, example = 1)]
    page: usize,
    #[schema(minimum = 1, maximum = 100, example = 20)]
    limit: usize,
    /// The conversations of all pages, at most 500.
    #[schema(minimum = 0, maximum = 500, example = 1)]
    total: usize,
}

/// List conversations
///
/// The 500 with the newest messages, newest first; in the `underscore` dialect all of them on one page.
#[utoipa::path(get, path = "/api/chat/conversations", operation_id = "listNamespaceConversations",
    tag = "operator chat", params(ListConversations),
    responses((status = 200, description = "A page of conversations", body = ConversationsInDialect)))]
async fn list(
    caller: ChatCaller,
    Query(query): Query<ListConversations>,
) -> Result<Json<ConversationsInDialect>, ApiError> {
    if caller.dialect == Dialect::Underscore {
        return Ok(Json(ConversationsInDialect::Underscore(underscore::conversations(&caller).await?)));
    }
    let (page, limit) = (query.page.unwrap_or(1), query.limit.unwrap_or(DEFAULT_LIMIT));
    let views = caller.chat.conversations(&caller.me).await?;
    let of_page = views.iter().skip((page - 1) * limit).take(limit);
    let conversations = of_page.filter_map(|view| object(&caller, view)).collect();
    let page = ConversationPage { conversations, page, limit, total: views.len() };
    Ok(Json(ConversationsInDialect::Namespace(page)))
}

/// Remove a conversation from the list
///
/// Until its next message, and for the caller only.
#[utoipa::path(delete, path = "/api/chat/conversations/{conversationId}",
    operation_id = "removeNamespaceConversation", tag = "operator chat",
    responses((status = 204, description = "The conversation is not in the list")))]
async fn remove(
    caller: ChatCaller,
    ConversationParam(id): ConversationParam,
) -> Result<StatusCode, ApiError> {
    caller.chat.remove_from_list(&caller.me, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The number of unread messages.
#[derive(Serialize, ToSchema)]
#[schema(as = NamespaceUnreadCount)]
#[serde(rename_all = "camelCase")]
struct UnreadCount {
    /// The unread messages of all conversations.
    #[schema(minimum = 0, example = 2)]
    unread_count: i64,
    /// The conversations that have some.
    conversations: Vec<UnreadConversation>,
}

/// A conversation with unread messages.
#[derive(Serialize, ToSchema)]
#[schema(as = NamespaceUnreadConversation)]
#[serde(rename_all = "camelCase")]
struct UnreadConversation {
    #[schema(minimum = 1, example = 123)]
    conversation_id: i64,
    #[schema(minimum = 1, example = 2)]
    unread_count: i64,
}

/// Count unread messages by conversation
#[utoipa::path(get, path = "/api/chat/unread-count", operation_id = "countUnreadNamespaceMessages",
    tag = "operator chat",
    responses((status = 200, description = "The unread messages of direct conversations", body = UnreadCount)))]
async fn unread_count(caller: ChatCaller) -> Result<Json<UnreadCount>, ApiError> {
    let counts = caller.chat.unread_conversations(&caller.me).await?;
    let unread_count = counts.iter().map(|(_, count)| count).sum();
    let unread = |(id, count): (_, i64)| UnreadConversation { conversation_id: id, unread_count: count };
    let conversations = counts.into_iter().map(|(id, count)| unread((id.0, count))).collect();
    Ok(Json(UnreadCount { unread_count, conversations }))
}
