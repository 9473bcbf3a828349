//! The store's HTTP interface: `POST /mms/{kind}/{token}` and `GET /media/{kind}/{token}`.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::json;

use super::cipher::path_of;
use super::{MAX_FILE, MediaStore, Progress, StoreError};

/// The query of an upload.
#[derive(Debug, Deserialize)]
struct Upload {
    auth: Option<String>,
    token: Option<String>,
    /// Asks for the size of an interrupted upload.
    resume: Option<String>,
    /// The offset at which this request continues.
    file_offset: Option<usize>,
}

/// The routes of the store.
pub fn router(store: MediaStore) -> Router {
    Router::new()
        .route("/mms/{kind}/{token}", post(upload))
        .route("/media/{kind}/{token}", get(download))
        .with_state(store)
}

async fn upload(
    State(store): State<MediaStore>,
    Path((kind, token)): Path<(String, String)>,
    Query(asked): Query<Upload>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if asked.auth.as_deref() != Some(store.auth()) {
        return refused(StatusCode::UNAUTHORIZED, "the auth token is not the one of the media connection");
    }
    if asked.token.as_deref() != Some(&token) {
        return refused(StatusCode::BAD_REQUEST, "the token in the query is not the one in the path");
    }
    let stored = stored_at(&headers, &kind, &token);
    if asked.resume.is_some() {
        return match store.progress(&token) {
            Progress::Complete => {
                Json(json!({ "resume": "complete", "url": stored.0, "direct_path": stored.1 }))
                    .into_response()
            }
            Progress::Begun(len) => Json(json!({ "resume": len.to_string() })).into_response(),
            Progress::None => refused(StatusCode::NOT_FOUND, "no upload of this file was started"),
        };
    }
    let begun = match asked.file_offset {
        None => Vec::new(),
        Some(offset) => match store.resume(&token, offset) {
            Some(begun) => begun,
            None => return refused(StatusCode::BAD_REQUEST, "no interrupted upload reaches this offset"),
        },
    };
    match read(begun, body).await {
        Ok(bytes) => match store.put_as(&token, Bytes::from(bytes)) {
            Ok(()) => Json(json!({ "url": stored.0, "direct_path": stored.1 })).into_response(),
            Err(error) => not_stored(error),
        },
        Err(Broken::TooLarge) => not_stored(StoreError::TooLarge),
        Err(Broken::Off(bytes)) => {
            store.begin(&token, bytes);
            refused(StatusCode::BAD_REQUEST, "the upload broke off")
        }
    }
}

/// Why a body is incomplete.
enum Broken {
    TooLarge,
    /// The link broke after these bytes.
    Off(Vec<u8>),
}

async fn read(mut bytes: Vec<u8>, body: Body) -> Result<Vec<u8>, Broken> {
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { return Err(Broken::Off(bytes)) };
        if bytes.len() + piece.len() > MAX_FILE {
            return Err(Broken::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

async fn download(
    State(store): State<MediaStore>,
    Path((kind, token)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    store.wait_until_resumed().await;
    if let Some(status) = store.failure() {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return refused(status, "the store fails");
    }
    let (found, mimetype) = match kind.as_str() {
        "pictures" => (store.picture(&token), "image/jpeg"),
        _ => (store.get(&token), "application/octet-stream"),
    };
    let Some(bytes) = found else {
        return refused(StatusCode::NOT_FOUND, "the store has no such file");
    };
    let kind = [(header::CONTENT_TYPE, mimetype), (header::ACCEPT_RANGES, "bytes")];
    let Some(asked) = headers.get(header::RANGE).and_then(|range| range.to_str().ok()) else {
        return (kind, bytes).into_response();
    };
    let len = bytes.len();
    match range(asked, len) {
        Some(range) => {
            let shown = format!("bytes {}-{}/{len}", range.start, range.end - 1);
            (StatusCode::PARTIAL_CONTENT, kind, [(header::CONTENT_RANGE, shown)], bytes.slice(range))
                .into_response()
        }
        None => {
            let all = [(header::CONTENT_RANGE, format!("bytes */{len}"))];
            (StatusCode::RANGE_NOT_SATISFIABLE, all).into_response()
        }
    }
}

/// The range of a `bytes=…` header; `None` if it is invalid.
fn range(asked: &str, len: usize) -> Option<Range<usize>> {
    let (from, to) = asked.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (from, to) {
        ("", last) => len.saturating_sub(last.parse().ok()?)..len,
        (from, "") => from.parse().ok()?..len,
        (from, to) => from.parse().ok()?..len.min(to.parse::<usize>().ok()?.checked_add(1)?),
    };
    (range.start < range.end).then_some(range)
}

/// The URL and path of a stored file.
fn stored_at(headers: &HeaderMap, kind: &str, token: &str) -> (String, String) {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = path_of(kind, token);
    (format!("https://{host}{path}"), path)
}

fn not_stored(error: StoreError) -> Response {
    let status = match error {
        StoreError::WrongHash => StatusCode::BAD_REQUEST,
        StoreError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
    };
    refused(status, &error.to_string())
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn http_ranges_are_parsed() {
        assert_eq!(range("bytes=0-3", 10), Some(0..4));
        assert_eq!(range("bytes=4-", 10), Some(4..10));
        assert_eq!(range("bytes=-3", 10), Some(7..10));
        assert_eq!(range("bytes=8-99", 10), Some(8..10));
        assert_eq!(range("bytes=10-", 10), None);
        assert_eq!(range("bytes=0-0", 0), None);
        assert_eq!(range("bytes=5-2", 10), None);
        assert_eq!(range("lines=1-2", 10), None);
    }
}
