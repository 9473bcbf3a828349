//! The engines whose network is an upstream REST API, where the settings allow them.

use std::sync::Arc;
use std::time::Duration;

use super::Environment;
use crate::engine::Driver;
use crate::engine::cloud_api::CloudApiDriver;
use crate::engine::relay::UpstreamConfig;
use crate::engine::waha::WahaDriver;
use crate::engine::wwebjs::WwebjsDriver;
use crate::settings::Settings;

/// Their drivers.
pub(super) fn drivers(settings: &Settings, surroundings: &Environment) -> Vec<Arc<dyn Driver>> {
    let config = UpstreamConfig {
        http: super::api_config::guarded_client(settings, &[]),
        public_url: settings.server.public_url.trim_end_matches('/').to_owned(),
        callback_within: Duration::from_millis(settings.server.request_timeout_ms) * 2 / 3,
    };
    let mut drivers: Vec<Arc<dyn Driver>> = Vec::new();
    if settings.engines.cloud_api.enabled {
        drivers.push(Arc::new(CloudApiDriver::new(config.clone())));
    }
    if settings.engines.waha.enabled {
        drivers.push(Arc::new(WahaDriver::new(config.clone())));
    }
    if settings.engines.wwebjs.enabled {
        drivers.push(Arc::new(WwebjsDriver::new(config, surroundings.clock.clone())));
    }
    drivers
}
