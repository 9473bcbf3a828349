//! Facts about a request that are known at its route, for the log and the metrics around it.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::Extensions;
use axum::http::request::Parts;

use crate::service::Principal;

/// The route of requests that match none.
pub(super) const NO_ROUTE: &str = "none";

/// The route and the key of a request. Clones share them.
#[derive(Clone, Default)]
pub(super) struct RequestNotes(Arc<Notes>);

#[derive(Default)]
struct Notes {
    route: OnceLock<MatchedPath>,
    caller: OnceLock<Arc<Principal>>,
}

impl RequestNotes {
    pub(super) fn route(&self) -> Option<&str> {
        self.0.route.get().map(MatchedPath::as_str)
    }

    /// The public part of the key.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.0.caller.get().map(|caller| caller.key_id.as_str())
    }
}

/// Notes the route of a request.
pub(super) fn note_route(extensions: &Extensions) {
    if let Some((notes, route)) = extensions.get::<RequestNotes>().zip(extensions.get::<MatchedPath>()) {
        // A request has one route.
        let _ = notes.0.route.set(route.clone());
    }
}

/// Notes the key of a request.
pub(super) fn note_caller(extensions: &Extensions, caller: &Arc<Principal>) {
    if let Some(notes) = extensions.get::<RequestNotes>() {
        // A request has one key.
        let _ = notes.0.caller.set(caller.clone());
    }
}

/// The parameter of a handler without a guard: it notes the route, as guards do.
pub(super) struct NotedRoute;

impl<S: Send + Sync> FromRequestParts<S> for NotedRoute {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        note_route(&parts.extensions);
        Ok(Self)
    }
}
