//! Messages: show, where they are, search; sending and changing them have files of their own.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::Success;
use super::error::ApiError;
use super::guard::guarded;
use super::input::{Device, Fields, FromFields, Message as MessageParam, Query};
use super::paging::{DEFAULT_LIMIT, limit};
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

const MAX_WORDS_CHARS: usize = 512;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(send::routes())
        .merge(changes::routes())
        .routes(guarded(Scope::MessagesRead, &[], routes!(search)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(status)))
        .routes(guarded(Scope::MessagesRead, &[], routes!(show)))
}

/// A message with all that is known of its delivery.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageWithReceipts {
    /// The message.
    #[serde(flatten)]
    #[schema(value_type = MessageObject)]
    message: Message,
    /// Its step.
    #[schema(value_type = StatusWord)]
    status: Status,
    /// Why it failed, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    /// Why it failed, as a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<String>,
    /// How far each recipient is, in a group.
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

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct StatusQuery {
    /// The message to look at.
    #[param(schema_with = schema::message_id, required = false)]
    message_id: Option<MessageId>,
}

impl FromFields for StatusQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { message_id: fields.parsed("messageId") })
    }
}

/// The device's queue and health, and where one message is.
#[derive(Serialize, ToSchema)]
struct SendingStatus {
    /// The device's queue and health.
    #[serde(flatten)]
    #[schema(value_type = QueueStatusObject)]
    device: QueueStatus,
    /// The message, where one was asked for.
    message: Option<MessageState>,
}

/// Where a message is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageState {
    /// Its id.
    #[schema(value_type = String)]
    message_id: MessageId,
    /// Its chat.
    #[schema(value_type = String)]
    chat_id: Jid,
    /// Its step.
    #[schema(value_type = StatusWord)]
    status: Status,
    /// How far it has come.
    #[schema(value_type = i32, minimum = -1, maximum = 4)]
    ack: Ack,
    /// The level's name.
    ack_name: &'static str,
    /// When it was written.
    #[schema(value_type = i64)]
    timestamp: Millis,
    /// Why it failed, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    /// Why it failed, as a stable code.
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

/// Show how sending goes
///
/// The device's queue and health, and where one message is.
#[utoipa::path(get, path = "/devices/{id}/messages/status", operation_id = "getSendingStatus", tag = "messages",
    params(StatusQuery),
    responses((status = 200, description = "How sending goes", body = Success<SendingStatus>)))]
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

/// Words on the wire and what they mean.
const TYPES: [(&str, MessageType); 13] = [
    ("chat", MessageType::Chat),
    ("image", MessageType::Image),
    ("video", MessageType::Video),
    ("audio", MessageType::Audio),
    ("ptt", MessageType::Ptt),
    ("document", MessageType::Document),
    ("sticker", MessageType::Sticker),
    ("location", MessageType::Location),
    ("vcard", MessageType::Vcard),
    ("poll_creation", MessageType::PollCreation),
    ("call_log", MessageType::CallLog),
    ("revoked", MessageType::Revoked),
    ("unknown", MessageType::Unknown),
];

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct SearchMessages {
    /// Words that all have to occur; the last one may be unfinished.
    #[param(min_length = 1, max_length = 512)]
    query: String,
    /// Only in this chat.
    #[param(schema_with = schema::chat_id, required = false)]
    chat_id: Option<Jid>,
    /// Only of this type.
    #[param(value_type = Option<MessageTypeWord>)]
    r#type: Option<MessageType>,
    /// At most so many.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
}

impl FromFields for SearchMessages {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.given(&["query", "q", "search"]);
        let query = fields.text(name, MAX_WORDS_CHARS);
        let query = fields.require(name, query, "the words to look for");
        let (chat_id, r#type) = (fields.parsed("chatId"), fields.word("type", &TYPES));
        let limit = limit(fields, DEFAULT_LIMIT);
        Some(Self { query: query?, chat_id, r#type, limit })
    }
}

/// What a search found.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FoundMessages {
    /// `true`.
    success: bool,
    /// Messages, newest first.
    #[schema(value_type = Vec<MessageObject>)]
    data: Vec<Message>,
    /// The words.
    query: String,
    /// How many were found, without the limit.
    #[schema(minimum = 0)]
    total_results: i64,
    /// `single_chat` or `all_chats`.
    search_scope: &'static str,
}

/// Search messages
///
/// Full text, newest first.
#[utoipa::path(get, path = "/devices/{id}/messages/search", operation_id = "searchMessages", tag = "messages",
    params(SearchMessages),
    responses((status = 200, description = "What was found", body = FoundMessages)))]
async fn search(
    State(services): State<Services>,
    Device(device): Device,
    Query(SearchMessages { query, chat_id, r#type, limit }): Query<SearchMessages>,
) -> Result<Json<FoundMessages>, ApiError> {
    let search_scope = if chat_id.is_some() { "single_chat" } else { "all_chats" };
    let wanted = SearchQuery { words: query.clone(), chat: chat_id, kind: r#type, limit };
    let (data, total_results) = services.messaging.search(&device, wanted).await?;
    Ok(Json(FoundMessages { success: true, data, query, total_results, search_scope }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_the_word_that_serde_writes() {
        for (word, kind) in TYPES {
            assert_eq!(serde_json::to_value(kind).unwrap(), word);
        }
    }

    #[test]
    fn a_search_needs_words() {
        let wrong = |query: &str| Fields::of_query(query).parse::<SearchMessages>().is_err();
        assert!(!wrong("query=hello&type=chat&chatId=15550100001&limit=100"));
        for query in ["", "query=", "query=x&type=letter", "query=x&chatId=?", "query=x&limit=101"] {
            assert!(wrong(query), "{query}");
        }
    }
}
