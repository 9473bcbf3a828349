//! Files: upload, show, download, and making their addresses void.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Created, Success};
use super::error::ApiError;
use super::guard::{guarded, guarded_or_signed};
use super::input::{Device, Fields, FromFields, Message as MessageParam, Query};
use super::schema::{self, DimensionsObject, MediaInfoObject};
use crate::domain::access::Scope;
use crate::domain::media::{Dimensions, Media, MediaHash, WireMediaInfo};
use crate::service::{ServiceError, Services, Uploaded};

mod answer;
mod disposition;
mod upload;

pub use answer::NotCompressed;

/// Longest name of a file, in characters.
const NAME_CHARS: usize = 1_000;

/// The operations of this file and its parts.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::MessagesSend, &[], routes!(take_in)))
        .routes(guarded(Scope::DevicesWrite, &[], routes!(revoke_urls)))
        .routes(guarded_or_signed(Scope::MessagesRead, &[], routes!(info)))
        .routes(guarded_or_signed(Scope::MessagesRead, &[416], routes!(download)))
        .routes(guarded_or_signed(Scope::MessagesRead, &[416], routes!(thumbnail)))
}

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct UploadQuery {
    /// What the file is called; else what the form or `Content-Disposition` says.
    #[param(max_length = 1000)]
    filename: Option<String>,
}

impl FromFields for UploadQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { filename: fields.text("filename", NAME_CHARS) })
    }
}

/// A form with a file in it.
#[derive(ToSchema)]
#[schema(example = json!({ "file": "the bytes of the file" }))]
#[expect(dead_code, reason = "for the document; the upload reads the form")]
struct UploadForm {
    /// The file. Of several, the first counts.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// A file that may be sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UploadedFile {
    /// Names it in `media.mediaId` when it is sent. It is forgotten when that does not happen for a day.
    #[schema(example = "mOPHN2gXWdJdKXYAFcvPAQ")]
    media_id: String,
    /// Its type, by its content.
    #[schema(example = "image/jpeg")]
    mimetype: String,
    /// In bytes.
    #[schema(minimum = 1)]
    filesize: u64,
    /// What it is called, without anything that is not safe in a name.
    #[schema(example = "holiday.jpg")]
    filename: Option<String>,
    /// How long it plays, in seconds.
    duration: Option<f64>,
    /// Width and height.
    #[schema(value_type = Option<DimensionsObject>)]
    dimensions: Option<Dimensions>,
    /// Its content's SHA-256, in hexadecimal.
    #[schema(
        value_type = String,
        pattern = "^[0-9a-f]{64}$",
        example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    sha256: MediaHash,
    /// Whether there will be a smaller picture of it.
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
/// As a form with a file, or as the body itself. It is streamed to the store, and may be sent by its `mediaId`
/// from this device. The largest size is a setting, 64 MiB unless changed.
#[utoipa::path(post, path = "/devices/{id}/media", operation_id = "uploadMedia", tag = "media",
    params(UploadQuery),
    request_body(content((schema::Binary = "application/octet-stream"), (UploadForm = "multipart/form-data"))),
    responses((status = 201, description = "It is stored and may be sent", body = Success<UploadedFile>)))]
async fn take_in(
    State(services): State<Services>,
    Device(device): Device,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<Created<UploadedFile>, ApiError> {
    upload::take_in(&services, &device, query.filename, request)
        .await
        .map(|uploaded| Created(uploaded.into()))
}

/// What became of the addresses.
#[derive(Serialize, ToSchema)]
struct RevokedUrls {
    /// `true`.
    revoked: bool,
}

/// Make the addresses of files void
///
/// All `mediaUrl`, `downloadUrl` and `thumbnailUrl` of this device that were given out so far end; messages that
/// are read again have new ones.
#[utoipa::path(post, path = "/devices/{id}/media/revoke-urls", operation_id = "revokeMediaUrls", tag = "media",
    responses((status = 200, description = "They are void", body = Success<RevokedUrls>)))]
async fn revoke_urls(
    State(services): State<Services>,
    Device(device): Device,
) -> Result<Success<RevokedUrls>, ApiError> {
    services.media.revoke_media_links(&device).await?;
    Ok(Success::new(RevokedUrls { revoked: true }))
}

/// Show what is known of a message's file
///
/// Also when the file itself is not kept any more; its addresses are null then.
#[utoipa::path(get, path = "/devices/{id}/messages/{mid}/media/info", operation_id = "getMediaInfo", tag = "media",
    responses((status = 200, description = "What is known of it", body = Success<MediaInfoObject>)))]
async fn info(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
) -> Result<Success<WireMediaInfo>, ApiError> {
    Ok(Success::new(services.media.message_media(&device, &id).await?.into_info()))
}

/// Download a message's file
///
/// Whole, or one range of it. What a browser could run is never shown inline.
#[utoipa::path(get, path = "/devices/{id}/messages/{mid}/media/download", operation_id = "downloadMedia", tag = "media",
    params(("Range" = Option<String>, Header, description = "One range of bytes, such as `bytes=0-1023`")),
    responses((status = 200, description = "The file", body = schema::Binary, content_type = "*/*"),
        (status = 206, description = "A part of the file", body = schema::Binary, content_type = "*/*"),
        (status = 304, description = "It is what `If-None-Match` names")))]
async fn download(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Media { file, filename, available, .. } = services.media.message_media(&device, &id).await?;
    if !available {
        return Err(ServiceError::MediaGone.into());
    }
    let described = answer::Described {
        etag: format!("\"{}\"", file.hash),
        disposition: disposition::of(&file.mimetype, filename.as_deref()),
        length: file.filesize,
        mimetype: &file.mimetype,
    };
    answer::file(&headers, &described, |range| async { services.media.read_media(&file.hash, range).await })
        .await
}

/// Show a smaller picture of a message's file
///
/// A JPEG whose longest side has at most 320 pixels.
#[utoipa::path(get, path = "/devices/{id}/messages/{mid}/media/thumbnail", operation_id = "getMediaThumbnail", tag = "media",
    responses((status = 200, description = "The picture", body = schema::Binary, content_type = "image/jpeg"),
        (status = 206, description = "A part of the picture", body = schema::Binary, content_type = "image/jpeg"),
        (status = 304, description = "It is what `If-None-Match` names")))]
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
    let described = answer::Described {
        etag: format!("\"{}-thumbnail\"", file.hash),
        disposition: disposition::of("image/jpeg", Some("thumbnail.jpg")),
        length: jpeg.len() as u64,
        mimetype: "image/jpeg",
    };
    answer::file(&headers, &described, |range| async move { Ok(answer::part_of(&jpeg, range)) }).await
}
