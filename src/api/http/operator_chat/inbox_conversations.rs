//! The native calls for conversations of devices: state, assignee and internal notes.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects::{MessageObject, UserObject, iso};
use super::{NativeCaller, user_or_key};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Body, ConversationParam, Request};
use crate::domain::access::Scope;
use crate::domain::operator_chat::assignment::ConversationState;
use crate::service::operator_chat::{InboxCaller, InboxConversation, NamedAssignment};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(user_or_key(Scope::ChatWrite, &[404, 409], routes!(add_note)))
        .routes(user_or_key(Scope::ChatWrite, &[404, 409], routes!(assign)))
        .routes(user_or_key(Scope::ChatWrite, &[404, 409], routes!(close)))
        .routes(user_or_key(Scope::ChatWrite, &[404, 409], routes!(open)))
}

/// A conversation of a device
#[derive(Serialize, ToSchema)]
#[schema(as = InboxConversation)]
#[serde(rename_all = "camelCase")]
pub(super) struct InboxConversationObject {
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

impl InboxConversationObject {
    pub(super) fn new(found: &InboxConversation, caller: &InboxCaller) -> Self {
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
    responses((status = 200, description = "The conversation", body = Success<InboxConversationObject>)))]
async fn assign(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    Body(body): Body<Assign>,
) -> Result<Success<InboxConversationObject>, ApiError> {
    let request = NamedAssignment { user: body.user, expected: body.if_assignee.map(Some) };
    let found = chat.assign(caller.clone(), id, request).await?;
    Ok(Success::new(InboxConversationObject::new(&found, &caller)))
}

/// Close a conversation
///
/// The next message of the contact opens it.
#[utoipa::path(post, path = "/conversations/{conversationId}/close", operation_id = "closeInboxConversation",
    tag = "operator chat",
    responses((status = 200, description = "The conversation", body = Success<InboxConversationObject>)))]
async fn close(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
) -> Result<Success<InboxConversationObject>, ApiError> {
    let found = chat.set_conversation_state(caller.clone(), id, ConversationState::Closed).await?;
    Ok(Success::new(InboxConversationObject::new(&found, &caller)))
}

/// Open a conversation
#[utoipa::path(post, path = "/conversations/{conversationId}/open", operation_id = "openInboxConversation",
    tag = "operator chat",
    responses((status = 200, description = "The conversation", body = Success<InboxConversationObject>)))]
async fn open(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
) -> Result<Success<InboxConversationObject>, ApiError> {
    let found = chat.set_conversation_state(caller.clone(), id, ConversationState::Open).await?;
    Ok(Success::new(InboxConversationObject::new(&found, &caller)))
}
