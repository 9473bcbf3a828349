//! Uploads of users of operator chat, in two dialects, and the download of their files by signed address.

use axum::Json;
use axum::extract::{Extension, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::underscore_objects::UnderscoreMessage;
use super::upload_form::receive;
use super::{ChatCaller, signed_in_to};
use crate::api::connections::mark_authenticated;
use crate::api::http::ApiState;
use crate::api::http::error::ApiError;
use crate::api::http::guard::count_failed;
use crate::api::http::input::{ChatFileParam, ConversationParam, Query, Request};
use crate::api::http::media::{Described, disposition_of, serve_file};
use crate::api::http::openapi;
use crate::api::http::request_labels::LabelledRoute;
use crate::api::http::schema;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::message::ChatMessageKind;
use crate::service::Services;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(signed_in_to(Dialect::Underscore, &[403, 404, 409, 422], routes!(send_file)))
        .routes(signed_in_to(Dialect::Namespace, &[], routes!(upload)))
        .routes(signed(routes!(download)))
}

/// An operation with a signature in its query.
fn signed(routes: UtoipaMethodRouter<ApiState>) -> UtoipaMethodRouter<ApiState> {
    let (schemas, mut paths, router) = routes;
    openapi::describe_signature(&mut paths, &[400, 401, 403, 404, 416, 429, 503]);
    (schemas, paths, router)
}

/// A form with a file.
#[derive(ToSchema)]
#[schema(as = ChatUploadForm, example = json!({ "file": "the bytes of the file", "receiverId": "u7" }))]
#[expect(dead_code, reason = "only in the OpenAPI document; the upload reads the form")]
#[serde(rename_all = "camelCase")]
struct UploadForm {
    /// The file; the first of several is used.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// The other user; the conversation decides.
    receiver_id: Option<String>,
}

/// A message with an uploaded file.
#[derive(Serialize, ToSchema)]
#[schema(as = SentUnderscoreFile)]
struct SentFile {
    message: UnderscoreMessage,
}

/// Send a file to a conversation
///
/// Images (JPEG, PNG, GIF, WebP, SVG), PDF and Word documents, by their content, of at most `chat.upload_max_bytes`. The
/// other members get `new_message` at once; the caller's own sockets after `file_uploaded`, or five seconds later.
#[utoipa::path(post, path = "/api/chat/conversations/{conversationId}/upload", operation_id = "sendUnderscoreFile",
    tag = "operator chat", request_body(content((UploadForm = "multipart/form-data"))),
    responses((status = 201, description = "The stored message", body = SentFile)))]
async fn send_file(
    caller: ChatCaller,
    ConversationParam(conversation): ConversationParam,
    request: HttpRequest,
) -> Result<Response, ApiError> {
    let ChatCaller { chat, me, .. } = &caller;
    let sent = receive(request, |name, bytes| async move {
        let target = chat.prepare_upload(me, conversation).await?;
        chat.upload_to(me, target, &name, bytes).await
    });
    let view = sent.await?.view;
    let message = UnderscoreMessage::seen_by(&view, &me.user);
    Ok((StatusCode::CREATED, Json(SentFile { message })).into_response())
}

/// An uploaded file.
#[derive(Serialize, ToSchema)]
#[schema(as = UploadedNamespaceFile)]
#[serde(rename_all = "camelCase")]
struct UploadedFile {
    /// Its address, to be sent with the message. A file that no message uses is removed after a day.
    #[schema(example = "/api/chat/files/9?signature=mOPHN2gXWdJdKXYAFcvPAQ")]
    attachment_url: String,
    /// Its name, without unsafe characters.
    #[schema(example = "cv.pdf")]
    attachment_name: String,
    /// `image` or `file`.
    #[schema(example = "file")]
    message_type: &'static str,
}

/// Upload a file for a message
///
/// Images (JPEG, PNG, GIF, WebP, SVG), PDF and Word documents, by their content, of at most `chat.upload_max_bytes`. The
/// answer has the fields of `message:send`.
#[utoipa::path(post, path = "/api/chat/upload", operation_id = "uploadNamespaceFile", tag = "operator chat",
    request_body(content((UploadForm = "multipart/form-data"))),
    responses((status = 201, description = "The file is stored", body = UploadedFile)))]
async fn upload(caller: ChatCaller, request: HttpRequest) -> Result<Response, ApiError> {
    let ChatCaller { chat, me, .. } = &caller;
    let uploaded = receive(request, |name, bytes| async move { chat.upload(me, &name, bytes).await }).await?;
    let uploaded = UploadedFile {
        attachment_url: uploaded.url,
        attachment_name: uploaded.name,
        message_type: if uploaded.kind == ChatMessageKind::Image { "image" } else { "file" },
    };
    Ok((StatusCode::CREATED, Json(uploaded)).into_response())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FileQuery {
    /// The signature of this address.
    #[param(max_length = 100)]
    signature: Option<String>,
}

impl Request for FileQuery {}

/// Download a file of a message
///
/// The address is that of a message or an upload, with its signature. Files that a browser could execute are never shown
/// inline. Exists while `chat.enabled` is set.
#[utoipa::path(get, path = "/api/chat/files/{chatFileId}", operation_id = "downloadChatFile", tag = "operator chat",
    params(FileQuery, ("Range" = Option<String>, Header, description = "One range of bytes, such as `bytes=0-1023`")),
    responses((status = 200, description = "The file", body = schema::Binary, content_type = "*/*"),
        (status = 206, description = "A part of the file", body = schema::Binary, content_type = "*/*"),
        (status = 304, description = "`If-None-Match` names this file")))]
async fn download(
    State(services): State<Services>,
    Extension(state): Extension<ApiState>,
    _: LabelledRoute,
    ChatFileParam(id): ChatFileParam,
    Query(query): Query<FileQuery>,
    request: HttpRequest,
) -> Result<Response, ApiError> {
    let signature = query.signature.unwrap_or_default();
    if signature.is_empty() {
        let (headers, extensions) = (request.headers(), request.extensions());
        return Err(count_failed(&state, headers, extensions, ApiError::UserTokenInvalid));
    }
    let found = match id.parse() {
        Ok(id) => services.media.signed_chat_file(id, &signature).await?,
        Err(_) => None,
    };
    let (headers, extensions) = (request.headers(), request.extensions());
    let Some(found) = found else {
        return Err(count_failed(&state, headers, extensions, ApiError::SignatureInvalid));
    };
    mark_authenticated(extensions);
    let file = &found.file;
    let described = Described {
        etag: format!("\"{}\"", file.hash),
        disposition: disposition_of(&file.mimetype, Some(&found.filename)),
        length: file.filesize,
        mimetype: &file.mimetype,
    };
    serve_file(headers, &described, |range| async { services.media.read_media(&file.hash, range).await })
        .await
}
