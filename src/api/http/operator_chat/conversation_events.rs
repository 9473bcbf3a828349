//! The native call for the chat log: by pages, or as a stream of server-sent events.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::{Extension, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects::{MessageObject, UserObject};
use super::{ChatCaller, NativeCaller, user_or_key};
use crate::api::StreamPermit;
use crate::api::http::ApiState;
use crate::api::http::envelope::JsonBody;
use crate::api::http::error::ApiError;
use crate::api::http::events::{KEEPALIVE, LastEventId, RETRY, StreamReader, accepts_stream, max_limit};
use crate::api::http::guard::Caller;
use crate::api::http::input::{Alias, Query, Request};
use crate::api::http::paging::LIMIT;
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation_event::{ConversationChange, ConversationEvent};
use crate::domain::operator_chat::ids::ChatMessageId;
use crate::service::operator_chat::{ConversationEventPage, InboxCaller, SignedIn};
use crate::service::{OperatorChat, Principal, Services};

/// Entries that a stream reads at once.
const PAGE: usize = 100;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(user_or_key(Scope::ChatRead, &[], routes!(events)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// Only entries with a larger `seq`. A stream without it begins with new entries.
    #[param(value_type = Option<i64>, minimum = 0)]
    after: Option<i64>,
    /// The most entries of a page; a stream has no limit.
    #[serde(default = "max_limit")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: usize,
}

impl Request for EventQuery {
    const ALIASES: &'static [Alias] = &[LIMIT];
}

/// A page of the chat log
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationEventPage)]
#[serde(rename_all = "camelCase")]
struct EventPage {
    /// `true`.
    success: bool,
    /// Entries that the caller may see, in order.
    data: Vec<EventEntry>,
    /// The oldest entry that is kept.
    oldest_seq: i64,
    /// The newest entry; 0 before the first.
    newest_seq: i64,
    /// The last examined entry: the `after` of the next request.
    next_after: i64,
    /// Whether more may follow.
    has_more: bool,
    /// Whether entries after `after` are no longer in the log, or `after` is beyond its end: reload over REST.
    resync: bool,
}

/// An entry of the chat log
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationEventEntry)]
struct EventEntry {
    /// Its position, which grows; positions of others are left out.
    #[schema(minimum = 1)]
    seq: i64,
    /// The event's name.
    #[schema(example = "conversation:assigned")]
    r#type: &'static str,
    /// The time of its append.
    #[schema(value_type = i64)]
    timestamp: Millis,
    /// The event.
    #[schema(value_type = EventObject)]
    payload: Box<RawValue>,
}

/// An event of a conversation; a field is absent where it does not apply
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationEvent)]
#[serde(rename_all = "camelCase")]
struct EventObject {
    /// Its position in the chat log.
    #[schema(minimum = 1)]
    seq: i64,
    /// The time of its append.
    #[schema(value_type = i64)]
    timestamp: Millis,
    /// The conversation's id.
    #[schema(example = "21")]
    conversation_id: String,
    /// The device of the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "shop")]
    device_id: Option<String>,
    /// The message or note.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    message: Option<MessageObject>,
    /// The deleted message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "1042")]
    message_id: Option<String>,
    /// The messages of receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = json!(["1042"]))]
    message_ids: Option<Vec<String>>,
    /// The title of a room; null if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "Night shift")]
    title: Option<Option<String>>,
    /// The new members of a room, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, max_items = 100)]
    added: Option<Vec<UserObject>>,
    /// The users who are no members of a room any more, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, max_items = 100)]
    removed: Option<Vec<UserObject>>,
    /// The new assignee; null after a release.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    assignee: Option<Option<UserObject>>,
    /// The user who caused it; absent for an API key and an automatic change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    by: Option<UserObject>,
}

/// The object of an event.
///
/// # Errors
/// When it cannot be written as JSON, which does not happen: it has plain data.
pub(in crate::api) fn payload(event: &ConversationEvent) -> serde_json::Result<Box<RawValue>> {
    let mut object = EventObject {
        seq: event.seq,
        timestamp: event.at,
        conversation_id: event.conversation.id.to_string(),
        device_id: event.conversation.device_chat().map(|chat| chat.device.to_string()),
        message: None,
        message_id: None,
        message_ids: None,
        title: None,
        added: None,
        removed: None,
        assignee: None,
        by: None,
    };
    match &event.change {
        ConversationChange::Created => {
            object.title = event.conversation.room().map(|room| room.title.clone());
        }
        ConversationChange::Updated(by) => {
            object.title = event.conversation.room().map(|room| room.title.clone());
            object.by = by.as_ref().map(UserObject::new);
        }
        ConversationChange::Members { added, removed, by } => {
            object.added = Some(added.iter().map(UserObject::new).collect());
            object.removed = Some(removed.iter().map(UserObject::new).collect());
            object.by = by.as_ref().map(UserObject::new);
        }
        ConversationChange::Assigned { assignee, by } => {
            object.assignee = Some(assignee.as_ref().map(UserObject::new));
            object.by = by.as_ref().map(UserObject::new);
        }
        ConversationChange::Closed(by)
        | ConversationChange::Opened(by)
        | ConversationChange::Deleted(by)
        | ConversationChange::FirstResponse(by) => object.by = by.as_ref().map(UserObject::new),
        ConversationChange::Message(view)
        | ConversationChange::Note(view)
        | ConversationChange::MessageUpdated(view) => object.message = Some(MessageObject::of_author(view)),
        ConversationChange::MessageDeleted(message) => object.message_id = Some(message.to_string()),
        ConversationChange::Receipts { user, messages, .. } => {
            object.message_ids = Some(messages.iter().map(ChatMessageId::to_string).collect());
            object.by = Some(UserObject::new(user));
        }
    }
    to_raw_value(&object)
}

fn entry(event: &ConversationEvent) -> Result<EventEntry, ApiError> {
    let payload = payload(event).map_err(|error| {
        tracing::error!(%error, "an event of a conversation cannot be written as JSON");
        ApiError::Internal
    })?;
    Ok(EventEntry { seq: event.seq, r#type: event.change.name(), timestamp: event.at, payload })
}

/// The owner of a stream, which ends with its token or key.
enum StreamOwner {
    User(Arc<SignedIn>),
    Key(Arc<Principal>),
}

impl<S: Send + Sync> FromRequestParts<S> for StreamOwner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        if let Some(user) = parts.extensions.get::<ChatCaller>() {
            return Ok(Self::User(user.me.clone()));
        }
        // Absent only if a route was added without its guard.
        let key = parts.extensions.get::<Caller>().ok_or(ApiError::Internal)?;
        Ok(Self::Key(key.0.clone()))
    }
}

/// Read the chat log
///
/// The events of the conversations that the caller may see. With `Accept: text/event-stream` the answer is a stream: `id`
/// is the entry's `seq`, `event` its name, `data` its payload. A client that reconnects with `Last-Event-ID` misses
/// nothing. When those entries are no longer in the log, the stream begins with `resync`: reload over REST. The stream
/// ends when its token or key is revoked or expires.
#[utoipa::path(get, path = "/conversations/events", operation_id = "readConversationEvents", tag = "operator chat",
    params(EventQuery, ("Last-Event-ID" = Option<i64>, Header, description = "For a stream: the last entry that the client has. It overrides `after`", minimum = 0)),
    responses((status = 200, description = "Entries, or a stream of them",
        content((EventPage = "application/json"), (String = "text/event-stream", example = json!("id: 4\nevent: conversation:created\ndata: {\"seq\":4,\"conversationId\":\"21\"}\n\n"))))))]
async fn events(
    NativeCaller { chat, caller }: NativeCaller,
    owner: StreamOwner,
    Extension(state): Extension<ApiState>,
    Query(query): Query<EventQuery>,
    LastEventId(last): LastEventId,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if accepts_stream(&headers) {
        return open(&state, chat, (caller, owner), last.or(query.after)).await;
    }
    let after = query.after.unwrap_or(0);
    let page = chat.conversation_events(Some(caller), after, query.limit).await?;
    Ok(JsonBody(EventPage {
        success: true,
        data: page.events.iter().map(entry).collect::<Result<_, _>>()?,
        oldest_seq: page.oldest,
        newest_seq: page.newest,
        next_after: page.next_after,
        has_more: page.next_after < page.newest,
        resync: page.needs_resync(after),
    })
    .into_response())
}

async fn open(
    state: &ApiState,
    chat: Arc<OperatorChat>,
    (caller, owner): (InboxCaller, StreamOwner),
    since: Option<i64>,
) -> Result<Response, ApiError> {
    let name = match &owner {
        StreamOwner::User(me) => format!("user {}", me.user.pk),
        StreamOwner::Key(key) => key.key_id.clone(),
    };
    let permit = state.streams.admit(&name, None).map_err(ApiError::TooManyStreams)?;
    // Subscribed before the first read, so that no change is missed.
    let (keys, log) = (state.services.access.key_changes(), chat.follow_events());
    let newest = chat.newest_event().await?;
    let page = chat.conversation_events(Some(caller.clone()), since.unwrap_or(newest), 0).await?;
    let mut waiting = VecDeque::new();
    let mut position = since.unwrap_or(newest);
    let first = Event::default().retry(RETRY);
    waiting.push_back(match since.filter(|since| page.needs_resync(*since)) {
        Some(_) => {
            position = page.newest;
            resync(first, &page, state.services.now())
        }
        // A client that disconnects before the first event has a position.
        None => first.id(position.to_string()),
    });
    let reader = Reader {
        services: state.services.clone(),
        chat,
        caller,
        owner,
        keys,
        log,
        position,
        waiting,
        next_keepalive: Instant::now() + KEEPALIVE,
        _permit: permit,
    };
    Ok(StreamReader::into_response(reader))
}

fn resync(event: Event, page: &ConversationEventPage, now: Millis) -> Event {
    let data =
        format!(r#"{{"oldestSeq":{},"newestSeq":{},"timestamp":{}}}"#, page.oldest, page.newest, now.0);
    event.id(page.newest.to_string()).event("resync").data(data)
}

struct Reader {
    services: Services,
    chat: Arc<OperatorChat>,
    caller: InboxCaller,
    owner: StreamOwner,
    keys: watch::Receiver<u64>,
    log: watch::Receiver<i64>,
    position: i64,
    waiting: VecDeque<Event>,
    next_keepalive: Instant,
    _permit: StreamPermit,
}

impl StreamReader for Reader {
    async fn next(&mut self) -> Option<Event> {
        let soft = self.services.tasks().soft().clone();
        loop {
            if !self.is_valid() {
                return None;
            }
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.read().await? {
                continue;
            }
            tokio::select! {
                () = soft.cancelled() => return None,
                changed = self.keys.changed() => changed.ok()?,
                changed = self.log.changed() => changed.ok()?,
                () = tokio::time::sleep_until(self.next_keepalive) => {
                    self.next_keepalive = Instant::now() + KEEPALIVE;
                    if self.is_valid() {
                        return Some(Event::default().id(self.position.to_string()));
                    }
                }
            }
        }
    }
}

impl Reader {
    fn is_valid(&self) -> bool {
        match &self.owner {
            StreamOwner::User(me) => self.chat.is_still_signed_in(me),
            StreamOwner::Key(key) => self.services.access.still_valid(key),
        }
    }

    /// Reads entries after the position. Returns `false` at the end of the log; `None` when the store fails.
    async fn read(&mut self) -> Option<bool> {
        let page = self.chat.conversation_events(Some(self.caller.clone()), self.position, PAGE).await;
        let page = page.inspect_err(|error| tracing::warn!(%error, "a stream of the chat log ended")).ok()?;
        if page.next_after == self.position {
            return Some(false);
        }
        self.position = page.next_after;
        for event in &page.events {
            let entry = entry(event).ok()?;
            let id = Event::default().id(entry.seq.to_string());
            self.waiting.push_back(id.event(entry.r#type).data(entry.payload.get()));
        }
        Some(true)
    }
}
