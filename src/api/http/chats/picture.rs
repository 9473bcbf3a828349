//! The picture of a chat, served by the daemon.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{Chat as ChatParam, Device};
use crate::api::http::schema;
use crate::domain::access::Scope;
use crate::service::Services;

/// The picture of a chat may change.
const CACHING: HeaderValue = HeaderValue::from_static("private, max-age=3600");
/// The browser executes and loads nothing, and gives the file no origin.
const POLICY: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::MessagesRead, &[404, 409, 422], routes!(picture)))
}

/// Show the picture of a chat
///
/// The picture of the person or group, which the daemon fetches from the network: a JPEG, PNG, WebP or GIF of at most
/// 256 KiB, cached for an hour. 404 `no_picture` when there is none.
#[utoipa::path(get, path = "/devices/{id}/chats/{chatId}/picture", operation_id = "getChatPicture", tag = "chats",
    responses((status = 200, description = "The picture", body = schema::Binary, content_type = "*/*")))]
async fn picture(
    State(services): State<Services>,
    Device(device): Device,
    ChatParam(chat): ChatParam,
) -> Result<Response, ApiError> {
    let picture = services.messaging.picture(&device, &chat).await?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(picture.mimetype)),
        (CACHE_CONTROL, CACHING),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    Ok((headers, picture.bytes).into_response())
}
