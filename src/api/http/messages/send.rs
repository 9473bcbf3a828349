//! Sending a message.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::send_body::{SendBody, SendLimits, SendLocation, SendMessage};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{Device, IdempotencyHeader, JsonObject, read_object};
use crate::api::http::routes::older_path;
use crate::api::http::schema::StatusWord;
use crate::domain::access::Scope;
use crate::domain::ack::{Ack, Status};
use crate::domain::clock::Millis;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::service::Accepted;

static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The operations of this file.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let refusals = [409, 413, 422];
    let send_to_chat = older_path(routes!(send), "/devices/{id}/chats", "sendToChat", "chats");
    OpenApiRouter::new()
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(send)))
        .routes(guarded(Scope::MessagesSend, &refusals, send_to_chat))
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(send_location)))
}

/// An accepted message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AcceptedMessage {
    /// Its permanent id.
    #[schema(value_type = String, example = "true_15550100001@c.us_3EB0A1B2C3")]
    id: MessageId,
    /// Its chat.
    #[schema(value_type = String)]
    chat_id: Jid,
    /// `queued`.
    #[schema(value_type = StatusWord)]
    status: Status,
    /// 0.
    #[schema(value_type = i32, minimum = -1, maximum = 4)]
    ack: Ack,
    /// The time of acceptance.
    #[schema(value_type = i64)]
    timestamp: Millis,
    /// The client's own id of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    temp_id: Option<String>,
}

impl From<Accepted> for AcceptedMessage {
    fn from(accepted: Accepted) -> Self {
        let Accepted { id, chat_id, timestamp, temp_id, status, ack, .. } = accepted;
        Self { id, chat_id, status, ack, timestamp, temp_id }
    }
}

/// Send a message
///
/// Answers once the message is durable; `message:status` and `message:ack` events report its progress. With
/// `Idempotency-Key` the same request within 24 hours gets the same answer and sends nothing again.
#[utoipa::path(post, path = "/devices/{id}/messages/send", operation_id = "sendMessage", tag = "messages",
    params(("Idempotency-Key" = Option<String>, Header, description = "Identifies this request", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = SendMessage,
    responses((status = 201, description = "The message is durable and will be sent", body = Success<AcceptedMessage>,
        headers(("Idempotent-Replayed" = bool, description = "`true` when this is the answer to an earlier request")))))]
async fn send(
    State(state): State<ApiState>,
    Device(device): Device,
    IdempotencyHeader(key): IdempotencyHeader,
    JsonObject(object): JsonObject,
) -> Result<Response, ApiError> {
    let limits = SendLimits { text_max_chars: state.config.text_max_chars, now: state.services.now() };
    let request = read_object::<SendBody>(object)?.into_request(&limits, key)?;
    let accepted = state.services.messaging.send(&device, request).await?;
    let replayed = accepted.replayed;
    let body = Success::new(AcceptedMessage::from(accepted));
    let mut response = (StatusCode::CREATED, body).into_response();
    if replayed {
        response.headers_mut().insert(&REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Send a location (older path)
///
/// `location` as with `messages/send`, or its fields beside `to`.
#[utoipa::path(post, path = "/devices/{id}/chats/location", operation_id = "sendLocation", tag = "chats",
    params(("Idempotency-Key" = Option<String>, Header, description = "Identifies this request", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = SendLocation,
    responses((status = 201, description = "The message is durable and will be sent", body = Success<AcceptedMessage>)))]
async fn send_location(
    state: State<ApiState>,
    device: Device,
    key: IdempotencyHeader,
    JsonObject(mut object): JsonObject,
) -> Result<Response, ApiError> {
    if !object.contains_key("location") {
        let fields = ["latitude", "longitude", "description", "name"];
        let location: Map<String, Value> =
            fields.iter().filter_map(|field| Some(((*field).to_owned(), object.remove(*field)?))).collect();
        object.insert("location".to_owned(), Value::Object(location));
    }
    send(state, device, key, JsonObject(object)).await
}
