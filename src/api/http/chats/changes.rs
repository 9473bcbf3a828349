//! Changes of chats: archive, pin, mute, clear, delete.

use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::loose::yes;
use crate::api::http::input::{Alias, Body, Chat as ChatParam, Device, Report, Request};
use crate::api::http::routes::for_change;
use crate::api::http::schema::ChatObject;
use crate::domain::access::Scope;
use crate::domain::chat::Chat;
use crate::domain::clock::Millis;
use crate::service::Services;

/// A change of a chat that needs no body.
#[derive(Clone, Copy)]
enum ChatChange {
    Archive(bool),
    Unpin,
    Unmute,
}

/// Changes without a body: the end of the path, the operation id and the summary.
const CHANGES: [(&str, &str, &str, ChatChange); 4] = [
    ("archive", "archiveChat", "Archive a chat", ChatChange::Archive(true)),
    ("unarchive", "unarchiveChat", "Move a chat out of the archive", ChatChange::Archive(false)),
    ("unpin", "unpinChat", "Unpin a chat", ChatChange::Unpin),
    ("unmute", "unmuteChat", "Unmute a chat", ChatChange::Unmute),
];

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    let mut router = OpenApiRouter::new()
        .routes(guarded(Scope::MessagesSend, &[], routes!(pin)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(mute)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(clear)))
        .routes(guarded(Scope::MessagesSend, &[], routes!(delete)));
    for (verb, operation_id, summary, chat_change) in CHANGES {
        let path = format!("/devices/{{id}}/chats/{{chatId}}/{verb}");
        let routes = for_change(routes!(change), &path, operation_id, summary, chat_change);
        router = router.routes(guarded(Scope::MessagesSend, &[], routes));
    }
    router
}

type Answer = Result<Success<Chat>, ApiError>;

/// Change a chat
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/archive", operation_id = "archiveChat", tag = "chats",
    responses((status = 200, description = "The changed chat", body = Success<ChatObject>)))]
async fn change(
    Extension(change): Extension<ChatChange>,
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
) -> Answer {
    let changed = match change {
        ChatChange::Archive(archived) => services.messaging.archive_chat(&device, &chat, archived).await?,
        ChatChange::Unpin => services.messaging.pin_chat(&device, &chat, false).await?,
        ChatChange::Unmute => services.messaging.mute_chat(&device, &chat, None).await?,
    };
    Ok(Success::new(changed))
}

/// Whether to pin a chat.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "pin": true }))]
struct PinChat {
    /// `false` unpins the chat; `true` by default. `pinned` is accepted too.
    #[serde(default = "yes")]
    #[schema(value_type = Option<bool>)]
    pin: bool,
}

impl Request for PinChat {
    const ALIASES: &'static [Alias] = &[("pin", &["pinned"])];
}

/// Pin a chat to the top
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/pin", operation_id = "pinChat", tag = "chats",
    request_body = Option<PinChat>,
    responses((status = 200, description = "The changed chat", body = Success<ChatObject>)))]
async fn pin(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
    Body(PinChat { pin }): Body<PinChat>,
) -> Answer {
    Ok(Success::new(services.messaging.pin_chat(&device, &chat, pin).await?))
}

/// Whether and how long to mute a chat. Without a time: until it is unmuted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "durationMs": 28_800_000 }))]
struct MuteChat {
    /// `false` unmutes the chat; `true` by default.
    #[serde(default = "yes")]
    #[schema(value_type = Option<bool>)]
    mute: bool,
    /// The end of the mute, in milliseconds since the epoch.
    #[schema(value_type = Option<i64>, minimum = 1)]
    until: Option<Millis>,
    /// The duration of the mute in milliseconds, at most ten years. Not together with `until`.
    #[schema(minimum = 1, maximum = 315_576_000_000_i64)]
    duration_ms: Option<i64>,
}

impl Request for MuteChat {
    fn check(&self, report: &mut Report) {
        if self.until.is_some() && self.duration_ms.is_some() {
            report.error("durationMs", "cannot be given together with until");
        }
        if self.until.is_some_and(|until| until > Millis::LAST_EXACT) {
            report.error("until", "must be in milliseconds since the epoch");
        }
    }
}

impl MuteChat {
    /// The end of the mute; `None` for none, and no end for a mute without one.
    fn end(&self, now: Millis) -> Result<Option<Option<Millis>>, ApiError> {
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

/// Mute a chat
///
/// For ever, or for some time, after which the mute ends by itself.
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/mute", operation_id = "muteChat", tag = "chats",
    request_body = Option<MuteChat>,
    responses((status = 200, description = "The changed chat", body = Success<ChatObject>)))]
async fn mute(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
    Body(body): Body<MuteChat>,
) -> Answer {
    let mute = body.end(services.now())?;
    Ok(Success::new(services.messaging.mute_chat(&device, &chat, mute).await?))
}

/// How to clear a chat.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "keepStarred": true }))]
struct ClearChat {
    /// Keeps starred messages.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    keep_starred: bool,
}

impl Request for ClearChat {}

/// The removed messages.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RemovedMessages {
    /// The chat.
    chat_id: String,
    /// The number of messages.
    #[schema(minimum = 0)]
    removed: u64,
}

/// Remove a chat's messages
///
/// The chat and queued messages are kept.
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/clear", operation_id = "clearChat", tag = "chats",
    request_body = Option<ClearChat>,
    responses((status = 200, description = "The removed messages", body = Success<RemovedMessages>)))]
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
/// The next message creates the chat again. Queued messages are kept, and the chat with them.
#[utoipa::path(delete, path = "/devices/{id}/chats/{chatId}", operation_id = "deleteChat", tag = "chats",
    responses((status = 200, description = "The removed messages", body = Success<RemovedMessages>)))]
async fn delete(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
) -> Result<Success<RemovedMessages>, ApiError> {
    let removed = services.messaging.delete_chat(&device, &chat).await?;
    Ok(Success::new(RemovedMessages { chat_id: chat.to_string(), removed }))
}
