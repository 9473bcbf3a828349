//! The native calls for conversations of devices: list, state, assignee and internal notes.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects::{MessageObject, UserObject, iso};
use super::{NativeCaller, user_or_key};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Body, ConversationParam, Query, Request};
use crate::api::http::paging::default_limit;
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::assignment::{ConversationState, InvalidConversationState};
use crate::domain::operator_chat::ids::ChatMessageId;
use crate::service::operator_chat::{InboxCaller, InboxConversation, InboxListRequest, NamedAssignment};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(user_or_key(Scope::ChatRead, &[404], routes!(list)))
        .routes(user_or_key(Scope::ChatRead, &[404, 409], routes!(show)))
        .routes(user_or_key(Scope::ChatWrite, &[404, 409], routes!(add_note)))
        .routes(user_or_key(Scope::ChatWrite, &[404, 409], routes!(assign)))
        .routes(user_or_key(Scope::ChatWrite, &[404, 409], routes!(close)))
        .routes(user_or_key(Scope::ChatWrite, &[404, 409], routes!(open)))
}

/// A conversation of a device
#[derive(Serialize, ToSchema)]
#[schema(as = InboxConversation)]
#[serde(rename_all = "camelCase")]
struct ConversationObject {
    /// The conversation's id.
    #[schema(example = "21")]
    id: String,
    /// `device`.
    #[schema(example = "device")]
    kind: &'static str,
    /// The device.
    #[schema(example = "demo")]
    device_id: String,
    /// The chat of the device; only for API keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "15550100001@c.us")]
    chat_id: Option<String>,
    /// The user that stands for the contact.
    contact: UserObject,
    /// `open` or `closed`.
    #[schema(example = "open")]
    state: &'static str,
    /// The user who answers it.
    assignee: Option<UserObject>,
    /// The oldest message of the contact without an answer.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    waiting_since: Option<String>,
    /// The first answer since the conversation was opened.
    #[schema(example = "2026-11-22T10:05:00.000Z")]
    first_response_at: Option<String>,
    /// The author of that answer.
    answered_by: Option<UserObject>,
    /// Unread messages of the chat.
    #[schema(minimum = 0, example = 2)]
    unread_count: i64,
    /// The newest message, also a note or a system message.
    last_message: Option<MessageObject>,
    /// When it was created.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    created_at: String,
}

impl ConversationObject {
    fn new(found: &InboxConversation, caller: &InboxCaller) -> Self {
        let chat_id = match caller {
            InboxCaller::User(_) => None,
            InboxCaller::Key(_) => Some(found.chat.to_string()),
        };
        Self {
            id: found.id.to_string(),
            kind: "device",
            device_id: found.device.to_string(),
            chat_id,
            contact: UserObject::new(&found.contact),
            state: found.state.as_str(),
            assignee: found.assignee.as_ref().map(UserObject::new),
            waiting_since: found.times.waiting_since.map(iso),
            first_response_at: found.times.first_response_at.map(iso),
            answered_by: found.answered_by.as_ref().map(UserObject::new),
            unread_count: found.unread,
            last_message: found.last_message.as_ref().map(MessageObject::new),
            created_at: iso(found.created_at),
        }
    }
}

/// The conversations to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListConversations {
    /// Only those of this device.
    device: Option<String>,
    /// Only those that are `open` or `closed`.
    state: Option<String>,
    /// `me`, `none`, or the id of a user; `<identity>:<id>` for an API key.
    assignee: Option<String>,
    /// The most conversations.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The `nextCursor` of the previous page.
    cursor: Option<String>,
}

impl Request for ListConversations {}

/// A page of conversations
#[derive(Serialize, ToSchema)]
#[schema(as = InboxConversationPage)]
#[serde(rename_all = "camelCase")]
struct ConversationPage {
    /// The conversations, those with the newest messages first.
    conversations: Vec<ConversationObject>,
    /// The `cursor` of the next page.
    #[schema(example = "1042")]
    next_cursor: Option<String>,
}

/// List conversations of devices
///
/// Those that the caller may see, with the newest messages first.
#[utoipa::path(get, path = "/conversations", operation_id = "listInboxConversations", tag = "operator chat",
    params(ListConversations),
    responses((status = 200, description = "The conversations", body = Success<ConversationPage>)))]
async fn list(
    NativeCaller { chat, caller }: NativeCaller,
    Query(query): Query<ListConversations>,
) -> Result<Success<ConversationPage>, ApiError> {
    let device = query.device.as_deref().map(str::parse::<DeviceId>).transpose();
    let state = query.state.as_deref().map(str::parse::<ConversationState>).transpose();
    let before = query.cursor.as_deref().map(str::parse::<ChatMessageId>).transpose();
    let assignee = match (query.assignee.as_deref(), &caller) {
        (None, _) => None,
        (Some("none"), _) => Some(None),
        (Some("me"), InboxCaller::User(me)) => Some(Some(me.id.to_string())),
        (Some(user), _) => Some(Some(user.to_owned())),
    };
    let request = InboxListRequest {
        device: device.map_err(|error| ApiError::field("device", error.to_string()))?,
        state: state
            .map_err(|error: InvalidConversationState| ApiError::field("state", error.to_string()))?,
        assignee,
        limit: query.limit,
        before: before.map_err(|error| ApiError::field("cursor", error.to_string()))?.map(|id| id.0),
    };
    let page = chat.inbox_page(caller.clone(), request).await?;
    Ok(Success::new(ConversationPage {
        conversations: page.conversations.iter().map(|one| ConversationObject::new(one, &caller)).collect(),
        next_cursor: page.next.map(|next| next.to_string()),
    }))
}

/// Show a conversation of a device
#[utoipa::path(get, path = "/conversations/{conversationId}", operation_id = "getInboxConversation",
    tag = "operator chat",
    responses((status = 200, description = "The conversation", body = Success<ConversationObject>)))]
async fn show(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
) -> Result<Success<ConversationObject>, ApiError> {
    let found = chat.inbox_conversation(caller.clone(), id).await?;
    Ok(Success::new(ConversationObject::new(&found, &caller)))
}

/// An internal note.
#[derive(Deserialize, ToSchema)]
#[schema(as = AddInboxNote, example = json!({ "content": "Ask for the order number." }))]
struct AddNote {
    /// The text.
    content: String,
}

impl Request for AddNote {}

/// Add an internal note
///
/// The users of the inbox see it; it is never sent to the contact.
#[utoipa::path(post, path = "/conversations/{conversationId}/notes", operation_id = "addInboxNote",
    tag = "operator chat", request_body = AddNote,
    responses((status = 201, description = "The stored note", body = Success<MessageObject>)))]
async fn add_note(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    Body(body): Body<AddNote>,
) -> Result<Response, ApiError> {
    let view = chat.add_note(caller, id, body.content).await?;
    Ok((StatusCode::CREATED, Success::new(MessageObject::new(&view))).into_response())
}

/// The new assignee.
#[derive(Deserialize, ToSchema)]
#[schema(as = AssignInboxConversation, example = json!({ "user": "anna", "ifAssignee": null }))]
#[serde(rename_all = "camelCase")]
struct Assign {
    /// The id of a user who may reply in the inbox; null removes the assignee. An API key writes `<identity>:<id>`.
    #[schema(required = true)]
    user: Option<String>,
    /// Assigns only if this is the assignee.
    if_assignee: Option<String>,
}

impl Request for Assign {
    /// A release is a `null` that the client wrote: a body without the field releases nothing.
    fn is_absent(field: &str, value: &Value) -> bool {
        value.is_null() && field != "user"
    }
}

/// Assign a conversation
///
/// A user with the rights `reply` claims a conversation without an assignee and releases an own one; all else needs
/// the rights `manage`. Of concurrent claims one succeeds; the others get `assigned`, with the assignee in `details`.
#[utoipa::path(post, path = "/conversations/{conversationId}/assign", operation_id = "assignInboxConversation",
    tag = "operator chat", request_body = Assign,
    responses((status = 200, description = "The conversation", body = Success<ConversationObject>)))]
async fn assign(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    Body(body): Body<Assign>,
) -> Result<Success<ConversationObject>, ApiError> {
    let request = NamedAssignment { user: body.user, expected: body.if_assignee.map(Some) };
    let found = chat.assign(caller.clone(), id, request).await?;
    Ok(Success::new(ConversationObject::new(&found, &caller)))
}

/// Close a conversation
///
/// The next message of the contact opens it.
#[utoipa::path(post, path = "/conversations/{conversationId}/close", operation_id = "closeInboxConversation",
    tag = "operator chat",
    responses((status = 200, description = "The conversation", body = Success<ConversationObject>)))]
async fn close(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
) -> Result<Success<ConversationObject>, ApiError> {
    let found = chat.set_conversation_state(caller.clone(), id, ConversationState::Closed).await?;
    Ok(Success::new(ConversationObject::new(&found, &caller)))
}

/// Open a conversation
#[utoipa::path(post, path = "/conversations/{conversationId}/open", operation_id = "openInboxConversation",
    tag = "operator chat",
    responses((status = 200, description = "The conversation", body = Success<ConversationObject>)))]
async fn open(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
) -> Result<Success<ConversationObject>, ApiError> {
    let found = chat.set_conversation_state(caller.clone(), id, ConversationState::Open).await?;
    Ok(Success::new(ConversationObject::new(&found, &caller)))
}
