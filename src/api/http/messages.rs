//! Messages: show, sending status, search. Sending and changing them have files of their own.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{JsonBody, Success};
use super::error::ApiError;
use super::guard::guarded;
use super::input::{Alias, Device, Message as MessageParam, Query, Request};
use super::paging::{LIMIT, default_limit};
use super::schema::{self, MessageObject, MessageTypeWord, QueueStatusObject, ReceiptObject, StatusWord};
use crate::domain::access::Scope;
use crate::domain::ack::{Ack, Status};
use crate::domain::clock::Millis;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::message::{Message, MessageType, Receipt, TrackedMessage};
use crate::service::{QueueStatus, SearchQuery, Services};

mod changes;
mod send;
pub mod send_body;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(send::routes())
        .merge(changes::routes())
        .routes(guarded(Scope::MessagesRead, &[], routes!(search)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(status)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(show)))
}

/// A message with its delivery status.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageWithReceipts {
    /// The message.
    #[serde(flatten)]
    #[schema(value_type = MessageObject)]
    message: Message,
    /// Its sending status.
    #[schema(value_type = StatusWord)]
    status: Status,
    /// The reason of a failure, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    /// The reason of a failure, as a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<String>,
    /// The receipts of the recipients.
    #[schema(value_type = Vec<ReceiptObject>)]
    receipts: Vec<Receipt>,
}

/// Show a message
///
/// With the receipts of each recipient.
#[utoipa::path(get, path = "/devices/{id}/messages/{mid}", operation_id = "getMessage", tag = "messages",
    responses((status = 200, description = "The message", body = Success<MessageWithReceipts>)))]
async fn show(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
) -> Result<Success<MessageWithReceipts>, ApiError> {
    let TrackedMessage { message, status, failure, receipts } =
        services.messaging.message(&device, &id).await?;
    let (code, error) = failure.map(|failure| (failure.code, failure.message)).unzip();
    Ok(Success::new(MessageWithReceipts { message, status, error, code, receipts }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct StatusQuery {
    /// The message to report.
    #[param(schema_with = schema::message_id, required = false)]
    message_id: Option<MessageId>,
}

impl Request for StatusQuery {}

/// The device's queue and health, and the status of one message.
#[derive(Serialize, ToSchema)]
struct SendingStatus {
    /// The device's queue and health.
    #[serde(flatten)]
    #[schema(value_type = QueueStatusObject)]
    device: QueueStatus,
    /// The message that the request named.
    message: Option<MessageState>,
}

/// The status of a message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageState {
    /// Its id.
    #[schema(value_type = String)]
    message_id: MessageId,
    /// Its chat.
    #[schema(value_type = String)]
    chat_id: Jid,
    /// Its sending status.
    #[schema(value_type = StatusWord)]
    status: Status,
    /// Its acknowledgement level.
    #[schema(value_type = i32, minimum = -1, maximum = 4)]
    ack: Ack,
    /// The level's name.
    ack_name: &'static str,
    /// The time of the message.
    #[schema(value_type = i64)]
    timestamp: Millis,
    /// The reason of a failure, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    /// The reason of a failure, as a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<String>,
}

impl From<TrackedMessage> for MessageState {
    fn from(tracked: TrackedMessage) -> Self {
        let (code, error) = tracked.failure.map(|failure| (failure.code, failure.message)).unzip();
        let message = tracked.message;
        Self {
            message_id: message.id,
            chat_id: message.chat_id,
            status: tracked.status,
            ack: message.ack,
            ack_name: message.ack.name(),
            timestamp: message.timestamp,
            error,
            code,
        }
    }
}

/// Show the sending status
///
/// The device's queue and health, and the status of one message.
#[utoipa::path(get, path = "/devices/{id}/messages/status", operation_id = "getSendingStatus", tag = "messages",
    params(StatusQuery),
    responses((status = 200, description = "The sending status", body = Success<SendingStatus>)))]
async fn status(
    State(services): State<Services>,
    Device(device): Device,
    Query(query): Query<StatusQuery>,
) -> Result<Success<SendingStatus>, ApiError> {
    let message = match query.message_id {
        Some(id) => Some(services.messaging.message(&device, &id).await?.into()),
        None => None,
    };
    let device = services.fleet.queue_status(&device).await?;
    Ok(Success::new(SendingStatus { device, message }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct SearchMessages {
    /// Words that must all occur; the last one may be unfinished.
    #[param(min_length = 1, max_length = 512)]
    query: String,
    /// Only in this chat.
    #[param(schema_with = schema::chat_id, required = false)]
    chat_id: Option<Jid>,
    /// Only of this type.
    #[param(value_type = Option<MessageTypeWord>)]
    r#type: Option<MessageType>,
    /// The most messages of the answer.
    #[serde(default = "default_limit")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
}

impl Request for SearchMessages {
    const ALIASES: &'static [Alias] = &[("query", &["q", "search"]), LIMIT];
}

/// The result of a search.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FoundMessages {
    /// `true`.
    success: bool,
    /// Messages, newest first.
    #[schema(value_type = Vec<MessageObject>)]
    data: Vec<Message>,
    /// The words of the request.
    query: String,
    /// The number of matches, without the limit. At most 1,000 are counted.
    #[schema(minimum = 0, maximum = 1_000)]
    total_results: usize,
    /// `true` when there are more than `totalResults`; absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    total_is_lower_bound: bool,
    /// `single_chat` or `all_chats`.
    search_scope: &'static str,
}

/// Search messages
///
/// Full text, newest first.
#[utoipa::path(get, path = "/devices/{id}/messages/search", operation_id = "searchMessages", tag = "messages",
    params(SearchMessages),
    responses((status = 200, description = "The matches", body = FoundMessages)))]
async fn search(
    State(services): State<Services>,
    Device(device): Device,
    Query(SearchMessages { query, chat_id, r#type, limit }): Query<SearchMessages>,
) -> Result<JsonBody<FoundMessages>, ApiError> {
    let search_scope = if chat_id.is_some() { "single_chat" } else { "all_chats" };
    let search = SearchQuery { words: query.clone(), chat: chat_id, kind: r#type, limit };
    let found = services.messaging.search(&device, search).await?;
    Ok(JsonBody(FoundMessages {
        success: true,
        data: found.messages,
        query,
        total_results: found.total,
        total_is_lower_bound: found.total_is_lower_bound,
        search_scope,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::input::read_query;

    #[test]
    fn search_needs_words() {
        let is_wrong = |query: &str| read_query::<SearchMessages>(query).is_err();
        assert!(!is_wrong("query=hello&type=chat&chatId=15550100001&limit=100"));
        assert!(!is_wrong("q=hello&take=1"));
        for query in ["", "query=", "query=x&type=letter", "query=x&chatId=?", "query=x&limit=101"] {
            assert!(is_wrong(query), "{query}");
        }
    }
}
