//! The session of a caller: who it is and what the daemon offers; sign-in and sign-out of the dashboard.

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::Success;
use super::error::ApiError;
use super::guard::{Caller, authenticated, count_failed};
use super::input::{Body, Request};
use super::keys::ScopeWord;
use super::openapi;
use super::request_labels::LabelledRoute;
use crate::api::connections::mark_authenticated;
use crate::api::own_origin::Initiator;
use crate::api::session_cookie::CookieRequest;
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::service::{Capabilities, Principal};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    let (schemas, mut paths, router) = routes!(sign_in);
    openapi::describe_open(&mut paths, &[400, 401, 403, 413, 415, 429, 503]);
    OpenApiRouter::new()
        .routes((schemas, paths, router))
        .routes(authenticated(&[], routes!(show)))
        .routes(authenticated(&[], routes!(sign_out)))
}

/// A sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "apiKey": "whf_k3v9x2m7q1zd_0f9b…" }))]
struct SignIn {
    /// The API key.
    #[schema(min_length = 1, max_length = 512)]
    api_key: String,
}

impl Request for SignIn {}

/// A caller and its daemon.
#[derive(Serialize, ToSchema)]
#[schema(as = CurrentSession)]
struct SessionObject {
    /// The key of the request or of its dashboard session.
    key: SessionKey,
    /// The dashboard session; `null` for a request with a key.
    session: Option<SessionEnd>,
    /// The daemon.
    server: ServerObject,
}

/// The key of a caller.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionKey {
    /// Its public part.
    #[schema(example = "k3v9x2m7q1zd")]
    id: String,
    /// Its name.
    #[schema(example = "Dashboard")]
    name: String,
    /// Its permissions.
    #[schema(value_type = Vec<ScopeWord>)]
    scopes: Vec<Scope>,
    /// Its devices; all devices when `null`.
    #[schema(value_type = Option<Vec<String>>)]
    devices: Option<Vec<DeviceId>>,
    /// The end of its validity.
    #[schema(value_type = Option<i64>)]
    expires_at: Option<Millis>,
}

/// A dashboard session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionEnd {
    /// Its end without a further request.
    #[schema(value_type = i64)]
    expires_at: Millis,
}

/// What the daemon offers a caller.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ServerObject {
    /// Its version.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Its engines, by name.
    engines: Vec<EngineObject>,
    /// The engine of a device that names none.
    #[schema(example = "simulator")]
    default_engine: String,
    /// The limits of requests.
    limits: ServerLimits,
    /// Web push.
    push: PushObject,
    /// Whether the simulator's control API exists.
    simulator: bool,
    /// Whether operator chat is enabled.
    operator_chat: bool,
    /// The URL path of the Socket.IO server.
    #[schema(example = "/ws")]
    socket_path: String,
    /// The daemon's clock.
    #[schema(value_type = i64)]
    time: Millis,
}

/// An engine.
#[derive(Serialize, ToSchema)]
struct EngineObject {
    /// Its name.
    #[schema(example = "simulator")]
    name: &'static str,
    /// What it supports.
    capabilities: CapabilitiesObject,
}

impl From<(&'static str, Capabilities)> for EngineObject {
    fn from((name, capabilities): (&'static str, Capabilities)) -> Self {
        Self { name, capabilities: capabilities.into() }
    }
}

/// The features that an engine supports.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CapabilitiesObject {
    /// Links by QR code.
    qr: bool,
    /// Links by a pairing code.
    pairing_code: bool,
    /// Links accounts whose network asks for a passkey.
    passkey: bool,
    /// Typing indicators.
    typing: bool,
    /// Presence of contacts.
    presence: bool,
    /// Read receipts.
    read_receipts: bool,
    /// Group requests and events.
    groups: bool,
    /// Attachments in both directions.
    media: bool,
    /// Locations in both directions.
    location: bool,
    /// Contact cards.
    contacts: bool,
    /// Polls and votes.
    polls: bool,
    /// Messages from approved templates.
    templates: bool,
    /// Edits of sent texts.
    edit: bool,
    /// Reactions to messages.
    react: bool,
    /// Revoking sent messages for everyone.
    revoke: bool,
    /// A control API for tests and demonstrations.
    control: bool,
}

impl From<Capabilities> for CapabilitiesObject {
    fn from(can: Capabilities) -> Self {
        Self {
            qr: can.qr,
            pairing_code: can.pairing_code,
            passkey: can.passkey,
            typing: can.typing,
            presence: can.presence,
            read_receipts: can.read_receipts,
            groups: can.groups,
            media: can.media,
            location: can.location,
            contacts: can.contacts,
            polls: can.polls,
            templates: can.templates,
            edit: can.edit,
            react: can.react,
            revoke: can.revoke,
            control: can.control,
        }
    }
}

/// Limits of requests.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ServerLimits {
    /// Devices that may exist.
    #[schema(example = 1000)]
    max_devices: usize,
    /// Bytes of the largest file of a message.
    #[schema(example = 67_108_864)]
    media_max_bytes: u64,
    /// Bytes of the largest request body, apart from files.
    #[schema(example = 6_291_456)]
    body_max_bytes: usize,
    /// Characters of the longest text.
    #[schema(example = 65_536)]
    text_max_chars: usize,
}

/// Web push.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PushObject {
    /// `applicationServerKey` of `pushManager.subscribe`; `null` while the daemon starts.
    #[schema(
        example = "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"
    )]
    public_key: Option<String>,
}

/// Sign in to the dashboard
///
/// Exchanges an API key for a session, whose cookie replaces the key in requests of pages of the daemon's own
/// origin. The session ends after 12 hours without a request, after 7 days, or with the key. A key has at most
/// 20 sessions; a further one replaces the one that was not used for the longest time. Pages of other origins
/// are refused.
#[utoipa::path(post, path = "/session", operation_id = "createSession", tag = "session",
    request_body = SignIn,
    responses((status = 200, description = "The session, with its cookie", body = Success<SessionObject>,
        headers(("Set-Cookie" = String, description = "The cookie `wharf_session_…`")))))]
async fn sign_in(
    _: LabelledRoute,
    State(state): State<ApiState>,
    parts: Parts,
    Body(body): Body<SignIn>,
) -> Result<Response, ApiError> {
    let own_origin = &state.config.own_origin;
    if own_origin.initiator(&parts.headers, &parts.extensions) == Initiator::OtherPage {
        return Err(ApiError::ForeignOrigin);
    }
    let access = &state.services.access;
    let authenticated = access.authenticate(body.api_key.trim());
    let key = authenticated.map_err(|error| {
        count_failed(&state, &parts.headers, &parts.extensions, ApiError::KeyInvalid(error))
    })?;
    mark_authenticated(&parts.extensions);
    let new = access.open_session(&key).await?;
    let request = CookieRequest { headers: &parts.headers, extensions: &parts.extensions };
    let times = (new.session.created_at, new.session.ends_at);
    let cookie = request.set(access, own_origin, &new.token, times);
    Ok((with_cookie(cookie), Success::new(session(&state, &new.principal))).into_response())
}

/// Show the session
///
/// The key of the request or of its dashboard session, and what the daemon offers.
#[utoipa::path(get, path = "/session", operation_id = "getSession", tag = "session",
    responses((status = 200, description = "The caller and its daemon", body = Success<SessionObject>)))]
async fn show(caller: Caller, State(state): State<ApiState>) -> Success<SessionObject> {
    Success::new(session(&state, &caller.0))
}

/// A sign-out.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SignOut {
    /// Whether a session ended; `false` for a request with a key.
    #[schema(example = true)]
    signed_out: bool,
}

/// Sign out of the dashboard
///
/// Ends the session of the cookie, with its sockets and streams.
#[utoipa::path(delete, path = "/session", operation_id = "deleteSession", tag = "session",
    responses((status = 200, description = "The session has ended", body = Success<SignOut>)))]
async fn sign_out(caller: Caller, State(state): State<ApiState>, parts: Parts) -> Result<Response, ApiError> {
    let access = &state.services.access;
    let signed_out = access.end_session(&caller.0).await?;
    let request = CookieRequest { headers: &parts.headers, extensions: &parts.extensions };
    let cookie = signed_out.then(|| request.clear(access, &state.config.own_origin)).flatten();
    Ok((with_cookie(cookie), Success::new(SignOut { signed_out })).into_response())
}

fn with_cookie(cookie: Option<HeaderValue>) -> HeaderMap {
    cookie.map(|cookie| (SET_COOKIE, cookie)).into_iter().collect()
}

fn session(state: &ApiState, principal: &Principal) -> SessionObject {
    let (services, config) = (&state.services, &state.config);
    let session = services.access.session_of(principal);
    SessionObject {
        key: SessionKey {
            id: principal.key_id.clone(),
            name: principal.name.clone(),
            scopes: principal.grant.scopes.clone(),
            devices: principal.grant.devices.clone(),
            expires_at: services.access.key_expiry(principal),
        },
        session: session.map(|session| SessionEnd { expires_at: session.expires_at() }),
        server: ServerObject {
            version: env!("CARGO_PKG_VERSION"),
            engines: services.registry.engine_capabilities().into_iter().map(EngineObject::from).collect(),
            default_engine: config.default_engine.clone(),
            limits: ServerLimits {
                max_devices: config.max_devices,
                media_max_bytes: config.media_max_bytes,
                body_max_bytes: config.body_limit,
                text_max_chars: config.text_max_chars,
            },
            push: PushObject { public_key: services.notify.push_key().ok() },
            simulator: config.simulator_enabled,
            operator_chat: services.chat.is_some(),
            socket_path: config.socket_path.clone(),
            time: services.now(),
        },
    }
}
