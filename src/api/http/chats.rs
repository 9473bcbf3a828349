//! Chats: list, search, one, its messages, marking read, and what is done to one as a whole.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Offsets, Page, Success};
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::{Body, Chat as ChatParam, Device, Fields, FromFields, Query};
use super::paging::{DEFAULT_LIMIT, MessagePagination, Window, limit, messages_url, window};
use super::schema::{self, ChatObject, LastMessageObject, MessageObject};
use crate::domain::access::Scope;
use crate::domain::chat::{Chat, ChatFilter, LastMessage};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::message::Message;
use crate::service::{ChatQuery, PageRequest, ServiceError, Services};

mod changes;

const SEARCH_CHARS: usize = 256;
const MAX_DEVICES: usize = 100;
const MAX_MESSAGE_IDS: usize = 1_000;
const FILTERS: [(&str, ChatFilter); 5] = [
    ("all", ChatFilter::All),
    ("unread", ChatFilter::Unread),
    ("groups", ChatFilter::Groups),
    ("private", ChatFilter::Private),
    ("archived", ChatFilter::Archived),
];

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::MessagesRead, &[], routes!(list)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(search)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(multi)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(show)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(messages)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(mark_read)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(read)))
        .merge(changes::routes())
}

fn search_text(fields: &mut Fields) -> Option<String> {
    let name = fields.given(&["search", "q"]);
    fields.text(name, SEARCH_CHARS).filter(|text| !text.is_empty())
}

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListChats {
    /// Which chats: `all`, `unread`, `groups`, `private` or `archived`.
    #[param(value_type = Option<String>, pattern = "^(all|unread|groups|private|archived)$", default = "all")]
    filter: ChatFilter,
    /// Whose name or id holds this text. `q` is accepted too.
    #[param(max_length = 256)]
    search: Option<String>,
    /// At most so many. `take` and `pageSize` are accepted too.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// After so many. `skip` is accepted too, and `page` from 1.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000, default = 0)]
    offset: usize,
}

impl FromFields for ListChats {
    fn read(fields: &mut Fields) -> Option<Self> {
        let filter = fields.word("filter", &FILTERS).unwrap_or_default();
        let search = search_text(fields);
        let Window { limit, offset } = window(fields);
        Some(Self { filter, search, limit, offset })
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

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct SearchChats {
    /// Whose name or id holds this text.
    #[param(min_length = 1, max_length = 256)]
    q: String,
    /// At most so many.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
}

impl FromFields for SearchChats {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.given(&["q", "search", "query"]);
        let text = fields.text(name, SEARCH_CHARS);
        let q = fields.require(name, text, "what to look for");
        let limit = limit(fields, DEFAULT_LIMIT);
        Some(Self { q: q?, limit })
    }
}

/// What a search for chats found.
#[derive(Serialize, ToSchema)]
struct FoundChats {
    /// `true`.
    success: bool,
    /// What was looked for.
    query: String,
    /// Chats.
    results: Vec<FoundChat>,
}

/// A chat that was found.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FoundChat {
    /// Its id.
    #[schema(example = "15550100001@c.us")]
    id: String,
    /// What people call it.
    name: String,
    /// `private` or `group`.
    #[schema(example = "private")]
    r#type: &'static str,
    /// Incoming messages not yet read.
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
    responses((status = 200, description = "What was found", body = FoundChats)))]
async fn search(
    State(services): State<Services>,
    Device(device): Device,
    Query(SearchChats { q, limit }): Query<SearchChats>,
) -> Result<Json<FoundChats>, ApiError> {
    let wanted = ChatQuery { search: Some(q.clone()), limit, ..ChatQuery::default() };
    let (chats, _) = services.messaging.chats(&device, wanted).await?;
    let results = chats.into_iter().map(FoundChat::from).collect();
    Ok(Json(FoundChats { success: true, query: q, results }))
}

/// Which devices' chats to list.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "deviceIds": ["shop"], "limit": 20 }))]
struct MultiChats {
    /// The devices.
    #[schema(schema_with = schema::device_ids)]
    device_ids: Vec<DeviceId>,
    /// At most so many chats of each; 50 unless said.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: usize,
    /// Whose name or id holds this text.
    #[schema(max_length = 256)]
    search: Option<String>,
}

impl FromFields for MultiChats {
    fn read(fields: &mut Fields) -> Option<Self> {
        let ids = fields.list("deviceIds", MAX_DEVICES).filter(|ids: &Vec<DeviceId>| !ids.is_empty());
        let ids = fields.require("deviceIds", ids, "a list of 1 to 100 device ids");
        let (limit, search) = (limit(fields, DEFAULT_LIMIT), search_text(fields));
        let mut device_ids = ids?;
        let mut seen = std::collections::HashSet::new();
        device_ids.retain(|id| seen.insert(id.clone()));
        Some(Self { device_ids, limit, search })
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
/// Devices that are not there, or not the key's, are left out.
#[utoipa::path(post, path = "/devices/chats/multi", operation_id = "listChatsOfDevices", tag = "chats",
    request_body = MultiChats,
    responses((status = 200, description = "Chats by device", body = Success<Vec<DeviceChats>>)))]
async fn multi(
    caller: Caller,
    State(services): State<Services>,
    Body(MultiChats { device_ids, limit, search }): Body<MultiChats>,
) -> Result<Success<Vec<DeviceChats>>, ApiError> {
    let mut found = Vec::new();
    for device in device_ids.into_iter().filter(|id| caller.reach(id).is_ok()) {
        let wanted = ChatQuery { search: search.clone(), limit, ..ChatQuery::default() };
        match services.messaging.chats(&device, wanted).await {
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

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListMessages {
    /// At most so many.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The newest of those before this message.
    #[param(schema_with = schema::message_id, required = false)]
    before: Option<MessageId>,
    /// The oldest of those after this message. Not together with `before`.
    #[param(schema_with = schema::message_id, required = false)]
    after: Option<MessageId>,
}

impl FromFields for ListMessages {
    fn read(fields: &mut Fields) -> Option<Self> {
        let limit = limit(fields, DEFAULT_LIMIT);
        let (before, after) = (fields.parsed("before"), fields.parsed("after"));
        if before.is_some() && after.is_some() {
            fields.wrong("after", "cannot be given together with before");
        }
        Some(Self { limit, before, after })
    }
}

/// List a chat's messages
///
/// In time order: the newest page, or the one next to a message.
#[utoipa::path(get, path = "/devices/{id}/chats/{chatId}/messages", operation_id = "listMessages", tag = "messages",
    params(ListMessages),
    responses((status = 200, description = "Messages", body = Page<MessageObject, MessagePagination>)))]
async fn messages(
    State(state): State<ApiState>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
    Query(ListMessages { limit, before, after }): Query<ListMessages>,
) -> Result<Page<Message, MessagePagination>, ApiError> {
    let wanted = PageRequest { limit, before, after };
    let page = state.services.messaging.chat_messages(&device, &chat, wanted.clone()).await?;
    let base = messages_url(&state.config.public_url, &device, &chat);
    let pagination = MessagePagination::new(&base, &wanted, &page);
    Ok(Page::new(page.messages, pagination))
}

/// Which messages to mark read.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "messageIds": ["false_15550100001@c.us_BB886C09AEF9"] }))]
struct MarkRead {
    /// Only these; all of the chat's, when left out or empty.
    #[schema(schema_with = schema::message_ids, required = false)]
    message_ids: Option<Vec<MessageId>>,
}

impl FromFields for MarkRead {
    fn read(fields: &mut Fields) -> Option<Self> {
        let ids = fields.list("messageIds", MAX_MESSAGE_IDS);
        Some(Self { message_ids: ids.filter(|ids| !ids.is_empty()) })
    }
}

/// What was marked read.
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
    responses((status = 200, description = "What had been unread", body = Success<MarkedRead>)))]
async fn mark_read(
    State(services): State<Services>,
    Device(device): Device,
    chat: ChatParam,
    body: Body<MarkRead>,
) -> Result<Success<MarkedRead>, ApiError> {
    mark(&services, &device, chat, body).await
}

/// Mark a chat read (other path)
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/read", operation_id = "readChat", tag = "chats",
    request_body = Option<MarkRead>,
    responses((status = 200, description = "What had been unread", body = Success<MarkedRead>)))]
async fn read(
    State(services): State<Services>,
    Device(device): Device,
    chat: ChatParam,
    body: Body<MarkRead>,
) -> Result<Success<MarkedRead>, ApiError> {
    mark(&services, &device, chat, body).await
}

async fn mark(
    services: &Services,
    device: &DeviceId,
    ChatParam(chat): ChatParam,
    Body(body): Body<MarkRead>,
) -> Result<Success<MarkedRead>, ApiError> {
    let read = services.messaging.mark_read(device, &chat, body.message_ids).await?;
    let message_ids = read.iter().map(ToString::to_string).collect();
    Ok(Success::new(MarkedRead { chat_id: chat.to_string(), message_ids }))
}
