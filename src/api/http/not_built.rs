//! What the contract promises and a later version keeps: 501 `not_implemented`, behind the same key and
//! scope as it will have. Not in the OpenAPI document.

use axum::Router;
use axum::routing::{MethodRouter, delete, get, patch, post, put};

use super::ApiState;
use super::error::ApiError;
use super::guard::guarded_route;
use crate::domain::access::Scope;

type Route = MethodRouter<ApiState>;

/// One row: a path under `/api/v1`, how it is called, the scope it needs, and what it is.
type Row = (&'static str, fn(&'static str) -> Route, Scope, &'static str);

const WEBHOOKS: [Row; 8] = [
    ("/webhooks", by_get, Scope::DevicesRead, "the webhook API"),
    ("/webhooks", by_change, Scope::DevicesWrite, "the webhook API"),
    ("/webhooks/{*rest}", by_get, Scope::DevicesRead, "the webhook API"),
    ("/webhooks/{*rest}", by_change, Scope::DevicesWrite, "the webhook API"),
    ("/devices/{id}/webhooks", by_get, Scope::DevicesRead, "the webhook API"),
    ("/devices/{id}/webhooks", by_change, Scope::DevicesWrite, "the webhook API"),
    ("/devices/{id}/webhooks/{*rest}", by_get, Scope::DevicesRead, "the webhook API"),
    ("/devices/{id}/webhooks/{*rest}", by_change, Scope::DevicesWrite, "the webhook API"),
];

/// All rows, relative to `/api/v1`.
pub fn routes() -> Router<ApiState> {
    WEBHOOKS.iter().fold(Router::new(), |router, (path, method, scope, what)| {
        router.route(path, guarded_route(*scope, method(what)))
    })
}

fn by_get(what: &'static str) -> Route {
    get(move || refuse(what))
}

fn by_post(what: &'static str) -> Route {
    post(move || refuse(what))
}

fn by_put(what: &'static str) -> Route {
    put(move || refuse(what))
}

/// Everything that changes something.
fn by_change(what: &'static str) -> Route {
    by_post(what).merge(by_put(what)).merge(delete(move || refuse(what))).merge(patch(move || refuse(what)))
}

async fn refuse(what: &'static str) -> ApiError {
    ApiError::NotBuilt(what.to_owned())
}
