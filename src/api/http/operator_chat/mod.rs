//! REST of operator chat: messages, users and notifications of a user token. A path of two dialects is answered in
//! the first one of the token's identity provider.
//!
//! The routes exist only while chat is enabled. A resource that the user may not see is answered like one
//! that does not exist.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, Extension, FromRequestParts, RawPathParams, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use utoipa::ToSchema;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::ApiState;
use super::error::ApiError;
use super::guard::{self, Caller};
use super::openapi;
use super::request_labels::label_route;
use crate::api::auth::{Failed, client_address, presented_key};
use crate::api::chat_cookies::rest_cookies;
use crate::api::connections::mark_authenticated;
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::dialect::Dialect;
use crate::service::OperatorChat;
use crate::service::operator_chat::{ChatAuthError, InboxCaller, SignedIn};

mod app_events;
pub(in crate::api) mod conversation_events;
mod conversations;
mod device_chats;
mod inbox;
mod inbox_conversations;
mod inbox_stats;
mod messages;
mod namespace_conversations;
mod namespace_messages;
pub(in crate::api) mod namespace_objects;
mod native_messages;
mod notifications;
pub(in crate::api) mod objects;
mod operators;
mod rooms;
mod underscore;
pub(in crate::api) mod underscore_objects;
mod upload_form;
mod uploads;
mod users;

/// The operations of operator chat.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(messages::routes())
        .merge(users::routes())
        .merge(notifications::routes())
        .merge(namespace_conversations::routes())
        .merge(namespace_messages::routes())
        .merge(underscore::routes())
        .merge(uploads::routes())
}

/// The native operations, under `/api/v1`.
pub fn native_routes() -> OpenApiRouter<ApiState> {
    inbox::routes()
        .merge(conversations::routes())
        .merge(rooms::routes())
        .merge(device_chats::routes())
        .merge(inbox_conversations::routes())
        .merge(conversation_events::routes())
        .merge(inbox_stats::routes())
        .merge(native_messages::routes())
        .merge(operators::routes())
        .merge(app_events::routes())
}

/// The user of a request, and the service.
#[derive(Clone)]
struct ChatCaller {
    chat: Arc<OperatorChat>,
    me: Arc<SignedIn>,
    /// The dialect of the answer.
    dialect: Dialect,
}

impl<S: Send + Sync> FromRequestParts<S> for ChatCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Absent only if a route was added without its guard.
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::Internal)
    }
}

/// Operations of the `root` dialect, with their refusals besides the usual ones.
fn signed_in(refusals: &[u16], routes: UtoipaMethodRouter<ApiState>) -> UtoipaMethodRouter<ApiState> {
    signed_in_to(Dialect::Root, refusals, routes)
}

/// Operations that need a user token of a dialect, with their refusals besides the usual ones.
fn signed_in_to(
    dialect: Dialect,
    refusals: &[u16],
    routes: UtoipaMethodRouter<ApiState>,
) -> UtoipaMethodRouter<ApiState> {
    signed_in_to_any(vec![dialect], refusals, routes)
}

/// Operations of several dialects.
fn signed_in_to_any(
    dialects: Vec<Dialect>,
    refusals: &[u16],
    routes: UtoipaMethodRouter<ApiState>,
) -> UtoipaMethodRouter<ApiState> {
    let dialects: Arc<[Dialect]> = dialects.into();
    let (schemas, mut paths, router) = routes;
    openapi::describe_user(&mut paths, refusals);
    let checked = from_fn(move |Extension(state): Extension<ApiState>, request: Request, next: Next| {
        check(state, dialects.clone(), request, next)
    });
    (schemas, paths, router.route_layer(checked))
}

/// The caller of a native operation, and the service.
#[derive(Clone)]
struct NativeCaller {
    chat: Arc<OperatorChat>,
    caller: InboxCaller,
}

impl<S: Send + Sync> FromRequestParts<S> for NativeCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        if let Some(ChatCaller { chat, me, .. }) = parts.extensions.get::<ChatCaller>().cloned() {
            return Ok(Self { chat, caller: InboxCaller::User(Box::new(me.user.clone())) });
        }
        // Absent only if a route was added without its guard.
        let state = parts.extensions.get::<ApiState>().ok_or(ApiError::Internal)?;
        let key = parts.extensions.get::<Caller>().ok_or(ApiError::Internal)?;
        let chat = state.services.chat.clone().ok_or(ApiError::NotFound)?;
        Ok(Self { chat, caller: InboxCaller::Key(key.devices().map(<[DeviceId]>::to_vec)) })
    }
}

/// Operations that need a user token or a key with `scope`, with their refusals besides the usual ones.
fn user_or_key(
    scope: Scope,
    refusals: &[u16],
    routes: UtoipaMethodRouter<ApiState>,
) -> UtoipaMethodRouter<ApiState> {
    let (schemas, mut paths, router) = routes;
    openapi::describe(&mut paths, Some(scope), refusals);
    openapi::describe_user_or_key(&mut paths);
    let check = move |state: Extension<ApiState>,
                      params: Result<RawPathParams, RawPathParamsRejection>,
                      request: Request,
                      next: Next| async move {
        let has_plain = state.0.services.chat.as_ref().is_some_and(|chat| chat.allows_plain_tokens());
        if has_user_token(&request, has_plain) {
            return check_native(state.0, request, next).await;
        }
        guard::check(Some(scope), state, params, request, next).await
    };
    (schemas, paths, router.route_layer(from_fn(check)))
}

/// Whether the credentials are a user token: an `Authorization: Bearer` in the form of a JWT, or a plain one.
fn has_user_token(request: &Request, has_plain: bool) -> bool {
    let headers = request.headers();
    if headers.contains_key("x-api-key") || headers.contains_key("apikey") {
        return false;
    }
    presented_key(headers, None)
        .is_some_and(|token| token.matches('.').count() == 2 || (has_plain && token.contains(':')))
}

/// Signs in with the token of any dialect.
async fn check_native(state: ApiState, mut request: Request, next: Next) -> Response {
    label_route(request.extensions());
    let Some(chat) = state.services.chat.clone() else { return ApiError::NotFound.into_response() };
    let token = presented_key(request.headers(), None);
    let mut dialect = Dialect::Root;
    let mut signed_in = chat.authenticate(dialect, token.as_deref()).await;
    for other in [Dialect::Namespace, Dialect::Underscore] {
        if matches!(signed_in, Err(ChatAuthError::Invalid)) {
            dialect = other;
            signed_in = chat.authenticate(dialect, token.as_deref()).await;
        }
    }
    match signed_in {
        Ok(me) => {
            mark_authenticated(request.extensions());
            request.extensions_mut().insert(ChatCaller { chat, me: Arc::new(me), dialect });
            next.run(request).await
        }
        Err(error) => refusal(&state, &request, error).into_response(),
    }
}

async fn check(state: ApiState, dialects: Arc<[Dialect]>, mut request: Request, next: Next) -> Response {
    label_route(request.extensions());
    let Some(chat) = state.services.chat.clone() else { return ApiError::NotFound.into_response() };
    let signed_in = match presented_token(&request) {
        Some(token) => chat.authenticate_in(&dialects, Some(&token)).await,
        None => {
            let (headers, extensions) = (request.headers(), request.extensions());
            let cookies = rest_cookies(&chat, &state.config, request.method(), headers, extensions);
            chat.authenticate_by_cookie(&dialects, &cookies).await
        }
    };
    match signed_in {
        Ok((me, dialect)) => {
            mark_authenticated(request.extensions());
            request.extensions_mut().insert(ChatCaller { chat, me: Arc::new(me), dialect });
            next.run(request).await
        }
        Err(error) => refusal(&state, &request, error).into_response(),
    }
}

/// The token of a request; an empty header counts as absent.
fn presented_token(request: &Request) -> Option<String> {
    let token = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    Some(token.to_owned()).filter(|token| !token.trim().is_empty())
}

fn refusal(state: &ApiState, request: &Request, error: ChatAuthError) -> ApiError {
    match error {
        ChatAuthError::Invalid => count_failed(state, request),
        ChatAuthError::TooManyUsers(limit) => {
            tracing::warn!(limit, "chat user refused: the identity has too many users");
            ApiError::UserTokenInvalid
        }
        ChatAuthError::KeysUnavailable => ApiError::UserKeysUnavailable,
        ChatAuthError::Service(error) => error.into(),
    }
}

/// Counts a failed login, and returns the error to answer.
fn count_failed(state: &ApiState, request: &Request) -> ApiError {
    state.services.metrics().auth_failures.inc();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let address = client_address(peer, request.headers(), &state.config.trusted_proxies);
    match state.tries.count(address, state.services.now()) {
        Failed::Counted => ApiError::UserTokenInvalid,
        Failed::TooMany { retry_after_seconds } => ApiError::TooManyFailedTries { retry_after_seconds },
    }
}

/// An id: a text or a whole number.
#[derive(ToSchema)]
#[schema(as = ChatId)]
#[serde(untagged)]
#[expect(dead_code, reason = "only in the OpenAPI document")]
enum LooseId {
    Text(String),
    Number(i64),
}

/// An id that is a text or a whole number.
#[derive(Deserialize)]
#[serde(untagged, expecting = "must be an id")]
enum IdValue {
    Text(String),
    Number(i64),
}

impl IdValue {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

/// Reads an id that is a text or a whole number.
fn loose_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<IdValue>::deserialize(deserializer)?.map(IdValue::into_text))
}

/// The client's own id of a message as JSON: a text or a number.
fn temp_id(value: Option<&Json>) -> Result<Option<String>, ApiError> {
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(id @ (Json::String(_) | Json::Number(_))) => Ok(Some(id.to_string())),
        Some(_) => Err(ApiError::field("tempId", "must be a text or a number")),
    }
}

/// Reads a list of ids that are texts or whole numbers.
fn loose_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let ids = Option::<Vec<IdValue>>::deserialize(deserializer)?;
    Ok(ids.map(|ids| ids.into_iter().map(IdValue::into_text).collect()))
}
