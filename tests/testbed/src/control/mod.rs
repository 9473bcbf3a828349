//! The control API, under `/control`: what phones and people do, at a test's word.

use std::sync::Arc;

use axum::Router;

use crate::server::World;

/// The routes, nested under `/control`.
pub fn router() -> Router<Arc<World>> {
    Router::new()
}
