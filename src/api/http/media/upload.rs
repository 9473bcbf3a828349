//! Reads the body of an upload: a form with a file, or the file itself. Both are streamed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use multer::{Constraints, Multipart, SizeLimit};
use parking_lot::Mutex;

use super::disposition::filename_in;
use crate::api::http::error::ApiError;
use crate::domain::ids::DeviceId;
use crate::service::{FileBytes, ServiceError, Services, Uploaded};

/// Bytes of a form besides its file.
const FORM_BYTES: u64 = 64 * 1024;
/// A refused body is read up to this size, so that the client can read the answer.
pub(in crate::api::http) const DISCARDED_BYTES: usize = 64 * 1024 * 1024;
pub(in crate::api::http) const DISCARDING: Duration = Duration::from_secs(10);

/// Receives the file of a request.
pub(super) async fn receive(
    services: &Services,
    device: &DeviceId,
    filename: Option<String>,
    request: Request,
) -> Result<Uploaded, ApiError> {
    let (parts, body) = request.into_parts();
    let body = SharedBody::new(body);
    let received = async {
        refuse_too_large(&parts.headers, services.media.max_media_bytes())?;
        match boundary(&parts.headers)? {
            Some(boundary) => from_form(services, device, filename, body.clone(), boundary).await,
            None => {
                let filename =
                    filename.or_else(|| filename_in(parts.headers.get(CONTENT_DISPOSITION)?.to_str().ok()?));
                let mut bytes: FileBytes = body.clone().boxed();
                Ok(services.media.upload_media(device, filename.as_deref(), &mut bytes).await?)
            }
        }
    };
    let received = received.await;
    if received.is_err() && !parts.headers.contains_key(EXPECT) {
        // A client that never stops is cut.
        let _ = tokio::time::timeout(DISCARDING, body.discard(DISCARDED_BYTES)).await;
    }
    received
}

/// Refuses a body whose declared length is too large, without reading it.
fn refuse_too_large(headers: &HeaderMap, limit: u64) -> Result<(), ApiError> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit.saturating_add(FORM_BYTES)) {
        return Err(ServiceError::media_too_large(limit).into());
    }
    Ok(())
}

/// The boundary of a form; `None` if the body is not one.
pub(in crate::api::http) fn boundary(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    let parsed = multer::parse_boundary(value);
    parsed.map(Some).map_err(|_| ApiError::field("Content-Type", "must name the boundary of the form"))
}

async fn from_form(
    services: &Services,
    device: &DeviceId,
    filename: Option<String>,
    body: SharedBody,
    boundary: String,
) -> Result<Uploaded, ApiError> {
    let most = services.media.max_media_bytes().saturating_add(FORM_BYTES);
    let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(most));
    let mut form = Multipart::with_constraints(body, boundary, limits);
    loop {
        let field = form.next_field().await.map_err(|error| not_a_form(&error, services))?;
        let Some(field) = field else {
            return Err(ApiError::field("file", "is required: a part of the form with a filename"));
        };
        let Some(own_name) = field.file_name().map(str::to_owned) else { continue };
        let name = filename.unwrap_or(own_name);
        let mut bytes: FileBytes = field.map_err(io::Error::other).boxed();
        return Ok(services.media.upload_media(device, Some(&name), &mut bytes).await?);
    }
}

fn not_a_form(error: &multer::Error, services: &Services) -> ApiError {
    match error {
        multer::Error::StreamSizeExceeded { .. } => {
            ServiceError::media_too_large(services.media.max_media_bytes()).into()
        }
        _ => ApiError::field("request", "is not a whole form of multipart/form-data"),
    }
}

/// A request's body whose rest can be discarded after its beginning was read elsewhere.
#[derive(Clone)]
pub(in crate::api::http) struct SharedBody(Arc<Mutex<BodyDataStream>>);

impl SharedBody {
    pub(in crate::api::http) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body.into_data_stream())))
    }

    /// Reads at most `most` bytes.
    pub(in crate::api::http) async fn discard(mut self, most: usize) {
        let mut discarded = 0;
        while let Some(Ok(piece)) = self.next().await {
            discarded += piece.len();
            if discarded > most {
                break;
            }
        }
    }
}

impl Stream for SharedBody {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.lock();
        body.poll_next_unpin(context).map_err(io::Error::other)
    }
}
