//! `settings.waha`: which session of which WAHA server a device is.

use serde_json::{Map, Value};
use url::Url;

use crate::engine::SettingError;

const PATH: &str = "settings.waha";
const KNOWN: [&str; 5] = ["baseUrl", "session", "apiKey", "webhookSecret", "inbound"];
/// A secret's or key's length in bytes.
const MAX_SECRET: usize = 512;
/// A session's name is in the paths of WAHA's API (its documentation: letters, digits, - and _).
const MAX_SESSION: usize = 64;
/// The session of WAHA Core, which has no other.
const DEFAULT_SESSION: &str = "default";

/// How the device hears of what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum InboundTransport {
    /// The server calls `/hooks/{deviceId}`.
    #[default]
    Webhook,
    /// This daemon holds a WebSocket open at the server.
    WebSocket,
}

/// The settings of one device. Its key and its secret are shown by nothing.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// Where the server is; its path ends in a slash.
    pub(super) base: Url,
    /// The name of its session.
    pub(super) session: String,
    /// What the server asks for in `X-Api-Key`.
    pub(super) api_key: Option<String>,
    /// What webhooks are signed with; there whenever [`InboundTransport::Webhook`] is chosen.
    pub(super) webhook_secret: Option<String>,
    /// How the device hears of what happens.
    pub(super) inbound: InboundTransport,
}

impl Settings {
    /// Reads `waha` out of a device's settings.
    pub(super) fn parse(settings: &Map<String, Value>) -> Result<Self, SettingError> {
        let fields = match settings.get("waha") {
            Some(Value::Object(fields)) => fields,
            None | Some(Value::Null) => {
                return Err(wrong(
                    "baseUrl",
                    "is required: where the WAHA server is, such as https://waha.example.org",
                ));
            }
            Some(_) => {
                return Err(SettingError { field: PATH.to_owned(), message: "must be an object".to_owned() });
            }
        };
        if let Some(unknown) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(wrong(unknown, &format!("is not known; there are {}", KNOWN.join(", "))));
        }
        let inbound = inbound(fields)?;
        let webhook_secret = secret(fields, "webhookSecret")?;
        if inbound == InboundTransport::Webhook && webhook_secret.is_none() {
            let message =
                "is required: what the WAHA server signs its webhooks with; or set inbound to websocket";
            return Err(wrong("webhookSecret", message));
        }
        Ok(Self {
            base: base(fields)?,
            session: session(fields)?,
            api_key: secret(fields, "apiKey")?,
            webhook_secret,
            inbound,
        })
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, SettingError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(name, "must be a text")),
    }
}

fn base(fields: &Map<String, Value>) -> Result<Url, SettingError> {
    let text = text(fields, "baseUrl")?.ok_or_else(|| {
        wrong("baseUrl", "is required: where the WAHA server is, such as https://waha.example.org")
    })?;
    let wrong =
        || wrong("baseUrl", "must be http:// or https:// with a host, and without user, query or fragment");
    let mut url: Url = text.trim().parse().map_err(|_| wrong())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err(wrong());
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn session(fields: &Map<String, Value>) -> Result<String, SettingError> {
    let name = text(fields, "session")?.unwrap_or(DEFAULT_SESSION);
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MAX_SESSION || !name.chars().all(allowed) {
        return Err(wrong("session", "must have 1 to 64 characters of A-Z, a-z, 0-9, _ and -"));
    }
    Ok(name.to_owned())
}

fn secret(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, SettingError> {
    let Some(text) = text(fields, name)? else { return Ok(None) };
    if text.is_empty() || text.len() > MAX_SECRET || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(wrong(name, "must have 1 to 512 visible ASCII characters"));
    }
    Ok(Some(text.to_owned()))
}

fn inbound(fields: &Map<String, Value>) -> Result<InboundTransport, SettingError> {
    match text(fields, "inbound")? {
        None | Some("webhook") => Ok(InboundTransport::Webhook),
        Some("websocket") => Ok(InboundTransport::WebSocket),
        Some(_) => Err(wrong("inbound", "must be webhook or websocket")),
    }
}

fn wrong(name: &str, message: &str) -> SettingError {
    SettingError { field: format!("{PATH}.{name}"), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(waha: &Value) -> Result<Settings, SettingError> {
        Settings::parse(json!({ "waha": waha }).as_object().unwrap())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let read = parse(&json!({ "baseUrl": "https://waha.example.org", "webhookSecret": "s" })).unwrap();
        assert_eq!(
            (read.base.as_str(), read.session.as_str(), read.inbound),
            ("https://waha.example.org/", "default", InboundTransport::Webhook)
        );
        let read = parse(&json!({ "baseUrl": "http://h/waha", "inbound": "websocket" })).unwrap();
        assert_eq!((read.base.as_str(), read.webhook_secret), ("http://h/waha/", None));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_path() {
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
