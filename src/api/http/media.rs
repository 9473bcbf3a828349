//! Media: upload, info, download, thumbnail, and revocation of their signed addresses.

use axum::extract::{Request as HttpRequest, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Created, Success};
use super::error::ApiError;
use super::guard::{guarded, guarded_or_signed};
use super::input::{Device, Message as MessageParam, Query, Request};
use super::schema::{self, DimensionsObject};
use crate::domain::access::Scope;
use crate::domain::media::{Dimensions, Media, MediaHash, MediaKind};
use crate::service::{ServiceError, Services, Uploaded};

mod disposition;
mod response;
mod upload;

pub(in crate::api::http) use disposition::of as disposition_of;
pub use response::NotCompressed;
pub(in crate::api::http) use response::{Described, file as serve_file};
pub(in crate::api::http) use upload::{DISCARDED_BYTES, DISCARDING, SharedBody, boundary};

/// The operations of this file and its parts.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::MessagesSend, &[], routes!(upload_media)))
        .routes(guarded(Scope::DevicesWrite, &[], routes!(revoke_urls)))
        .routes(guarded(Scope::MessagesRead, &[503], routes!(fetch)))
        .routes(guarded_or_signed(Scope::MessagesRead, &[], routes!(info)))
        .routes(guarded_or_signed(Scope::MessagesRead, &[416], routes!(download)))
        .routes(guarded_or_signed(Scope::MessagesRead, &[416], routes!(thumbnail)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct UploadQuery {
    /// The file name; that of the form or of `Content-Disposition` when absent.
    #[param(max_length = 1000)]
    filename: Option<String>,
}

impl Request for UploadQuery {}

/// A form with a file.
#[derive(ToSchema)]
#[schema(example = json!({ "file": "the bytes of the file" }))]
#[expect(dead_code, reason = "only in the OpenAPI document; the upload reads the form")]
struct UploadForm {
    /// The file; the first of several is used.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// An uploaded file.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UploadedFile {
    /// The value of `media.mediaId` in a send. An upload that is not sent is removed after a day.
    #[schema(example = "mOPHN2gXWdJdKXYAFcvPAQ")]
    media_id: String,
    /// Its type, detected from the content.
    #[schema(example = "image/jpeg")]
    mimetype: String,
    /// Its size in bytes.
    #[schema(minimum = 1)]
    filesize: u64,
    /// Its name, without unsafe characters.
    #[schema(example = "holiday.jpg")]
    filename: Option<String>,
    /// Its duration in seconds.
    duration: Option<f64>,
    /// Its width and height.
    #[schema(value_type = Option<DimensionsObject>)]
    dimensions: Option<Dimensions>,
    /// The SHA-256 of its content, in hexadecimal.
    #[schema(
        value_type = String,
        pattern = "^[0-9a-f]{64}$",
        example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    sha256: MediaHash,
    /// Whether there will be a thumbnail.
    has_thumbnail: bool,
}

impl From<Uploaded> for UploadedFile {
    fn from(uploaded: Uploaded) -> Self {
        let Uploaded { id, file, filename } = uploaded;
        Self {
            media_id: id,
            mimetype: file.mimetype,
            filesize: file.filesize,
            filename,
            duration: file.duration,
            dimensions: file.dimensions,
            sha256: file.hash,
            has_thumbnail: file.has_thumbnail,
        }
    }
}

/// Upload a file
///
/// As a form with a file, or as the body itself. The file is streamed to the media store, and this device can send it by
/// its `mediaId`. The largest size is a setting, 64 MiB by default.
#[utoipa::path(post, path = "/devices/{id}/media", operation_id = "uploadMedia", tag = "media",
    params(UploadQuery),
    request_body(content((schema::Binary = "application/octet-stream"), (UploadForm = "multipart/form-data"))),
    responses((status = 201, description = "The file is stored", body = Success<UploadedFile>)))]
async fn upload_media(
    State(services): State<Services>,
    Device(device): Device,
    Query(query): Query<UploadQuery>,
    request: HttpRequest,
) -> Result<Created<UploadedFile>, ApiError> {
    upload::receive(&services, &device, query.filename, request)
        .await
        .map(|uploaded| Created(uploaded.into()))
}

/// The result of a revocation.
#[derive(Serialize, ToSchema)]
struct RevokedUrls {
    /// `true`.
    revoked: bool,
}

/// Revoke the addresses of media
///
/// All `mediaUrl`, `downloadUrl` and `thumbnailUrl` of this device become invalid. Messages have new ones when they are
/// read again.
#[utoipa::path(post, path = "/devices/{id}/media/revoke-urls", operation_id = "revokeMediaUrls", tag = "media",
    responses((status = 200, description = "The addresses are invalid", body = Success<RevokedUrls>)))]
async fn revoke_urls(
    State(services): State<Services>,
    Device(device): Device,
) -> Result<Success<RevokedUrls>, ApiError> {
    services.media.revoke_media_links(&device).await?;
    Ok(Success::new(RevokedUrls { revoked: true }))
}

/// The media of a message.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum MessageMedia {
    File(Box<MessageFile>),
    None(NoFile),
}

/// A message without a file.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NoFile {
    /// `false`.
    #[schema(example = false)]
    has_media: bool,
}

/// The file of a message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageFile {
    /// `true`.
    #[schema(example = true)]
    has_media: bool,
    /// The kind of the file.
    r#type: MediaTypeWord,
    /// The same as `type`.
    media_type: MediaTypeWord,
    /// Its type, detected from the content.
    #[schema(example = "image/jpeg")]
    mimetype: String,
    /// Its size in bytes.
    #[schema(value_type = i64, minimum = 0)]
    filesize: u64,
    /// The sender's name of the file.
    filename: Option<String>,
    /// Its duration in seconds.
    duration: Option<f64>,
    /// Its width and height.
    #[schema(value_type = Option<DimensionsObject>)]
    dimensions: Option<Dimensions>,
    /// The SHA-256 of its content, in hexadecimal.
    #[schema(
        value_type = String,
        pattern = "^[0-9a-f]{64}$",
        example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    sha256: MediaHash,
    /// Its address; `null` when the file was deleted.
    download_url: Option<String>,
    /// The address of its thumbnail, if it has one.
    thumbnail_url: Option<String>,
}

impl From<Media> for MessageFile {
    fn from(media: Media) -> Self {
        let Media { kind, file, filename, links, .. } = media;
        let (download_url, thumbnail_url) =
            links.map(|links| (Some(links.download), links.thumbnail)).unwrap_or_default();
        Self {
            has_media: true,
            r#type: kind.into(),
            media_type: kind.into(),
            mimetype: file.mimetype,
            filesize: file.filesize,
            filename,
            duration: file.duration,
            dimensions: file.dimensions,
            sha256: file.hash,
            download_url,
            thumbnail_url,
        }
    }
}

/// The kind of a file.
#[derive(Serialize, ToSchema)]
#[schema(as = MediaFileType, rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
enum MediaTypeWord {
    Image,
    Video,
    Audio,
    Voice,
    Document,
    Sticker,
}

impl From<MediaKind> for MediaTypeWord {
    fn from(kind: MediaKind) -> Self {
        match kind {
            MediaKind::Image => Self::Image,
            MediaKind::Video => Self::Video,
            MediaKind::Audio => Self::Audio,
            MediaKind::Ptt => Self::Voice,
            MediaKind::Document => Self::Document,
            MediaKind::Sticker => Self::Sticker,
        }
    }
}

/// Show the media of a message
///
/// Also when the file itself was deleted; its addresses are `null` then.
#[utoipa::path(get, path = "/devices/{id}/messages/{mid}/media/info", operation_id = "getMediaInfo", tag = "media",
    responses((status = 200, description = "The media of the message", body = Success<MessageMedia>)))]
async fn info(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
) -> Result<Success<MessageMedia>, ApiError> {
    match services.media.message_media(&device, &id).await {
        Ok(media) => Ok(Success::new(MessageMedia::File(Box::new(media.into())))),
        Err(ServiceError::NoMedia) => Ok(Success::new(MessageMedia::None(NoFile { has_media: false }))),
        Err(error) => Err(error.into()),
    }
}

/// The result of a fetch.
#[derive(Serialize, ToSchema)]
struct FetchedMedia {
    /// `true`.
    #[schema(example = true)]
    available: bool,
}

/// Fetch a message's file
///
/// For a file that did not arrive with its message. If the network no longer has it, the account's phone is asked to
/// upload it again: `media_gone` if it has it no longer either, `phone_offline` if it does not answer. A fetch that
/// takes too long or fails for now answers `media_not_fetched` and goes on in the background; the event `message:media`
/// reports its end.
#[utoipa::path(post, path = "/devices/{id}/messages/{mid}/media/fetch", operation_id = "fetchMedia", tag = "media",
    responses((status = 200, description = "The file is here", body = Success<FetchedMedia>)))]
async fn fetch(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
) -> Result<Success<FetchedMedia>, ApiError> {
    let Media { available, .. } = services.messaging.message_file(&device, &id).await?;
    Ok(Success::new(FetchedMedia { available }))
}

/// Download a message's file
///
/// The whole file, or one range of it. Files that a browser could execute are never shown inline. A file that did not
/// arrive with its message is fetched first, if the engine can do that.
#[utoipa::path(get, path = "/devices/{id}/messages/{mid}/media/download", operation_id = "downloadMedia", tag = "media",
    params(("Range" = Option<String>, Header, description = "One range of bytes, such as `bytes=0-1023`")),
    responses((status = 200, description = "The file", body = schema::Binary, content_type = "*/*"),
        (status = 206, description = "A part of the file", body = schema::Binary, content_type = "*/*"),
        (status = 304, description = "`If-None-Match` names this file")))]
async fn download(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Media { file, filename, .. } = services.messaging.message_file(&device, &id).await?;
    let described = response::Described {
        etag: format!("\"{}\"", file.hash),
        disposition: disposition::of(&file.mimetype, filename.as_deref()),
        length: file.filesize,
        mimetype: &file.mimetype,
    };
    response::file(&headers, &described, |range| async { services.media.read_media(&file.hash, range).await })
        .await
}

/// Show the thumbnail of a message's file
///
/// A JPEG with at most 320 pixels on its longest side.
#[utoipa::path(get, path = "/devices/{id}/messages/{mid}/media/thumbnail", operation_id = "getMediaThumbnail", tag = "media",
    responses((status = 200, description = "The picture", body = schema::Binary, content_type = "image/jpeg"),
        (status = 206, description = "A part of the picture", body = schema::Binary, content_type = "image/jpeg"),
        (status = 304, description = "`If-None-Match` names this file")))]
async fn thumbnail(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Media { file, available, .. } = services.media.message_media(&device, &id).await?;
    if !available {
        return Err(ServiceError::MediaGone.into());
    }
    if !file.has_thumbnail {
        return Err(ServiceError::NoThumbnail.into());
    }
    let jpeg = bytes::Bytes::from(services.media.read_media_thumbnail(&file.hash).await?);
    let described = response::Described {
        etag: format!("\"{}-thumbnail\"", file.hash),
        disposition: disposition::of("image/jpeg", Some("thumbnail.jpg")),
        length: jpeg.len() as u64,
        mimetype: "image/jpeg",
    };
    response::file(&headers, &described, |range| async move { Ok(response::part_of(&jpeg, range)) }).await
}
