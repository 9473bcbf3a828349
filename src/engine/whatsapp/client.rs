//! One library client for one connection.
//!
//! The client is made anew for each: it begins with what is in the vault, and its caches, tasks and queues end
//! with it. Its own reconnecting is off.

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

use super::Shared;
use super::boxed::boxed;
use super::event_pump::EventListener;
use super::http::LibraryHttpClient;
use super::inbound::DurabilityHook;
use super::runtime::Tasks;
use super::settings::{DeviceSettings, History};

/// The version that is claimed to the testbed, which takes any.
#[cfg(feature = "testbed")]
const TESTBED_VERSION: (u32, u32, u32) = (2, 3000, 1_000_000_000);

/// How often the library looks whether what it holds of the device is to be stored; as its own default.
const SAVE: Duration = Duration::from_secs(30);

/// How many copies members of one group get at once, and then in a minute, of messages that they could not decrypt.
/// As many as a phone that comes back may ask for; the library's own 20 and 10 leave some without, and the network's
/// web client has no limit (`whatsapp-rust` 0.7.0, `client/accessors.rs`, `set_resend_rate_limit`).
const RESENT_AT_ONCE: u32 = 240;
const RESENT_PER_MINUTE: u32 = 60;

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the engine's library could not be set up")]
pub(super) struct BuildError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// A client, and what it leaves to us to do in the background.
pub(super) struct BuiltClient {
    /// It is connected by running it.
    pub(super) client: Arc<Client>,
    /// Parts of the history that are to be fetched.
    pub(super) tasks: async_channel::Receiver<MajorSyncTask>,
}

/// Makes a client.
///
/// # Errors
/// When what is stored of it cannot be read.
pub(super) async fn build(
    shared: &Shared,
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

/// Who has a group's key is read anew for each message; `storage/sender_key_devices.rs` says why.
fn caches() -> CacheConfig {
    CacheConfig {
        sender_key_devices_cache: CacheEntryConfig::new(Some(Duration::ZERO), 1),
        ..CacheConfig::default()
    }
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
