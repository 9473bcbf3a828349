//! Converts the settings for the surfaces and the access tokens.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{StartError, listener};
use crate::api::http::CallbackLimits;
use crate::api::socket::AnonymousLimits;
use crate::api::{ApiConfig, EffectiveSetting, OwnOrigin, SocketConfig};
use crate::domain::ip_block::IpBlock;
use crate::net::{Guard, GuardedClient};
use crate::service::access::tokens::{AccessTokenConfig, TokenMode};
use crate::settings::{AccessTokenMode, DescribedSetting, RequestLog, Settings};

pub(super) fn api(settings: &Settings) -> ApiConfig {
    let (server, socket) = (&settings.server, &settings.socket);
    ApiConfig {
        socket_path: server.socket_path.clone(),
        allowed_origins: server.allowed_origins.clone(),
        trusted_proxies: server.trusted_proxies.clone(),
        listens_on_loopback: server.listen.ip().to_canonical().is_loopback(),
        request_timeout: Duration::from_millis(server.request_timeout_ms),
        logs_all_requests: settings.log.requests == RequestLog::All,
        slow_request: Duration::from_millis(settings.log.slow_request_ms),
        body_limit: server.body_limit_bytes,
        text_max_chars: settings.messages.text_max_chars,
        failed_tries_per_minute: settings.auth.failed_tries_per_minute,
        max_streams_per_key: listener::max_streams_per_key(server),
        callbacks: CallbackLimits {
            first_byte: Duration::from_millis(settings.callbacks.first_byte_timeout_ms),
            min_bytes_per_second: settings.callbacks.min_bytes_per_second,
            max_per_address: settings.callbacks.max_unfinished_per_address,
        },
        socket: SocketConfig {
            ping_interval: Duration::from_millis(socket.ping_interval_ms),
            ping_timeout: Duration::from_millis(socket.ping_timeout_ms),
            connect_timeout: Duration::from_millis(socket.connect_timeout_ms),
            anonymous: AnonymousLimits {
                per_address: socket.max_anonymous_per_address,
                total: socket.max_anonymous,
                refusals: socket.max_refusals,
            },
            buffer_packets: socket.buffer_packets,
            inbound_queue: socket.inbound_queue,
            max_payload_bytes: socket.max_payload_bytes,
            stall_timeout: Duration::from_millis(socket.stall_timeout_ms),
        },
        simulator_enabled: settings.simulator_enabled(),
        dashboard_enabled: settings.dashboard.enabled,
        settings: effective(settings),
        own_origin: OwnOrigin::new(&server.public_url, &server.trusted_proxies),
        default_engine: settings.default_engine().to_owned(),
        max_devices: settings.devices.max,
        media_max_bytes: settings.media.max_bytes,
        public_url: server.public_url.trim_end_matches('/').to_owned(),
    }
}

fn effective(settings: &Settings) -> Arc<[EffectiveSetting]> {
    let described = settings.described().unwrap_or_else(|error| {
        // Not reached: validated settings have a TOML form.
        tracing::error!(%error, "the settings cannot be shown");
        Vec::new()
    });
    let effective = described.into_iter().map(|setting| {
        let DescribedSetting { key, value, source } = setting;
        EffectiveSetting { key, value, source }
    });
    effective.collect()
}

pub(super) fn access_tokens(settings: &Settings) -> Result<AccessTokenConfig, StartError> {
    let auth = &settings.auth;
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let jwks_url = given(&auth.jwks_url)
        .map(|text| Url::parse(&text).map_err(|error| StartError::Setting(format!("auth.jwks_url: {error}"))))
        .transpose()?;
    Ok(AccessTokenConfig {
        mode: match auth.access_token {
            AccessTokenMode::Label => TokenMode::Label,
            AccessTokenMode::Jwt => TokenMode::Jwt,
        },
        jwt_secret: given(auth.jwt_secret.expose()),
        jwks_url,
        audience: given(&auth.jwt_audience),
        issuer: None,
        http: guarded_client(settings, &[]),
    })
}

/// A client for requests to addresses that other people choose, and to these private ones.
pub(super) fn guarded_client(settings: &Settings, private: &[IpBlock]) -> GuardedClient {
    let guard = Guard::new(&[&settings.net.allow_private, private].concat());
    GuardedClient::new(guard, Duration::from_millis(settings.net.timeout_ms))
}
