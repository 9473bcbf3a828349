//! Shows or hides "typing" in a chat, as the socket requests `typing:start` and `typing:stop` do.
//!
//! Typing that is not renewed stops after 25 s.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{Body, Chat as ChatParam, Device, Request};
use crate::domain::access::Scope;
use crate::domain::event::TypingKind;
use crate::service::Services;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::MessagesSend, &[409, 422], routes!(set_typing)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TypingState {
    Start,
    Stop,
}

/// The kinds of the request; `audio` is the value of the socket requests.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RequestedKind {
    #[default]
    Text,
    #[serde(alias = "audio")]
    Voice,
}

/// Whether to show or to hide typing.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "state": "start", "kind": "text" }))]
struct SetTyping {
    /// `start` or `stop`.
    #[schema(value_type = String, pattern = "^(start|stop)$")]
    state: TypingState,
    /// `text`, or `voice` for a voice note. `audio` is accepted for `voice`.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(text|voice|audio)$")]
    kind: RequestedKind,
}

impl Request for SetTyping {}

/// The chat in which typing was shown or hidden.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TypingSet {
    /// The chat's id.
    chat_id: String,
    /// `start` or `stop`.
    #[schema(example = "start")]
    state: &'static str,
}

/// Show or hide typing in a chat
///
/// Typing that is not renewed stops after 25 seconds.
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/typing", operation_id = "setTyping", tag = "chats",
    request_body = SetTyping,
    responses((status = 200, description = "The network accepted it", body = Success<TypingSet>)))]
async fn set_typing(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
    Body(SetTyping { state, kind }): Body<SetTyping>,
) -> Result<Success<TypingSet>, ApiError> {
    let kind = match kind {
        RequestedKind::Text => TypingKind::Text,
        RequestedKind::Voice => TypingKind::Audio,
    };
    services.messaging.typing(&device, &chat, kind, state == TypingState::Start).await?;
    let state = if state == TypingState::Start { "start" } else { "stop" };
    Ok(Success::new(TypingSet { chat_id: chat.to_string(), state }))
}
