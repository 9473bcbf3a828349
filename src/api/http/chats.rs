//! Chats: list, search, show, messages, mark read. Changes, exports and imports have files of their own.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{JsonBody, Offsets, Page, Success};
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::loose::distinct;
use super::input::{Alias, Body, Chat as ChatParam, Device, Query, Report, Request};
use super::paging::{LIMIT, MessagePagination, OFFSET, SEARCH, default_limit, messages_url, move_page};
use super::routes::older_path;
use super::schema::{self, ChatObject, LastMessageObject, MessageObject};
use crate::domain::access::Scope;
use crate::domain::chat::{Chat, ChatFilter, LastMessage};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::message::Message;
use crate::service::{ChatQuery, PageRequest, ServiceError, Services};

mod changes;
mod picture;
mod transfer;
mod typing;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    let read = older_path(routes!(mark_read), "/devices/{id}/chats/{chatId}/read", "readChat", "chats");
    OpenApiRouter::new()
        .routes(guarded(Scope::MessagesRead, &[], routes!(list)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(search)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(multi)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(show)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(messages)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(mark_read)))
        .routes(guarded(Scope::MessagesSend, &[], read))
        .merge(picture::routes())
        .merge(changes::routes())
        .merge(transfer::routes())
        .merge(typing::routes())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListChats {
    /// The chats to list: `all`, `unread`, `groups`, `private` or `archived`.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(all|unread|groups|private|archived)$", default = "all")]
    filter: ChatFilter,
    /// Only chats whose name or id contains this text. `q` is accepted too.
    #[param(max_length = 256)]
    search: Option<String>,
    /// The most entries of a page. `take` and `pageSize` are accepted too.
    #[serde(default = "default_limit")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The entries to skip. `skip` is accepted too, and `page` from 1.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000, default = 0)]
    offset: usize,
}

impl Request for ListChats {
    const ALIASES: &'static [Alias] = &[SEARCH, LIMIT, OFFSET];

    fn normalize(object: &mut Map<String, Value>, report: &mut Report) {
        move_page(object, report);
    }
}

/// List chats
///
/// Pinned ones first, then the newest.
#[utoipa::path(get, path = "/devices/{id}/chats", operation_id = "listChats", tag = "chats",
    params(ListChats),
    responses((status = 200, description = "Chats", body = Page<ChatObject, Offsets>)))]
async fn list(
    State(services): State<Services>,
    Device(device): Device,
    Query(ListChats { filter, search, limit, offset }): Query<ListChats>,
) -> Result<Page<Chat, Offsets>, ApiError> {
    let (chats, total) =
        services.messaging.chats(&device, ChatQuery { filter, search, limit, offset }).await?;
    let offsets = Offsets::new(total, chats.len(), limit, offset);
    Ok(Page::new(chats, offsets))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SearchChats {
    /// Only chats whose name or id contains this text.
    #[param(min_length = 1, max_length = 256)]
    q: String,
    /// The most entries of a page.
    #[serde(default = "default_limit")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
}

impl Request for SearchChats {
    const ALIASES: &'static [Alias] = &[("q", &["search", "query"]), LIMIT];
}

/// The result of a search for chats.
#[derive(Serialize, ToSchema)]
struct FoundChats {
    /// `true`.
    success: bool,
    /// The text of the request.
    query: String,
    /// The matching chats.
    results: Vec<FoundChat>,
}

/// A chat of a search result.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FoundChat {
    /// Its id.
    #[schema(example = "15550100001@c.us")]
    id: String,
    /// Its name.
    name: String,
    /// `private` or `group`.
    #[schema(example = "private")]
    r#type: &'static str,
    /// Unread incoming messages.
    #[schema(minimum = 0)]
    unread: i64,
    /// The newest message.
    #[schema(value_type = Option<LastMessageObject>)]
    last_message: Option<LastMessage>,
}

impl From<Chat> for FoundChat {
    fn from(chat: Chat) -> Self {
        Self {
            id: chat.id.to_string(),
            name: chat.name,
            r#type: if chat.is_group { "group" } else { "private" },
            unread: chat.unread_count,
            last_message: chat.last_message,
        }
    }
}

/// Search chats
#[utoipa::path(get, path = "/devices/{id}/chats/search", operation_id = "searchChats", tag = "chats",
    params(SearchChats),
    responses((status = 200, description = "The matches", body = FoundChats)))]
async fn search(
    State(services): State<Services>,
    Device(device): Device,
    Query(SearchChats { q, limit }): Query<SearchChats>,
) -> Result<JsonBody<FoundChats>, ApiError> {
    let query = ChatQuery { search: Some(q.clone()), limit, ..ChatQuery::default() };
    let (chats, _) = services.messaging.chats(&device, query).await?;
    let results = chats.into_iter().map(FoundChat::from).collect();
    Ok(JsonBody(FoundChats { success: true, query: q, results }))
}

/// The devices whose chats to list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "deviceIds": ["shop"], "limit": 20 }))]
struct MultiChats {
    /// The devices.
    #[schema(schema_with = schema::device_ids)]
    device_ids: Vec<DeviceId>,
    /// The most chats of each device; 50 by default.
    #[serde(default = "default_limit")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: usize,
    /// Only chats whose name or id contains this text.
    #[schema(max_length = 256)]
    search: Option<String>,
}

impl Request for MultiChats {
    const ALIASES: &'static [Alias] = &[SEARCH, LIMIT];

    fn check(&self, report: &mut Report) {
        if self.device_ids.is_empty() {
            report.error("deviceIds", "is required: a list of 1 to 100 device ids");
        }
    }
}

/// A device's chats.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeviceChats {
    /// The device.
    device_id: String,
    /// Its chats, pinned ones first, then the newest.
    #[schema(value_type = Vec<ChatObject>)]
    chats: Vec<Chat>,
}

/// List the chats of several devices
///
/// Omits devices that do not exist or are not the key's.
#[utoipa::path(post, path = "/devices/chats/multi", operation_id = "listChatsOfDevices", tag = "chats",
    request_body = MultiChats,
    responses((status = 200, description = "Chats by device", body = Success<Vec<DeviceChats>>)))]
async fn multi(
    caller: Caller,
    State(services): State<Services>,
    Body(MultiChats { device_ids, limit, search }): Body<MultiChats>,
) -> Result<Success<Vec<DeviceChats>>, ApiError> {
    let mut found = Vec::new();
    for device in distinct(device_ids).into_iter().filter(|id| caller.reach(id).is_ok()) {
        let query = ChatQuery {
            search: search.clone().filter(|text| !text.is_empty()),
            limit,
            ..ChatQuery::default()
        };
        match services.messaging.chats(&device, query).await {
            Ok((chats, _)) => found.push(DeviceChats { device_id: device.into(), chats }),
            Err(ServiceError::DeviceNotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Success::new(found))
}

/// Show a chat
#[utoipa::path(get, path = "/devices/{id}/chats/{chatId}", operation_id = "getChat", tag = "chats",
    responses((status = 200, description = "The chat", body = Success<ChatObject>)))]
async fn show(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
) -> Result<Success<Chat>, ApiError> {
    Ok(Success::new(services.messaging.chat(&device, &chat).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListMessages {
    /// The most entries of a page.
    #[serde(default = "default_limit")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The newest messages before this one.
    #[param(schema_with = schema::message_id, required = false)]
    before: Option<MessageId>,
    /// The oldest messages after this one. Not together with `before`.
    #[param(schema_with = schema::message_id, required = false)]
    after: Option<MessageId>,
}

impl Request for ListMessages {
    const ALIASES: &'static [Alias] = &[LIMIT];

    fn check(&self, report: &mut Report) {
        if self.before.is_some() && self.after.is_some() {
            report.error("after", "cannot be given together with before");
        }
    }
}

/// List a chat's messages
///
/// In time order: the newest page, or the page next to a message.
#[utoipa::path(get, path = "/devices/{id}/chats/{chatId}/messages", operation_id = "listMessages", tag = "messages",
    params(ListMessages),
    responses((status = 200, description = "Messages", body = Page<MessageObject, MessagePagination>)))]
async fn messages(
    State(state): State<ApiState>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
    Query(ListMessages { limit, before, after }): Query<ListMessages>,
) -> Result<Page<Message, MessagePagination>, ApiError> {
    let query = PageRequest { limit, before, after };
    let page = state.services.messaging.chat_messages(&device, &chat, query.clone()).await?;
    let base = messages_url(&state.config.public_url, &device, &chat);
    let pagination = MessagePagination::new(&base, &query, &page);
    Ok(Page::new(page.messages, pagination))
}

/// The messages to mark as read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "messageIds": ["false_15550100001@c.us_BB886C09AEF9"] }))]
struct MarkRead {
    /// Only these messages; all of the chat when absent or empty.
    #[schema(schema_with = schema::message_ids, required = false)]
    message_ids: Option<Vec<MessageId>>,
}

impl Request for MarkRead {}

/// The messages that were marked as read.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MarkedRead {
    /// The chat.
    chat_id: String,
    /// The messages that had been unread.
    message_ids: Vec<String>,
}

/// Mark a chat read
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/markRead", operation_id = "markChatRead", tag = "chats",
    request_body = Option<MarkRead>,
    responses((status = 200, description = "The messages that had been unread", body = Success<MarkedRead>)))]
async fn mark_read(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
    Body(MarkRead { message_ids }): Body<MarkRead>,
) -> Result<Success<MarkedRead>, ApiError> {
    let message_ids = message_ids.filter(|ids| !ids.is_empty());
    let read = services.messaging.mark_read(&device, &chat, message_ids).await?;
    let message_ids = read.iter().map(ToString::to_string).collect();
    Ok(Success::new(MarkedRead { chat_id: chat.to_string(), message_ids }))
}
