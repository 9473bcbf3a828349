//! The bodies of successful answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;

/// The first size of a body's buffer in bytes; most bodies are smaller.
const FIRST_SIZE: usize = 2_048;

/// A JSON body. `axum::Json` writes each token into a `BytesMut`, which costs a tenth of a page of messages.
pub struct JsonBody<T>(pub T);

impl<T: Serialize> IntoResponse for JsonBody<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(FIRST_SIZE);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => {
                let content_type = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, content_type)], body).into_response()
            }
            Err(error) => {
                // Not reached: bodies have plain data and string keys.
                tracing::error!(%error, "a body cannot be written as JSON");
                ApiError::Internal.into_response()
            }
        }
    }
}

/// `{ "success": true, "data": … }`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Success<T> {
    /// `true`.
    #[schema(example = true)]
    success: bool,
    /// The answer.
    data: T,
}

impl<T> Success<T> {
    /// A success with this answer.
    pub fn new(data: T) -> Self {
        Self { success: true, data }
    }
}

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        JsonBody(self).into_response()
    }
}

/// [`Success`] with status 201.
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Success::new(self.0)).into_response()
    }
}

/// `{ "success": true, "data": [ … ], "pagination": { … } }`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T, P> {
    /// `true`.
    #[schema(example = true)]
    success: bool,
    /// The entries of this page.
    data: Vec<T>,
    /// The position of this page.
    pagination: P,
}

impl<T, P> Page<T, P> {
    /// A page with its position.
    pub fn new(data: Vec<T>, pagination: P) -> Self {
        Self { success: true, data, pagination }
    }
}

impl<T: Serialize, P: Serialize> IntoResponse for Page<T, P> {
    fn into_response(self) -> Response {
        JsonBody(self).into_response()
    }
}

/// The position of a page by offset.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Offsets {
    /// Entries in all.
    #[schema(minimum = 0)]
    pub total: i64,
    /// Entries on this page.
    #[schema(minimum = 0)]
    pub returned: usize,
    /// The limit of the request.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: usize,
    /// Skipped entries.
    #[schema(minimum = 0)]
    pub offset: usize,
    /// Whether more follow.
    pub has_more: bool,
}

impl Offsets {
    /// The position of a page.
    #[must_use]
    pub fn new(total: i64, returned: usize, limit: usize, offset: usize) -> Self {
        let end = i64::try_from(offset.saturating_add(returned)).unwrap_or(i64::MAX);
        Self { total, returned, limit, offset, has_more: returned > 0 && end < total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_page_has_no_more() {
        assert!(Offsets::new(5, 2, 2, 0).has_more);
        assert!(!Offsets::new(5, 1, 2, 4).has_more);
        assert!(!Offsets::new(5, 0, 2, 9).has_more);
    }
}
