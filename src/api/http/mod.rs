//! REST and the dashboard: one file for each resource, path = URL = verb.
//!
//! A request passes the layers ([`layers`]), the guard of its operation ([`guard`]: key, scope, device),
//! the extractors ([`input`]) and its handler, which calls the service. [`error`] maps errors to answers.
//! The OpenAPI document is made of the attributes of the handlers and of their guards.

use std::sync::Arc;

use axum::extract::FromRef;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::auth::FailedLogins;
use super::{ApiConfig, KeyStreams};
use crate::domain::ids::DeviceId;
use crate::domain::log_throttle::LogThrottle;
use crate::service::Services;

mod callbacks;
mod chats;
mod contacts;
mod dashboard;
mod devices;
mod docs;
mod envelope;
mod error;
mod events;
mod groups;
mod guard;
mod health;
pub(in crate::api) mod input;
mod keys;
mod layers;
mod media;
pub(in crate::api) mod messages;
mod notifications;
mod openapi;
mod operator;
pub(in crate::api) mod operator_chat;
mod paging;
mod passkey_extension;
mod probes;
mod queue;
mod request_labels;
mod routes;
pub(in crate::api) mod schema;
mod session;
mod settings;
mod simulator;
mod stats;
mod webhooks;

pub use callbacks::CallbackLimits;
pub use error::{ApiError, FieldError};
pub use layers::Rest;

/// The state of handlers. A clone costs one reference count: each layer makes one for each request.
#[derive(Clone)]
pub struct ApiState(Arc<ApiParts>);

impl std::ops::Deref for ApiState {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0
    }
}

/// The parts that [`ApiState`] shares.
pub struct ApiParts {
    /// The use cases.
    pub services: Services,
    /// The configuration.
    pub config: Arc<ApiConfig>,
    /// Failed logins.
    pub tries: Arc<FailedLogins>,
    /// The open streams of each key.
    pub streams: Arc<KeyStreams>,
    /// The callbacks that are read or ingested.
    pub callbacks: Arc<callbacks::CallbackReads>,
    /// The throttle of the log messages of refused callbacks, by device and code.
    pub refused_callbacks: Arc<LogThrottle<(DeviceId, &'static str)>>,
}

impl FromRef<ApiState> for Services {
    fn from_ref(state: &ApiState) -> Self {
        state.services.clone()
    }
}

impl FromRef<ApiState> for Arc<ApiConfig> {
    fn from_ref(state: &ApiState) -> Self {
        Arc::clone(&state.config)
    }
}

/// REST, the probes and the documentation.
pub fn rest(
    services: Services,
    config: Arc<ApiConfig>,
    tries: Arc<FailedLogins>,
    streams: Arc<KeyStreams>,
) -> Rest {
    let (routes, document) = documented(services.chat.is_some()).split_for_parts();
    let mut routes = routes.merge(docs::routes(&document)).merge(notifications::assets());
    routes = routes.merge(passkey_extension::routes());
    if config.dashboard_enabled {
        routes = routes.merge(dashboard::routes());
    }
    let callbacks = callbacks::CallbackReads::new(config.callbacks);
    let parts = ApiParts { services, config, tries, streams, callbacks, refused_callbacks: Arc::default() };
    Rest::new(routes, ApiState(Arc::new(parts)))
}

/// The documented operations, and the document.
fn documented(with_chat: bool) -> OpenApiRouter<ApiState> {
    let api = OpenApiRouter::new()
        .merge(devices::routes())
        .merge(messages::routes())
        .merge(media::routes())
        .merge(chats::routes())
        .merge(contacts::routes())
        .merge(groups::routes())
        .merge(events::routes())
        .merge(queue::routes())
        .merge(health::routes())
        .merge(stats::routes())
        .merge(keys::routes())
        .merge(session::routes())
        .merge(settings::routes())
        .merge(webhooks::routes())
        .merge(notifications::routes())
        .merge(simulator::routes());
    let api = if with_chat { api.merge(operator_chat::native_routes()) } else { api };
    let mut all = OpenApiRouter::with_openapi(openapi::frame())
        .nest("/api/v1", api)
        .merge(callbacks::routes())
        .merge(probes::routes());
    if with_chat {
        all = all.merge(operator_chat::routes());
    }
    openapi::finish(all.get_openapi_mut());
    all
}

fn document() -> OpenApi {
    documented(true).into_openapi()
}

/// See [`super::openapi_json`].
#[must_use]
pub fn openapi_json() -> String {
    as_json(&document())
}

fn as_json(document: &OpenApi) -> String {
    let mut text = document.to_pretty_json().unwrap_or_else(|error| {
        // Not reached: the document is plain data.
        tracing::error!(%error, "OpenAPI document not serialised");
        String::new()
    });
    text.push('\n');
    text
}
