//! The native calls that emit events of an application to chat sockets.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::NativeCaller;
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{Body, ConversationParam, OperatorParam, Request};
use crate::domain::access::Scope;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::ChatWrite, &[404], routes!(to_operator)))
        .routes(guarded(Scope::ChatWrite, &[404], routes!(to_conversation)))
        .routes(guarded(Scope::ChatWrite, &[], routes!(broadcast)))
}

/// An event of an application.
#[derive(Deserialize, ToSchema)]
#[schema(as = EmitChatEvent, example = json!({
    "event": "order:updated", "data": { "orderId": "12", "status": "shipped" },
}))]
struct EmitEvent {
    /// The name. Events of the dialects and of Socket.IO are refused (`reserved_event`).
    event: String,
    /// The argument: any JSON.
    #[serde(default)]
    #[schema(required = false)]
    data: Json,
}

impl Request for EmitEvent {}

/// An event that is emitted
#[derive(Serialize, ToSchema)]
#[schema(as = EmittedChatEvent)]
struct Emitted {
    /// The name.
    #[schema(example = "order:updated")]
    event: String,
}

fn accepted(event: String) -> Response {
    (StatusCode::ACCEPTED, Success::new(Emitted { event })).into_response()
}

/// Emit an event to the sockets of a user
///
/// The event is live only: a socket that is not connected never gets it.
#[utoipa::path(post, path = "/operators/{operatorId}/events", operation_id = "emitToOperator", tag = "operator chat",
    request_body = EmitEvent,
    responses((status = 202, description = "The event is being emitted", body = Success<Emitted>)))]
async fn to_operator(
    NativeCaller { chat, caller }: NativeCaller,
    OperatorParam(id): OperatorParam,
    Body(body): Body<EmitEvent>,
) -> Result<Response, ApiError> {
    chat.emit_to_operator(caller, id, body.event.clone(), body.data).await?;
    Ok(accepted(body.event))
}

/// Emit an event to the sockets that joined a conversation
///
/// The event is live only: a socket that is not connected never gets it.
#[utoipa::path(post, path = "/conversations/{conversationId}/events", operation_id = "emitToConversation",
    tag = "operator chat", request_body = EmitEvent,
    responses((status = 202, description = "The event is being emitted", body = Success<Emitted>)))]
async fn to_conversation(
    NativeCaller { chat, caller }: NativeCaller,
    ConversationParam(id): ConversationParam,
    Body(body): Body<EmitEvent>,
) -> Result<Response, ApiError> {
    chat.emit_to_conversation(caller, id, body.event.clone(), body.data).await?;
    Ok(accepted(body.event))
}

/// Emit an event to all chat sockets
///
/// It needs a key for all devices. The event is live only.
#[utoipa::path(post, path = "/broadcast", operation_id = "broadcastChatEvent", tag = "operator chat",
    request_body = EmitEvent,
    responses((status = 202, description = "The event is being emitted", body = Success<Emitted>)))]
async fn broadcast(
    NativeCaller { chat, caller }: NativeCaller,
    Body(body): Body<EmitEvent>,
) -> Result<Response, ApiError> {
    chat.broadcast(&caller, body.event.clone(), body.data)?;
    Ok(accepted(body.event))
}
