//! `settings.remote`: the upstream's address and key, its device, and how its events arrive.

use serde_json::{Map, Value};
use url::Url;

use crate::domain::engine_name::REMOTE;
use crate::domain::ids::DeviceId;
use crate::engine::SettingError;
use crate::engine::relay::settings::SettingsReader;

const FIELDS: [&str; 5] = ["baseUrl", "device", "apiKey", "webhookSecret", "inbound"];
/// The limits of a key and of a secret that signs, in bytes.
const MAX_SECRET_BYTES: usize = 512;
const MIN_SIGNING_SECRET_BYTES: usize = 16;

/// How the upstream's events arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum InboundTransport {
    /// Its event log as a stream.
    #[default]
    Stream,
    /// Its event log by pages, read at each callback.
    Webhook,
    /// Its chats and messages, polled: for back ends without an event log.
    Poll,
}

/// The settings of one device.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct DeviceSettings {
    /// The server's own address; `/api/v1` is below it.
    pub(super) base_url: Url,
    /// The device's id at the upstream; the same as here, if absent.
    pub(super) device: Option<DeviceId>,
    pub(super) api_key: String,
    /// Signs the upstream's callbacks.
    pub(super) webhook_secret: Option<String>,
    pub(super) inbound: InboundTransport,
}

impl DeviceSettings {
    /// Reads `remote` of a device's settings.
    pub(super) fn parse(settings: &Map<String, Value>) -> Result<Self, SettingError> {
        if settings.get(REMOTE).is_none_or(Value::is_null) {
            let message = "is required: baseUrl, apiKey and device".to_owned();
            return Err(SettingError { field: format!("settings.{REMOTE}"), message });
        }
        let reader = SettingsReader::open(settings, REMOTE, &FIELDS)?;
        let missing = |name, what: &str| reader.error(name, &format!("is required: {what}"));
        let base_url = reader
            .base_url("baseUrl")?
            .ok_or_else(|| missing("baseUrl", "the upstream's address, such as https://wharf.example.com"))?;
        if base_url.path().trim_end_matches('/').ends_with("/api/v1") {
            return Err(reader.error("baseUrl", "must be the server's own address, without /api/v1"));
        }
        let device = reader.text("device")?.map(str::parse::<DeviceId>).transpose();
        let device = device.map_err(|_| {
            reader
                .error("device", "must be the device's id at the upstream: 1 to 64 of A-Z, a-z, 0-9, _ and -")
        })?;
        let api_key = reader.secret("apiKey", MAX_SECRET_BYTES)?;
        let api_key = api_key.ok_or_else(|| missing("apiKey", "a key of the upstream"))?;
        let webhook_secret = reader.secret("webhookSecret", MAX_SECRET_BYTES)?;
        if webhook_secret.as_ref().is_some_and(|secret| secret.len() < MIN_SIGNING_SECRET_BYTES) {
            let message = format!("must have at least {MIN_SIGNING_SECRET_BYTES} characters");
            return Err(reader.error("webhookSecret", &message));
        }
        let inbound = match reader.text("inbound")? {
            None | Some("stream") => InboundTransport::Stream,
            Some("webhook") => InboundTransport::Webhook,
            Some("poll") => InboundTransport::Poll,
            Some(_) => return Err(reader.error("inbound", "must be stream, webhook or poll")),
        };
        if inbound == InboundTransport::Webhook && webhook_secret.is_none() {
            return Err(missing(
                "webhookSecret",
                "with inbound \"webhook\", the secret of the upstream's webhook",
            ));
        }
        Ok(Self { base_url, device, api_key, webhook_secret, inbound })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(remote: Value) -> Result<DeviceSettings, String> {
        let settings = Map::from_iter([("remote".to_owned(), remote)]);
        let parsed = DeviceSettings::parse(&settings);
        parsed.map_err(|error| error.field.trim_start_matches("settings.remote").to_owned())
    }

    fn valid() -> Value {
        json!({ "baseUrl": "https://wharf.example.com/up", "device": "shop", "apiKey": "k" })
    }

    #[test]
    fn required_settings_suffice() {
        let read = parse(valid()).unwrap();
        assert_eq!((read.inbound, read.webhook_secret), (InboundTransport::Stream, None));
        assert_eq!(read.base_url.path(), "/up");
    }

    #[test]
    fn wrong_or_missing_setting_is_named() {
        for (field, value) in [
            ("baseUrl", json!("wharf.example.com")),
            ("baseUrl", json!("ftp://wharf.example.com")),
            ("baseUrl", json!("https://me:secret@wharf.example.com")),
            ("baseUrl", json!("https://wharf.example.com?x=1")),
            ("baseUrl", json!("https://wharf.example.com/api/v1/")),
            ("baseUrl", Value::Null),
            ("device", json!("a b")),
            ("apiKey", json!("")),
            ("apiKey", json!("k\r\nx")),
            ("apiKey", Value::Null),
            ("webhookSecret", json!("short")),
            ("inbound", json!("pigeon")),
            ("colour", json!("red")),
        ] {
            let mut settings = valid();
            settings[field] = value;
            assert_eq!(parse(settings), Err(format!(".{field}")));
        }
        let mut callbacks = valid();
        callbacks["inbound"] = json!("webhook");
        assert_eq!(parse(callbacks), Err(".webhookSecret".to_owned()));
        assert_eq!(parse(Value::Null), Err(String::new()));
    }
}
