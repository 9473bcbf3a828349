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

const DEVICES: [Row; 1] =
    [("/devices/{id}/pairing-code", by_post, Scope::DevicesWrite, "linking by a pairing code")];

const MESSAGES: [Row; 4] = [
    ("/devices/{id}/media", by_post, Scope::MessagesSend, "media support"),
    ("/devices/{id}/messages/{mid}/media/info", by_get, Scope::MessagesRead, "media support"),
    ("/devices/{id}/messages/{mid}/media/download", by_get, Scope::MessagesRead, "media support"),
    ("/devices/{id}/messages/{mid}/media/thumbnail", by_get, Scope::MessagesRead, "media support"),
];

const CHATS: [Row; 6] = [
    ("/devices/{id}/chats/{chatId}", by_delete, Scope::MessagesSend, "deleting a chat"),
    ("/devices/{id}/chats/{chatId}/archive", by_post, Scope::MessagesSend, "archiving"),
    ("/devices/{id}/chats/{chatId}/unarchive", by_post, Scope::MessagesSend, "archiving"),
    ("/devices/{id}/chats/{chatId}/clear", by_post, Scope::MessagesSend, "clearing a chat"),
    ("/devices/{id}/chats/{chatId}/pin", by_post, Scope::MessagesSend, "pinning"),
    ("/devices/{id}/chats/{chatId}/mute", by_post, Scope::MessagesSend, "muting"),
];

const GROUPS: [Row; 4] = [
    ("/devices/{id}/groups", by_get, Scope::MessagesRead, "the group API"),
    ("/devices/{id}/groups", by_change, Scope::MessagesSend, "the group API"),
    ("/devices/{id}/groups/{*rest}", by_get, Scope::MessagesRead, "the group API"),
    ("/devices/{id}/groups/{*rest}", by_change, Scope::MessagesSend, "the group API"),
];

const FLEET: [Row; 8] = [
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
    let rows = DEVICES.iter().chain(&MESSAGES).chain(&CHATS).chain(&GROUPS).chain(&FLEET);
    rows.fold(Router::new(), |router, (path, method, scope, what)| {
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

fn by_delete(what: &'static str) -> Route {
    delete(move || refuse(what))
}

/// Everything that changes something.
fn by_change(what: &'static str) -> Route {
    by_post(what).merge(by_put(what)).merge(by_delete(what)).merge(patch(move || refuse(what)))
}

async fn refuse(what: &'static str) -> ApiError {
    ApiError::NotBuilt(what.to_owned())
}
