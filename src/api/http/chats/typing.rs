//! Shows or hides "typing" in a chat, as the socket requests `typing:start` and `typing:stop` do.
//!
//! Typing that is not renewed stops after 25 s.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{Body, Chat as ChatParam, Device, Fields, FromFields};
use crate::domain::access::Scope;
use crate::domain::event::TypingKind;
use crate::service::Services;

const STATES: [(&str, bool); 2] = [("start", true), ("stop", false)];
/// `audio` is the word of the socket requests.
const KINDS: [(&str, TypingKind); 3] =
    [("text", TypingKind::Text), ("voice", TypingKind::Audio), ("audio", TypingKind::Audio)];

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::MessagesSend, &[409, 422], routes!(set_typing)))
}

/// Whether to show or to hide typing.
#[derive(Debug, ToSchema)]
#[schema(example = json!({ "state": "start", "kind": "text" }))]
struct SetTyping {
    /// `start` or `stop`.
    #[schema(value_type = String, pattern = "^(start|stop)$")]
    state: bool,
    /// `text`, or `voice` for a voice note. `audio` is accepted for `voice`.
    #[schema(value_type = Option<String>, pattern = "^(text|voice|audio)$", default = "text")]
    kind: TypingKind,
}

impl FromFields for SetTyping {
    fn read(fields: &mut Fields) -> Option<Self> {
        let state = fields.word("state", &STATES);
        let kind = fields.word("kind", &KINDS).unwrap_or_default();
        let state = fields.require("state", state, "start or stop")?;
        Some(Self { state, kind })
    }
}

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
    services.messaging.typing(&device, &chat, kind, state).await?;
    let state = if state { "start" } else { "stop" };
    Ok(Success::new(TypingSet { chat_id: chat.to_string(), state }))
}
