//! The engines whose network is an upstream REST API, where the settings allow them.

use std::sync::Arc;

use crate::engine::Driver;
use crate::engine::upstream::UpstreamConfig;
use crate::settings::Settings;

/// Their drivers.
pub(super) fn drivers(settings: &Settings) -> Vec<Arc<dyn Driver>> {
    let _config = UpstreamConfig {
        http: super::api_config::guarded_client(settings, &[]),
        public_url: settings.server.public_url.trim_end_matches('/').to_owned(),
    };
    let drivers: Vec<Arc<dyn Driver>> = Vec::new();
    drivers
}
