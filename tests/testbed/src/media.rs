//! The media store: uploads at `/mms/…`, downloads at `/media/…`, and where clients learn of it
//! (`w:m`, `<media_conn>`).

use std::sync::Arc;

use axum::Router;

use crate::server::World;
use crate::server::dispatch::Session;
use crate::server::iq::Answer;
use wacore_binary::Node;

/// The files that were uploaded.
#[derive(Default)]
pub struct Media {}

/// The HTTP routes of the media store.
pub fn router() -> Router<Arc<World>> {
    Router::new()
}

/// Answers `w:m`.
pub async fn answer(_session: &Session, _iq: &Node) -> Answer {
    Answer::empty()
}
