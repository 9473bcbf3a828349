//! `settings.waha`: the WAHA server and session of a device. The key and the secret are never shown.

use serde_json::{Map, Value};
use url::Url;

use crate::engine::SettingError;
use crate::engine::relay::settings::SettingsReader;

const FIELDS: [&str; 5] = ["baseUrl", "session", "apiKey", "webhookSecret", "inbound"];
const MAX_SECRET_BYTES: usize = 512;
/// A session's name is in the paths of WAHA's API (its documentation: letters, digits, - and _).
const MAX_SESSION_BYTES: usize = 64;
/// The only session of WAHA Core.
const DEFAULT_SESSION: &str = "default";

/// How events of the server arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum InboundTransport {
    /// The server calls `/hooks/{deviceId}`.
    #[default]
    Webhook,
    /// The daemon keeps a WebSocket open.
    WebSocket,
}

/// The settings of one device. There is no `Debug`, because of the secrets.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// The server's address; its path ends in a slash.
    pub(super) base: Url,
    /// The name of the session.
    pub(super) session: String,
    pub(super) api_key: Option<String>,
    /// Signs webhooks; present with [`InboundTransport::Webhook`].
    pub(super) webhook_secret: Option<String>,
    pub(super) inbound: InboundTransport,
}

impl Settings {
    /// Reads `waha` from a device's settings.
    pub(super) fn parse(settings: &Map<String, Value>) -> Result<Self, SettingError> {
        let reader = SettingsReader::open(settings, "waha", &FIELDS)?;
        let inbound = inbound(&reader)?;
        let webhook_secret = reader.secret("webhookSecret", MAX_SECRET_BYTES)?;
        let base = base(&reader)?;
        if inbound == InboundTransport::Webhook && webhook_secret.is_none() {
            let message = "is required: the secret with which the WAHA server signs webhooks; or set inbound to websocket";
            return Err(reader.error("webhookSecret", message));
        }
        let api_key = reader.secret("apiKey", MAX_SECRET_BYTES)?;
        Ok(Self { base, session: session(&reader)?, api_key, webhook_secret, inbound })
    }
}

fn base(reader: &SettingsReader<'_>) -> Result<Url, SettingError> {
    let mut url = reader.base_url("baseUrl")?.ok_or_else(|| {
        reader.error("baseUrl", "is required: the WAHA server's address, such as https://waha.example.org")
    })?;
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn session(reader: &SettingsReader<'_>) -> Result<String, SettingError> {
    let name = reader.text("session")?.unwrap_or(DEFAULT_SESSION);
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MAX_SESSION_BYTES || !name.chars().all(is_allowed) {
        return Err(reader.error("session", "must have 1 to 64 characters of A-Z, a-z, 0-9, _ and -"));
    }
    Ok(name.to_owned())
}

fn inbound(reader: &SettingsReader<'_>) -> Result<InboundTransport, SettingError> {
    match reader.text("inbound")? {
        None | Some("webhook") => Ok(InboundTransport::Webhook),
        Some("websocket") => Ok(InboundTransport::WebSocket),
        Some(_) => Err(reader.error("inbound", "must be webhook or websocket")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(waha: &Value) -> Result<Settings, SettingError> {
        Settings::parse(json!({ "waha": waha }).as_object().unwrap())
    }

    #[test]
    fn absent_fields_have_defaults() {
        let read = parse(&json!({ "baseUrl": "https://waha.example.org", "webhookSecret": "s" })).unwrap();
        assert_eq!(
            (read.base.as_str(), read.session.as_str(), read.inbound),
            ("https://waha.example.org/", "default", InboundTransport::Webhook)
        );
        let read = parse(&json!({ "baseUrl": "http://h/waha", "inbound": "websocket" })).unwrap();
        assert_eq!((read.base.as_str(), read.webhook_secret), ("http://h/waha/", None));
    }

    #[test]
    fn wrong_field_is_named_by_its_path() {
        let good = json!({ "baseUrl": "https://h", "webhookSecret": "s" });
        for (name, value) in [
            ("baseUrl", json!("ftp://h")),
            ("baseUrl", json!("https://user:password@h")),
            ("baseUrl", json!("https://h/?x-api-key=1")),
            ("baseUrl", json!(null)),
            ("session", json!("a/b")),
            ("session", json!("")),
            ("apiKey", json!("a\nb")),
            ("apiKey", json!(5)),
            ("webhookSecret", json!(null)),
            ("inbound", json!("polling")),
            ("apikey", json!("x")),
        ] {
            let mut waha = good.clone();
            waha[name] = value.clone();
            assert_eq!(parse(&waha).err().unwrap().field, format!("settings.waha.{name}"), "{value}");
        }
        assert_eq!(parse(&json!([])).err().unwrap().field, "settings.waha");
    }
}
