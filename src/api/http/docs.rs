//! The OpenAPI document, and an interactive page for it. Both are part of the binary.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::ApiState;
use super::error::ApiError;
use super::request_labels::LabelledRoute;

/// The page loads nothing from other hosts, and sends nothing to them.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
);

/// `/docs` and `/docs-json`.
pub fn routes(document: &OpenApi) -> Router<ApiState> {
    let json = Bytes::from(super::as_json(document));
    // Relative, so that it also works behind a proxy that adds a path. "none": no badge of an outside
    // validator.
    let config = Config::from("../docs-json").validator_url("none").persist_authorization(false);
    let config = Arc::new(config);
    let (index, files) = (Arc::clone(&config), config);
    Router::new()
        .route(
            "/docs-json",
            get(move |_: LabelledRoute| async {
                ([(CONTENT_TYPE, "application/json")], json).into_response()
            }),
        )
        .route("/docs", get(|_: LabelledRoute| async { Redirect::permanent("docs/") }))
        .route("/docs/", get(move |_: LabelledRoute| async { page("", index) }))
        .route(
            "/docs/{*file}",
            get(move |_: LabelledRoute, Path(file): Path<String>| async move { page(&file, files) }),
        )
}

fn page(path: &str, config: Arc<Config<'static>>) -> Result<Response, ApiError> {
    let file = utoipa_swagger_ui::serve(path, config).map_err(|error| {
        tracing::error!(%error, "documentation page failed");
        ApiError::Internal
    })?;
    let file = file.ok_or(ApiError::NotFound)?;
    let mut response = file.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    if let Ok(content_type) = HeaderValue::from_str(&file.content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    if file.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
