//! One library client for one connection.
//!
//! The client is made anew for each: it begins with what is in the vault, and its caches, tasks and queues end
//! with it. Its own reconnecting is off.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use whatsapp_rust::bot::Bot;
use whatsapp_rust::store::Backend;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;
use whatsapp_rust::wacore::store::DevicePropsOverride;
use whatsapp_rust::waproto::whatsapp::device_props::PlatformType;

use super::Shared;
use super::durable::Hook;
use super::http::Http;
use super::pump::Listener;
use super::runtime::Tasks;
use super::settings::{DeviceSettings, History};

/// The version that is claimed to the testbed, which takes any.
#[cfg(feature = "testbed")]
const TESTBED_VERSION: (u32, u32, u32) = (2, 3000, 1_000_000_000);

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the engine's library could not be set up")]
pub(super) struct BuildError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Makes a client that is connected by running it.
///
/// # Errors
/// When what is stored of it cannot be read.
pub(super) async fn build(
    shared: &Shared,
    settings: &DeviceSettings,
    backend: Arc<dyn Backend>,
    tasks: &Tasks,
    hook: Hook,
    listener: Listener,
) -> Result<Bot, BuildError> {
    let builder = Bot::builder()
        .with_backend_arc(backend)
        .with_transport_factory(transport(shared))
        .with_http_client(Http::new(shared.http.clone()))
        .with_runtime(tasks.runtime())
        .with_device_props(
            DevicePropsOverride::new()
                .with_os(settings.device_name.as_str())
                .with_platform_type(PlatformType::CHROME)
                .with_require_full_sync(settings.history == History::Full),
        )
        .with_inbound_durability_hook(hook)
        .with_event_handler(listener);
    let builder = if settings.history == History::None { builder.skip_history_sync() } else { builder };
    let builder = match version(shared, settings) {
        Some(version) => builder.with_version(version),
        None => builder,
    };
    let bot = builder.build().await.map_err(|error| BuildError(Box::new(error)))?;
    bot.client().enable_auto_reconnect.store(false, Ordering::Relaxed);
    Ok(bot)
}

#[cfg(feature = "testbed")]
fn transport(shared: &Shared) -> TokioWebSocketTransportFactory {
    match &shared.testbed {
        Some(url) => TokioWebSocketTransportFactory::new().with_url(super::testbed::socket_url(url)),
        None => TokioWebSocketTransportFactory::new(),
    }
}

#[cfg(not(feature = "testbed"))]
fn transport(_shared: &Shared) -> TokioWebSocketTransportFactory {
    TokioWebSocketTransportFactory::new()
}

#[cfg(feature = "testbed")]
fn version(shared: &Shared, settings: &DeviceSettings) -> Option<(u32, u32, u32)> {
    settings.version.or_else(|| shared.testbed.is_some().then_some(TESTBED_VERSION))
}

#[cfg(not(feature = "testbed"))]
fn version(_shared: &Shared, settings: &DeviceSettings) -> Option<(u32, u32, u32)> {
    settings.version
}
