//! What is done to a chat as a whole: archive, pin, mute, clear, delete.

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
use crate::api::http::schema::ChatObject;
use crate::domain::access::Scope;
use crate::domain::chat::Chat;
use crate::domain::clock::Millis;
use crate::service::Services;

/// The longest that a chat is silenced, where a time is given: ten years.
const LONGEST_MUTE_MS: i64 = 315_576_000_000;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::MessagesSend, &[], routes!(archive)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(unarchive)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(pin)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(unpin)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(mute)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(unmute)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(clear)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(delete)))
}

type Answer = Result<Success<Chat>, ApiError>;

/// Archive a chat
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/archive", operation_id = "archiveChat", tag = "chats",
    responses((status = 200, description = "The chat as it now is", body = Success<ChatObject>)))]
async fn archive(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
) -> Answer {
    Ok(Success::new(services.messaging.archive_chat(&device, &chat, true).await?))
}

/// Bring a chat back from the archive
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/unarchive", operation_id = "unarchiveChat", tag = "chats",
    responses((status = 200, description = "The chat as it now is", body = Success<ChatObject>)))]
async fn unarchive(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
) -> Answer {
    Ok(Success::new(services.messaging.archive_chat(&device, &chat, false).await?))
}

/// Whether to pin a chat.
#[derive(Debug, ToSchema)]
#[schema(example = json!({ "pin": true }))]
struct PinChat {
    /// `true` unless said; `false` unpins it. `pinned` is accepted too.
    #[schema(value_type = Option<bool>)]
    pin: bool,
}

impl FromFields for PinChat {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.given(&["pin", "pinned"]);
        Some(Self { pin: fields.boolean(name).unwrap_or(true) })
    }
}

/// Pin a chat to the top
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/pin", operation_id = "pinChat", tag = "chats",
    request_body = Option<PinChat>,
    responses((status = 200, description = "The chat as it now is", body = Success<ChatObject>)))]
async fn pin(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
    Body(PinChat { pin }): Body<PinChat>,
) -> Answer {
    Ok(Success::new(services.messaging.pin_chat(&device, &chat, pin).await?))
}

/// Unpin a chat
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/unpin", operation_id = "unpinChat", tag = "chats",
    responses((status = 200, description = "The chat as it now is", body = Success<ChatObject>)))]
async fn unpin(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
) -> Answer {
    Ok(Success::new(services.messaging.pin_chat(&device, &chat, false).await?))
}

/// Whether and how long to silence a chat. Without a time: until it is unmuted.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "durationMs": 28_800_000 }))]
struct MuteChat {
    /// `true` unless said; `false` unmutes it.
    #[schema(value_type = Option<bool>)]
    mute: bool,
    /// Until this moment.
    #[schema(value_type = Option<i64>, minimum = 1)]
    until: Option<Millis>,
    /// For so many milliseconds, at most ten years. Not together with `until`.
    #[schema(minimum = 1, maximum = 315_576_000_000_i64)]
    duration_ms: Option<i64>,
}

impl FromFields for MuteChat {
    fn read(fields: &mut Fields) -> Option<Self> {
        let mute = fields.boolean("mute").unwrap_or(true);
        let until = fields.integer("until", &(1..=Millis::LAST_EXACT.0)).map(Millis);
        let duration_ms = fields.integer("durationMs", &(1..=LONGEST_MUTE_MS));
        if until.is_some() && duration_ms.is_some() {
            fields.wrong("durationMs", "cannot be given together with until");
        }
        Some(Self { mute, until, duration_ms })
    }
}

impl MuteChat {
    fn from(&self, now: Millis) -> Result<Option<Option<Millis>>, ApiError> {
        if !self.mute {
            return Ok(None);
        }
        match self.until.or_else(|| self.duration_ms.map(|ms| now.plus(ms))) {
            Some(until) if until <= now => {
                Err(ApiError::field("until", "must be in the future, in milliseconds since the epoch"))
            }
            until => Ok(Some(until)),
        }
    }
}

/// Silence a chat
///
/// For ever, or for some time, after which it ends by itself.
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/mute", operation_id = "muteChat", tag = "chats",
    request_body = Option<MuteChat>,
    responses((status = 200, description = "The chat as it now is", body = Success<ChatObject>)))]
async fn mute(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
    Body(wanted): Body<MuteChat>,
) -> Answer {
    let mute = wanted.from(services.now())?;
    Ok(Success::new(services.messaging.mute_chat(&device, &chat, mute).await?))
}

/// End a chat's silence
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/unmute", operation_id = "unmuteChat", tag = "chats",
    responses((status = 200, description = "The chat as it now is", body = Success<ChatObject>)))]
async fn unmute(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
) -> Answer {
    Ok(Success::new(services.messaging.mute_chat(&device, &chat, None).await?))
}

/// What to leave.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "keepStarred": true }))]
struct ClearChat {
    /// Whether starred messages stay; `false` unless said.
    #[schema(value_type = Option<bool>)]
    keep_starred: bool,
}

impl FromFields for ClearChat {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { keep_starred: fields.boolean("keepStarred").unwrap_or(false) })
    }
}

/// What was removed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RemovedMessages {
    /// The chat.
    chat_id: String,
    /// How many messages.
    #[schema(minimum = 0)]
    removed: u64,
}

/// Remove a chat's messages
///
/// The chat stays, and so do messages that wait to be sent.
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/clear", operation_id = "clearChat", tag = "chats",
    request_body = Option<ClearChat>,
    responses((status = 200, description = "What was removed", body = Success<RemovedMessages>)))]
async fn clear(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
    Body(ClearChat { keep_starred }): Body<ClearChat>,
) -> Result<Success<RemovedMessages>, ApiError> {
    let removed = services.messaging.clear_chat(&device, &chat, keep_starred).await?;
    Ok(Success::new(RemovedMessages { chat_id: chat.to_string(), removed }))
}

/// Remove a chat with its messages
///
/// The next message brings it back. Messages that wait to be sent stay, and the chat with them.
#[utoipa::path(delete, path = "/devices/{id}/chats/{chatId}", operation_id = "deleteChat", tag = "chats",
    responses((status = 200, description = "What was removed", body = Success<RemovedMessages>)))]
async fn delete(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
) -> Result<Success<RemovedMessages>, ApiError> {
    let removed = services.messaging.delete_chat(&device, &chat).await?;
    Ok(Success::new(RemovedMessages { chat_id: chat.to_string(), removed }))
}
