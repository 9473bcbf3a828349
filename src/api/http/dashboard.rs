//! The dashboard's page and its files. They are part of the binary; debug builds read them from the source tree.
//!
//! Invariants: the page loads nothing from other hosts and runs no inline script; files with a hash in their
//! name are immutable, all others are revalidated.

use std::borrow::Cow;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::Embed;

use super::ApiState;
use super::error::ApiError;
use super::request_labels::LabelledRoute;

const POLICY: HeaderValue = HeaderValue::from_static(concat!(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; ",
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; ",
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; ",
    "require-trusted-types-for 'script'; trusted-types wharf-sw"
));
const PERMISSIONS: HeaderValue = HeaderValue::from_static(concat!(
    "accelerometer=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), ",
    "magnetometer=(), microphone=(), midi=(), payment=(), usb=()"
));
static OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
static PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The built page; `./dev dashboard` builds it.
#[derive(Embed)]
#[folder = "assets/dashboard/dist/"]
struct Built;

/// `/`, `/ui/…` and `/sw.js`.
pub fn routes() -> Router<ApiState> {
    Router::new()
        .route("/", get(|_: LabelledRoute, headers: HeaderMap| async move { file("index.html", REVALIDATED, &headers) }))
        .route("/sw.js", get(|_: LabelledRoute, headers: HeaderMap| async move { file("sw.js", REVALIDATED, &headers) }))
        .route("/ui/{file}", get(asset))
}

async fn asset(_: LabelledRoute, Path(name): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.starts_with('.') || !name.chars().all(is_plain) {
        return Err(ApiError::NotFound);
    }
    file(&format!("ui/{name}"), IMMUTABLE, &headers)
}

fn file(path: &str, caching: HeaderValue, request: &HeaderMap) -> Result<Response, ApiError> {
    let file = Built::get(path).ok_or(ApiError::NotFound)?;
    let hash = hex::encode(&file.metadata.sha256_hash()[..12]);
    // Weak: the compressed answer has it too.
    let tag = HeaderValue::try_from(format!("W/\"{hash}\"")).map_err(|_| ApiError::Internal)?;
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, caching);
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(&OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(&PERMISSIONS_POLICY, PERMISSIONS);
    let is_current = is_listed(request, &hash);
    headers.insert(ETAG, tag);
    if is_current {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(CONTENT_TYPE, content_type(file.metadata.mimetype()));
    let bytes = match file.data {
        Cow::Borrowed(bytes) => bytes.into_response(),
        Cow::Owned(bytes) => bytes.into_response(),
    };
    Ok((headers, bytes.into_body()).into_response())
}

/// Whether `If-None-Match` has the tag; the comparison is weak (RFC 9110, 13.1.2).
fn is_listed(request: &HeaderMap, hash: &str) -> bool {
    let values = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == hash)
}

fn content_type(media_type: &str) -> HeaderValue {
    let text = match media_type {
        "text/html" | "text/css" | "text/javascript" => format!("{media_type}; charset=utf-8"),
        other => other.to_owned(),
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, value.parse().unwrap());
        is_listed(&headers, "a1b2")
    }

    #[test]
    fn listed_tag_is_found() {
        for value in ["W/\"a1b2\"", "\"a1b2\"", "\"x\", W/\"a1b2\"", "*"] {
            assert!(listed(value), "{value}");
        }
        assert!(!listed("\"a1b3\""));
        assert!(!is_listed(&HeaderMap::new(), "a1b2"));
    }
}
