//! Builds the library's client for one connection. Each connection starts from the vault with a new client;
//! caches, tasks and queues end with it, and its own reconnecting is off.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use whatsapp_rust::store::Backend;
use whatsapp_rust::store::commands::DeviceCommand;
use whatsapp_rust::store::persistence_manager::PersistenceManager;
use whatsapp_rust::sync_task::MajorSyncTask;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;
use whatsapp_rust::wacore::store::DevicePropsOverride;
use whatsapp_rust::waproto::whatsapp::device_props::PlatformType;
use whatsapp_rust::{CacheConfig, CacheEntryConfig};
use whatsapp_rust::{Client, async_channel};

use super::boxed::boxed;
use super::driver_state::DriverState;
use super::event_queue::EventListener;
use super::http::LibraryHttpClient;
use super::inbound::DurabilityHook;
use super::runtime::Tasks;
use super::settings::{DeviceSettings, History};

/// The version sent to the testbed, which accepts any.
#[cfg(feature = "testbed")]
const TESTBED_VERSION: (u32, u32, u32) = (2, 3000, 1_000_000_000);

/// Interval at which the library checks for unsaved device state; the library's default.
const SAVE: Duration = Duration::from_secs(30);

/// Copies that members of one group may request of messages they could not decrypt: at once, and per minute.
/// The library's limits, 20 and 10, leave some members without a copy after a phone reconnects. WhatsApp Web
/// has no limit (`whatsapp-rust` 0.7.0, `client/accessors.rs`, `set_resend_rate_limit`).
const RESENT_AT_ONCE: u32 = 240;
const RESENT_PER_MINUTE: u32 = 60;

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the WhatsApp library could not be set up")]
pub(super) struct BuildError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// A client and its history downloads.
pub(super) struct BuiltClient {
    /// Running it connects it.
    pub(super) client: Arc<Client>,
    /// Parts of the history that are to be downloaded.
    pub(super) tasks: async_channel::Receiver<MajorSyncTask>,
}

/// Builds a client.
///
/// # Errors
/// If its stored state cannot be read.
pub(super) async fn build(
    shared: &DriverState,
    settings: &DeviceSettings,
    backend: Arc<dyn Backend>,
    tasks: &Tasks,
    hook: DurabilityHook,
    listener: EventListener,
) -> Result<BuiltClient, BuildError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| BuildError(error);
    let stored = boxed(PersistenceManager::new(backend)).await.map_err(|error| failed(Box::new(error)))?;
    let props = DevicePropsOverride::new()
        .with_os(settings.device_name.as_str())
        .with_platform_type(PlatformType::CHROME)
        .with_require_full_sync(settings.history == History::Full);
    boxed(stored.process_command(DeviceCommand::SetDeviceProps(props))).await;
    let builder = Client::builder()
        .with_runtime(tasks.runtime())
        .with_persistence_manager(Arc::new(stored))
        .with_transport_factory(transport(shared))
        .with_http_client(LibraryHttpClient::new(shared.http.clone()))
        .with_inbound_durability_hook(hook)
        .with_skip_history_sync(settings.history == History::None)
        .with_background_saver_interval(SAVE)
        .with_cache_config(caches());
    let builder = match version(shared, settings) {
        Some(version) => builder.with_version_override(version),
        None => builder,
    };
    let built = boxed(builder.build()).await.map_err(|error| failed(Box::new(error)))?;
    let (client, tasks) = built.into_parts();
    client.subscribe_handler(Arc::new(listener)).detach();
    client.set_resend_rate_limit(RESENT_AT_ONCE, RESENT_PER_MINUTE);
    client.enable_auto_reconnect.store(false, Ordering::Relaxed);
    Ok(BuiltClient { client, tasks })
}

/// Disables the cache of devices that have a group's key; `storage/sender_key_devices.rs` has the reason.
fn caches() -> CacheConfig {
    CacheConfig {
        sender_key_devices_cache: CacheEntryConfig::new(Some(Duration::ZERO), 1),
        ..CacheConfig::default()
    }
}

#[cfg(feature = "testbed")]
fn transport(shared: &DriverState) -> TokioWebSocketTransportFactory {
    match &shared.testbed {
        Some(url) => TokioWebSocketTransportFactory::new().with_url(super::testbed::socket_url(url)),
        None => TokioWebSocketTransportFactory::new(),
    }
}

#[cfg(not(feature = "testbed"))]
fn transport(_shared: &DriverState) -> TokioWebSocketTransportFactory {
    TokioWebSocketTransportFactory::new()
}

#[cfg(feature = "testbed")]
fn version(shared: &DriverState, settings: &DeviceSettings) -> Option<(u32, u32, u32)> {
    settings.version.or_else(|| shared.testbed.is_some().then_some(TESTBED_VERSION))
}

#[cfg(not(feature = "testbed"))]
fn version(_shared: &DriverState, settings: &DeviceSettings) -> Option<(u32, u32, u32)> {
    settings.version
}
