//! Authentication and authorization of every operation: key or dashboard session, scope, device. One call, [`guarded`], enforces
//! and documents them, so that both agree.
//!
//! Invariants: keys are verified before anything else is read; a device outside a key's list is refused
//! in the same way whether it exists or not.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Extension, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use utoipa_axum::router::UtoipaMethodRouter;

use super::ApiState;
use super::error::ApiError;
use super::openapi;
use super::request_labels::{label_caller, label_route};
use crate::api::auth::{Failed, client_address, presented_key};
use crate::api::connections::mark_authenticated;
use crate::api::session_cookie::CookieRequest;
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::service::{Principal, ServiceError};

/// The header with the ticket of a link with a passkey.
pub const TICKET_HEADER: &str = "x-passkey-ticket";

/// The key of a request.
#[derive(Clone)]
pub struct Caller(pub Arc<Principal>);

impl Caller {
    /// The devices of the key; `None` for all.
    #[must_use]
    pub fn devices(&self) -> Option<&[DeviceId]> {
        self.0.grant.devices.as_deref()
    }

    /// Checks that the key is for this device.
    ///
    /// # Errors
    /// When it is not.
    pub fn reach(&self, device: &DeviceId) -> Result<(), ApiError> {
        if self.0.grant.reaches(device) { Ok(()) } else { Err(ApiError::DeviceNotAllowed) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Absent only if a route was added without its guard.
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::Internal)
    }
}

/// Operations that need `scope`, with their refusals besides the usual ones.
pub fn guarded(
    scope: Scope,
    refusals: &[u16],
    routes: UtoipaMethodRouter<ApiState>,
) -> UtoipaMethodRouter<ApiState> {
    let (schemas, mut paths, router) = routes;
    openapi::describe(&mut paths, Some(scope), refusals);
    (schemas, paths, guarded_route(scope, router))
}

/// Operations that need any valid key or session.
pub fn authenticated(refusals: &[u16], routes: UtoipaMethodRouter<ApiState>) -> UtoipaMethodRouter<ApiState> {
    let (schemas, mut paths, router) = routes;
    openapi::describe(&mut paths, None, refusals);
    let check = move |state, params, request, next| check(None, state, params, request, next);
    (schemas, paths, router.route_layer(from_fn(check)))
}

/// Operations on the file of a message, which need `scope`, or a signature in the query instead of a key.
pub fn guarded_or_signed(
    scope: Scope,
    refusals: &[u16],
    routes: UtoipaMethodRouter<ApiState>,
) -> UtoipaMethodRouter<ApiState> {
    let (schemas, mut paths, router) = routes;
    openapi::describe(&mut paths, Some(scope), refusals);
    openapi::describe_signed(&mut paths);
    let check = move |state, params, request, next| check_or_signed(scope, state, params, request, next);
    (schemas, paths, router.route_layer(from_fn(check)))
}

/// Operations on the passkey step of a device, which need `scope`, or a ticket in [`TICKET_HEADER`] instead of a
/// key.
pub fn guarded_or_ticket(
    scope: Scope,
    refusals: &[u16],
    routes: UtoipaMethodRouter<ApiState>,
) -> UtoipaMethodRouter<ApiState> {
    let (schemas, mut paths, router) = routes;
    openapi::describe(&mut paths, Some(scope), refusals);
    openapi::describe_ticket(&mut paths);
    let check = move |state, params, request, next| check_or_ticket(scope, state, params, request, next);
    (schemas, paths, router.route_layer(from_fn(check)))
}

/// A route that needs `scope` and is not in the document.
pub fn guarded_route(scope: Scope, router: MethodRouter<ApiState>) -> MethodRouter<ApiState> {
    let check = move |state, params, request, next| check(Some(scope), state, params, request, next);
    router.route_layer(from_fn(check))
}

/// Lets a request through whose key or session has `scope`.
pub async fn check(
    scope: Option<Scope>,
    Extension(state): Extension<ApiState>,
    params: Result<RawPathParams, axum::extract::rejection::RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    label_route(request.extensions());
    let caller = match authenticate(&state, &request) {
        Ok(principal) => Caller(Arc::new(principal)),
        Err(error) => return error.into_response(),
    };
    label_caller(request.extensions(), &caller.0);
    if let Err(error) = allow(scope, &caller, params.ok().as_ref()) {
        return error.into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

async fn check_or_signed(
    scope: Scope,
    Extension(state): Extension<ApiState>,
    params: Result<RawPathParams, axum::extract::rejection::RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    label_route(request.extensions());
    let signature = signature(request.uri().query().unwrap_or_default());
    let (Some(signature), None) = (signature, presented_key(request.headers(), None)) else {
        return check(Some(scope), Extension(state), params, request, next).await;
    };
    let param = |requested: &str| {
        let found = params.as_ref().ok()?.iter().find(|(name, _)| *name == requested)?;
        Some(found.1.to_owned())
    };
    let device = param("id").and_then(|id| id.parse().ok());
    let message = param("mid").and_then(|id| id.parse().ok());
    let valid = match device.zip(message) {
        Some((device, message)) => state.services.media.is_media_link(&device, &message, &signature).await,
        None => Ok(false),
    };
    run_if_valid(valid, ApiError::SignatureInvalid, &state, request, next).await
}

async fn check_or_ticket(
    scope: Scope,
    Extension(state): Extension<ApiState>,
    params: Result<RawPathParams, axum::extract::rejection::RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    label_route(request.extensions());
    let ticket = request.headers().get(TICKET_HEADER).and_then(|ticket| ticket.to_str().ok());
    let (Some(ticket), None) = (ticket.map(str::to_owned), presented_key(request.headers(), None)) else {
        return check(Some(scope), Extension(state), params, request, next).await;
    };
    let id = params.as_ref().ok().and_then(|params| params.iter().find(|(name, _)| *name == "id"));
    let device: Option<DeviceId> = id.and_then(|(_, id)| id.parse().ok());
    let valid = match device {
        Some(device) => state.services.fleet.is_passkey_ticket(&device, &ticket).await,
        None => Ok(false),
    };
    run_if_valid(valid, ApiError::TicketInvalid, &state, request, next).await
}

/// Lets a request through whose proof is valid, and counts a failed login otherwise.
async fn run_if_valid(
    valid: Result<bool, ServiceError>,
    refusal: ApiError,
    state: &ApiState,
    request: Request,
    next: Next,
) -> Response {
    match valid {
        Ok(true) => {
            mark_authenticated(request.extensions());
            next.run(request).await
        }
        Ok(false) => count_failed(state, request.headers(), request.extensions(), refusal).into_response(),
        Err(error) => ApiError::from(error).into_response(),
    }
}

fn signature(query: &str) -> Option<String> {
    let mut fields = url::form_urlencoded::parse(query.as_bytes());
    let signature = fields.find(|(name, _)| name == "signature").map(|(_, value)| value.into_owned());
    signature.filter(|signature| !signature.is_empty())
}

fn authenticate(state: &ApiState, request: &Request) -> Result<Principal, ApiError> {
    let access = &state.services.access;
    let principal = match presented_key(request.headers(), None) {
        Some(key) => access.authenticate(&key).map_err(|error| {
            count_failed(state, request.headers(), request.extensions(), ApiError::KeyInvalid(error))
        })?,
        None => {
            let cookie = CookieRequest { headers: request.headers(), extensions: request.extensions() };
            let principal = cookie.principal(access, &state.config.own_origin, request.method());
            principal.ok_or(ApiError::KeyMissing)?
        }
    };
    mark_authenticated(request.extensions());
    Ok(principal)
}

/// Counts a failed login, and returns the error to answer.
pub fn count_failed(
    state: &ApiState,
    headers: &HeaderMap,
    extensions: &Extensions,
    error: ApiError,
) -> ApiError {
    state.services.metrics().auth_failures.inc();
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let address = client_address(peer, headers, &state.config.trusted_proxies);
    match state.tries.count(address, state.services.now()) {
        Failed::Counted => error,
        Failed::TooMany { retry_after_seconds } => ApiError::TooManyFailedTries { retry_after_seconds },
    }
}

/// The handler refuses an invalid path parameter; no device has such an id.
fn allow(scope: Option<Scope>, caller: &Caller, params: Option<&RawPathParams>) -> Result<(), ApiError> {
    if let Some(scope) = scope.filter(|scope| !caller.0.grant.allows(*scope)) {
        return Err(ApiError::MissingScope(scope));
    }
    let device = params.into_iter().flatten().find(|(name, _)| *name == "id").map(|(_, id)| id);
    match device.and_then(|id| id.parse().ok()) {
        Some(device) => caller.reach(&device),
        None => Ok(()),
    }
}
