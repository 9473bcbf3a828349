//! The native calls for conversations of all kinds: list, show and create.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::inbox_conversations::InboxConversationObject;
use super::objects::{MessageObject, UserObject, iso};
use super::{NativeCaller, user_or_key};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::input::{Body, ConversationParam, Query, Request};
use crate::api::http::paging::default_limit;
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::operator_chat::assignment::{ConversationState, InvalidConversationState};
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId};
use crate::domain::operator_chat::room::RoomTitle;
use crate::service::operator_chat::{
    ConversationListRequest, InboxCaller, ListPosition, ListedKind, NativeConversation, NewRoom,
    UserConversation,
};

/// Longest text to search for, in characters.
const SEARCH_MAX_CHARS: usize = 200;
/// The most participants that one request names.
const MAX_PARTICIPANTS: usize = 10_000;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(user_or_key(Scope::ChatRead, &[404], routes!(list)))
        .routes(user_or_key(Scope::ChatRead, &[404], routes!(show)))
        .routes(user_or_key(Scope::ChatWrite, &[403, 404, 409], routes!(create)))
}

/// A conversation of any kind
#[derive(Serialize, ToSchema)]
#[schema(as = Conversation)]
#[serde(untagged)]
pub(super) enum ConversationObject {
    Device(Box<InboxConversationObject>),
    OfUsers(Box<UserConversationObject>),
}

/// A direct conversation or a room
#[derive(Serialize, ToSchema)]
#[schema(as = UserConversation)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserConversationObject {
    /// The conversation's id.
    #[schema(example = "17")]
    id: String,
    /// `direct` or `room`.
    #[schema(example = "room")]
    kind: &'static str,
    /// The title of a room.
    #[schema(example = "Night shift")]
    title: Option<String>,
    /// The members of a room; absent in a direct conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, minimum = 1, example = 3)]
    member_count: Option<usize>,
    /// The role of the calling user in a room: `owner` or `member`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "owner")]
    role: Option<&'static str>,
    /// The members without the calling user; of a room at most 50.
    #[schema(max_items = 50)]
    participants: Vec<UserObject>,
    /// Messages of others that the calling user has not read; absent for an API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, minimum = 0, example = 2)]
    unread_count: Option<i64>,
    /// The newest message.
    last_message: Option<MessageObject>,
    /// When it was created.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    created_at: String,
}

impl ConversationObject {
    pub(super) fn new(found: &NativeConversation, caller: &InboxCaller) -> Self {
        match found {
            NativeConversation::Device(found) => {
                Self::Device(Box::new(InboxConversationObject::new(found, caller)))
            }
            NativeConversation::OfUsers(found) => Self::OfUsers(Box::new(UserConversationObject::new(found))),
        }
    }
}

impl UserConversationObject {
    fn new(found: &UserConversation) -> Self {
        let room = found.room.as_ref();
        Self {
            id: found.id.to_string(),
            kind: if room.is_some() { "room" } else { "direct" },
            title: room.and_then(|room| room.title.clone()),
            member_count: room.map(|room| room.members),
            role: room.and_then(|room| room.role).map(|role| role.as_str()),
            participants: found.participants.iter().map(UserObject::new).collect(),
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
    /// Only that of this chat of `device`; for API keys.
    chat: Option<String>,
    /// Only those of devices that are `open` or `closed`.
    state: Option<String>,
    /// Only those of devices with this assignee: `me`, `none`, or the id of a user; `<identity>:<id>` for an API key.
    assignee: Option<String>,
    /// Only `direct` conversations, `room`s, or those of a `device`.
    kind: Option<String>,
    /// Only those with this text in their title or in the name of a participant.
    #[param(max_length = 200)]
    search: Option<String>,
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
#[schema(as = ConversationPage)]
#[serde(rename_all = "camelCase")]
struct PageObject {
    /// The conversations, those with the newest messages first.
    conversations: Vec<ConversationObject>,
    /// The `cursor` of the next page. A page of a search may have fewer conversations than `limit` before the last one.
    #[schema(example = "1042")]
    next_cursor: Option<String>,
}

fn listed_kind(word: &str) -> Result<ListedKind, ApiError> {
    match word {
        "direct" => Ok(ListedKind::Direct),
        "room" => Ok(ListedKind::Room),
        "device" => Ok(ListedKind::Device),
        _ => Err(ApiError::field("kind", "must be direct, room or device")),
    }
}

/// A cursor is the newest message of the last conversation; for one without messages, `0-` and its id.
fn position(cursor: &str) -> Result<ListPosition, ApiError> {
    let wrong = |error| ApiError::field("cursor", format!("{error}"));
    match cursor.strip_prefix("0-") {
        Some(id) => Ok(ListPosition { newest: 0, id: id.parse::<ConversationId>().map_err(wrong)?.0 }),
        None => Ok(ListPosition { newest: cursor.parse::<ChatMessageId>().map_err(wrong)?.0, id: 0 }),
    }
}

fn cursor(position: ListPosition) -> String {
    match position.newest {
        0 => format!("0-{}", position.id),
        newest => newest.to_string(),
    }
}

/// List conversations
///
/// Those that the caller may see, with the newest messages first: of devices, direct ones, and rooms.
#[utoipa::path(get, path = "/conversations", operation_id = "listConversations", tag = "operator chat",
    params(ListConversations),
    responses((status = 200, description = "The conversations", body = Success<PageObject>)))]
async fn list(
    NativeCaller { chat, caller }: NativeCaller,
    Query(query): Query<ListConversations>,
) -> Result<Success<PageObject>, ApiError> {
    let device = query.device.as_deref().map(str::parse::<DeviceId>).transpose();
    let state = query.state.as_deref().map(str::parse::<ConversationState>).transpose();
    let assignee = match (query.assignee.as_deref(), &caller) {
        (None, _) => None,
        (Some("none"), _) => Some(None),
        (Some("me"), InboxCaller::User(me)) => Some(Some(me.id.to_string())),
        (Some(user), _) => Some(Some(user.to_owned())),
    };
    let search = query.search.filter(|text| !text.trim().is_empty());
    if search.as_ref().is_some_and(|text| text.chars().count() > SEARCH_MAX_CHARS) {
        return Err(ApiError::field("search", format!("must have at most {SEARCH_MAX_CHARS} characters")));
    }
    let chat_id = query.chat.as_deref().map(str::parse::<Jid>).transpose();
    let chat_id = chat_id.map_err(|error| ApiError::field("chat", error.to_string()))?;
    if chat_id.is_some() && (query.device.is_none() || matches!(caller, InboxCaller::User(_))) {
        return Err(ApiError::field("chat", "is for API keys, together with device"));
    }
    let request = ConversationListRequest {
        chat: chat_id,
        device: device.map_err(|error| ApiError::field("device", error.to_string()))?,
        state: state
            .map_err(|error: InvalidConversationState| ApiError::field("state", error.to_string()))?,
        assignee,
        kind: query.kind.as_deref().map(listed_kind).transpose()?,
        search,
        limit: query.limit,
        before: query.cursor.as_deref().map(position).transpose()?,
    };
    let page = chat.conversation_page(caller.clone(), request).await?;
    Ok(Success::new(PageObject {
        conversations: page.conversations.iter().map(|one| ConversationObject::new(one, &caller)).collect(),
        next_cursor: page.next.map(cursor),
    }))
}

/// Show a conversation
#[utoipa::path(get, path = "/conversations/{conversationId}", operation_id = "getConversation",
    tag = "operator chat",
    responses((status = 200, description = "The conversation", body = Success<ConversationObject>)))]
async fn show(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
) -> Result<Success<ConversationObject>, ApiError> {
    let found = chat.native_conversation(caller.clone(), id).await?;
    Ok(Success::new(ConversationObject::new(&found, &caller)))
}

/// A conversation to create.
#[derive(Deserialize, ToSchema)]
#[schema(as = CreateConversation,
    example = json!({ "kind": "room", "title": "Night shift", "participants": ["anna", "ben"] }))]
struct CreateConversation {
    /// `direct` or `room`.
    kind: String,
    /// The ids of the users; an API key writes `<identity>:<id>`. A user creates a direct conversation with one other
    /// user, and is the owner of a new room. An API key names both users, or the owner first.
    #[schema(max_items = 10_000)]
    participants: Vec<String>,
    /// The title of a room.
    #[schema(max_length = 200)]
    title: Option<String>,
}

impl Request for CreateConversation {}

/// Create a direct conversation or a room
///
/// There is one direct conversation for each pair of users. A conversation of a device begins with its chat, or by
/// `POST /devices/{id}/chats/{chatId}/conversation`.
#[utoipa::path(post, path = "/conversations", operation_id = "createConversation", tag = "operator chat",
    request_body = CreateConversation,
    responses((status = 200, description = "The direct conversation existed", body = Success<ConversationObject>),
        (status = 201, description = "The new conversation", body = Success<ConversationObject>)))]
async fn create(
    NativeCaller { chat, caller }: NativeCaller,
    Body(body): Body<CreateConversation>,
) -> Result<Response, ApiError> {
    if body.participants.len() > MAX_PARTICIPANTS {
        return Err(ApiError::field("participants", format!("must have at most {MAX_PARTICIPANTS} ids")));
    }
    let title = body.title.as_deref().map(str::parse::<RoomTitle>).transpose();
    let title = title.map_err(|error| ApiError::field("title", error.to_string()))?;
    let (created, is_new) = match body.kind.as_str() {
        "room" => {
            let new = NewRoom { participants: body.participants, title };
            (chat.create_room(caller.clone(), new).await?, true)
        }
        "direct" if title.is_some() => return Err(ApiError::field("title", "is for rooms")),
        "direct" => chat.open_direct(caller.clone(), body.participants).await?,
        _ => return Err(ApiError::field("kind", "must be direct or room")),
    };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Success::new(ConversationObject::new(&created, &caller))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_read_back() {
        for place in [ListPosition { newest: 0, id: 17 }, ListPosition { newest: 1042, id: 0 }] {
            assert_eq!(position(&cursor(place)).ok(), Some(place));
        }
        for wrong in ["", "0-", "0-x", "x", "-1"] {
            assert!(position(wrong).is_err(), "{wrong}");
        }
    }
}
