//! The route and the key of a request, for the log and the metrics. The router sets both.

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
pub(super) struct RequestLabels(Arc<Labels>);

#[derive(Default)]
struct Labels {
    route: OnceLock<MatchedPath>,
    caller: OnceLock<Arc<Principal>>,
}

impl RequestLabels {
    pub(super) fn route(&self) -> Option<&str> {
        self.0.route.get().map(MatchedPath::as_str)
    }

    /// The public part of the key.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.0.caller.get().map(|caller| caller.key_id.as_str())
    }
}

/// Records the route of a request.
pub(super) fn label_route(extensions: &Extensions) {
    if let Some((labels, route)) = extensions.get::<RequestLabels>().zip(extensions.get::<MatchedPath>()) {
        // A request has one route.
        let _ = labels.0.route.set(route.clone());
    }
}

/// Records the key of a request.
pub(super) fn label_caller(extensions: &Extensions, caller: &Arc<Principal>) {
    if let Some(labels) = extensions.get::<RequestLabels>() {
        // A request has one key.
        let _ = labels.0.caller.set(caller.clone());
    }
}

/// The parameter of a handler without a guard: it records the route, as guards do.
pub(super) struct LabelledRoute;

impl<S: Send + Sync> FromRequestParts<S> for LabelledRoute {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        label_route(&parts.extensions);
        Ok(Self)
    }
}
