//! A file as an answer: whole, a range, or `304` when the client has it.
//!
//! Source: RFC 9110, sections 13 (conditional requests) and 14 (ranges).

use std::ops::Range;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;

use crate::api::http::error::ApiError;
use crate::service::{FileBytes, ServiceError};

/// The content of an address never changes.
const CACHING: &str = "private, max-age=31536000, immutable";
/// The browser executes and loads nothing, and gives the file no origin.
const POLICY: &str = "sandbox; default-src 'none'";

/// Marks answers that are never compressed: a range is of the file itself.
#[derive(Debug, Clone, Copy)]
pub struct NotCompressed;

/// The headers of a file's answer.
pub(in crate::api::http) struct Described<'a> {
    pub(in crate::api::http) etag: String,
    pub(in crate::api::http) disposition: String,
    pub(in crate::api::http) length: u64,
    pub(in crate::api::http) mimetype: &'a str,
}

/// Answers with the file, or with the requested range.
pub(in crate::api::http) async fn file<F>(
    asked: &HeaderMap,
    described: &Described<'_>,
    read: impl FnOnce(Range<u64>) -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<FileBytes, ServiceError>>,
{
    let length = described.length;
    let (status, range) = match requested_range(asked, &described.etag, length) {
        RangeRequest::Nothing => (StatusCode::NOT_MODIFIED, None),
        RangeRequest::Impossible => (StatusCode::RANGE_NOT_SATISFIABLE, None),
        RangeRequest::Whole => (StatusCode::OK, Some(0..length)),
        RangeRequest::Part(range) => (StatusCode::PARTIAL_CONTENT, Some(range)),
    };
    let mut response = match (status, &range) {
        (StatusCode::RANGE_NOT_SATISFIABLE, _) => ApiError::RangeNotSatisfiable(length).into_response(),
        (_, Some(range)) => (status, Body::from_stream(read(range.clone()).await?)).into_response(),
        (_, None) => status.into_response(),
    };
    let headers = response.headers_mut();
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(ACCEPT_RANGES, "bytes");
    match status {
        StatusCode::RANGE_NOT_SATISFIABLE => set(CONTENT_RANGE, &format!("bytes */{length}")),
        StatusCode::PARTIAL_CONTENT => {
            let range = range.clone().unwrap_or_default();
            set(CONTENT_RANGE, &format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1)));
        }
        _ => {}
    }
    if status != StatusCode::RANGE_NOT_SATISFIABLE {
        set(ETAG, &described.etag);
        set(CACHE_CONTROL, CACHING);
    }
    if let Some(range) = range {
        set(CONTENT_TYPE, described.mimetype);
        set(CONTENT_LENGTH, &(range.end - range.start).to_string());
        set(CONTENT_DISPOSITION, &described.disposition);
    }
    response.extensions_mut().insert(NotCompressed);
    Ok(response)
}

/// A range of bytes in memory.
pub(super) fn part_of(bytes: &bytes::Bytes, range: Range<u64>) -> FileBytes {
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
    let part = bytes.slice(at(range.start)..at(range.end));
    futures_util::stream::once(async { Ok(part) }).boxed()
}

/// The part of a file that a client requests.
#[derive(Debug, PartialEq, Eq)]
enum RangeRequest {
    /// Nothing: the client has the file.
    Nothing,
    Whole,
    Part(Range<u64>),
    /// A range beyond the end.
    Impossible,
}

fn requested_range(asked: &HeaderMap, etag: &str, length: u64) -> RangeRequest {
    let lines = |name| asked.get_all(name).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    let names_it = |tag: &str| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag;
    if lines(IF_NONE_MATCH).flat_map(|line| line.split(',')).any(names_it) {
        return RangeRequest::Nothing;
    }
    // Only the strong tag is valid: a range must be of the same file.
    if lines(IF_RANGE).any(|tag| tag.trim() != etag) {
        return RangeRequest::Whole;
    }
    let mut ranges = lines(RANGE);
    match (ranges.next(), ranges.next()) {
        (Some(range), None) => range_of(range, length),
        _ => RangeRequest::Whole,
    }
}

/// An invalid range, and several ranges, count as none.
fn range_of(text: &str, length: u64) -> RangeRequest {
    let unit_and_range =
        text.trim().split_once('=').filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = unit_and_range.and_then(|(_, range)| range.trim().split_once('-')) else {
        return RangeRequest::Whole;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number with more digits than any file has bytes.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            None => RangeRequest::Whole,
            Some(0) => RangeRequest::Impossible,
            Some(count) => RangeRequest::Part(length.saturating_sub(count)..length),
        },
        (first, "") => match number(first) {
            None => RangeRequest::Whole,
            Some(first) if first >= length => RangeRequest::Impossible,
            Some(first) => RangeRequest::Part(first..length),
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first > last => RangeRequest::Whole,
            (Some(first), Some(_)) if first >= length => RangeRequest::Impossible,
            (Some(first), Some(last)) => RangeRequest::Part(first..last.saturating_add(1).min(length)),
            _ => RangeRequest::Whole,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &'static str)]) -> RangeRequest {
        let mut asked = HeaderMap::new();
        for (name, value) in headers {
            asked.append(*name, HeaderValue::from_static(value));
        }
        requested_range(&asked, "\"abc\"", 100)
    }

    #[test]
    fn one_range_is_answered_and_invalid_ones_are_ignored() {
        for (range, expected) in [
            ("bytes=0-0", RangeRequest::Part(0..1)),
            ("bytes=10-19", RangeRequest::Part(10..20)),
            ("bytes=90-", RangeRequest::Part(90..100)),
            ("bytes=90-5000", RangeRequest::Part(90..100)),
            ("bytes=-1", RangeRequest::Part(99..100)),
            ("bytes=-5000", RangeRequest::Part(0..100)),
            ("Bytes = 5 - 6", RangeRequest::Part(5..7)),
            ("bytes=0-99999999999999999999999", RangeRequest::Part(0..100)),
            ("bytes=100-", RangeRequest::Impossible),
            ("bytes=99999999999999999999999-", RangeRequest::Impossible),
            ("bytes=-0", RangeRequest::Impossible),
            ("bytes=5-4", RangeRequest::Whole),
            ("bytes=0-1,3-4", RangeRequest::Whole),
            ("bytes=a-b", RangeRequest::Whole),
            ("bytes=-", RangeRequest::Whole),
            ("bytes=+1-2", RangeRequest::Whole),
            ("lines=0-1", RangeRequest::Whole),
            ("", RangeRequest::Whole),
        ] {
            assert_eq!(of(&[("range", range)]), expected, "{range}");
        }
    }

    #[test]
    fn matching_etag_is_answered_304() {
        for tag in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert_eq!(of(&[("if-none-match", tag), ("range", "bytes=0-1")]), RangeRequest::Nothing, "{tag}");
        }
        assert_eq!(of(&[("if-none-match", "\"x\"")]), RangeRequest::Whole);
        assert_eq!(of(&[("if-range", "\"abc\""), ("range", "bytes=0-1")]), RangeRequest::Part(0..2));
        for other in ["\"x\"", "W/\"abc\"", "Sat, 29 Oct 1994 19:43:31 GMT"] {
            assert_eq!(of(&[("if-range", other), ("range", "bytes=0-1")]), RangeRequest::Whole, "{other}");
        }
    }
}
