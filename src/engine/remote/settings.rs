//! `settings.remote`: where the upstream is, which of its devices this one is, and how its news comes.

use serde_json::{Map, Value};
use url::Url;

use crate::domain::ids::DeviceId;
use crate::engine::SettingError;

const PATH: &str = "settings.remote";
/// Longest key and secret, in bytes.
const MAX_SECRET: usize = 512;
/// Shortest secret for signatures, in bytes.
const MIN_SIGNATURE_SECRET: usize = 16;

/// How the upstream's news comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum InboundBy {
    /// Its event log, as a stream; its socket for what no log keeps.
    #[default]
    Stream,
    /// Its event log, read on whenever it calls back.
    Webhook,
    /// Its chats and messages, read again and again: for back ends without an event log.
    Poll,
}

/// The settings of one device.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct DeviceSettings {
    /// Where the upstream is; `/api/v1` and `/ws` are below it.
    pub(super) base_url: Url,
    /// The device's id there; this device's own, when left out.
    pub(super) device: Option<DeviceId>,
    /// The key that the upstream gave.
    pub(super) api_key: String,
    /// What signs the upstream's callbacks.
    pub(super) webhook_secret: Option<String>,
    /// How its news comes in.
    pub(super) inbound: InboundBy,
}

impl DeviceSettings {
    /// Reads `remote` out of a device's settings.
    pub(super) fn parse(settings: &Map<String, Value>) -> Result<Self, SettingError> {
        let fields = match settings.get("remote") {
            Some(Value::Object(fields)) => fields,
            None | Some(Value::Null) => return Err(wrong(PATH, "is required: baseUrl, apiKey and device")),
            Some(_) => return Err(wrong(PATH, "must be an object")),
        };
        let known = ["baseUrl", "device", "apiKey", "webhookSecret", "inbound"];
        if let Some(unknown) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            let message = "is not known; there are baseUrl, device, apiKey, webhookSecret and inbound";
            return Err(wrong(&format!("{PATH}.{unknown}"), message));
        }
        let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let read = Self {
            base_url: base_url(given("baseUrl"))?,
            device: given("device").map(device).transpose()?,
            api_key: secret("apiKey", given("apiKey"), 1)?
                .ok_or_else(|| wrong("settings.remote.apiKey", "is required: a key of the upstream"))?,
            webhook_secret: secret("webhookSecret", given("webhookSecret"), MIN_SIGNATURE_SECRET)?,
            inbound: given("inbound").map(inbound).transpose()?.unwrap_or_default(),
        };
        if read.inbound == InboundBy::Webhook && read.webhook_secret.is_none() {
            let message = "is required with inbound \"webhook\": the secret of the upstream's webhook";
            return Err(wrong("settings.remote.webhookSecret", message));
        }
        Ok(read)
    }
}

fn base_url(value: Option<&Value>) -> Result<Url, SettingError> {
    let wrong = |message| wrong("settings.remote.baseUrl", message);
    let value = value
        .ok_or_else(|| wrong("is required: where the upstream is, such as https://wharf.example.com"))?;
    let url = value.as_str().and_then(|text| Url::parse(text).ok());
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| wrong("must be an http or https address with a host"))?;
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(wrong("must have no user, password, query or fragment; the key goes into apiKey"));
    }
    if url.path().trim_end_matches('/').ends_with("/api/v1") {
        return Err(wrong("must be the server's own address, without /api/v1"));
    }
    Ok(url)
}

fn device(value: &Value) -> Result<DeviceId, SettingError> {
    let id = value.as_str().and_then(|text| text.parse().ok());
    id.ok_or_else(|| {
        wrong(
            "settings.remote.device",
            "must be the device's id at the upstream: 1 to 64 of A-Z, a-z, 0-9, _ and -",
        )
    })
}

fn secret(name: &str, value: Option<&Value>, least: usize) -> Result<Option<String>, SettingError> {
    let Some(value) = value else { return Ok(None) };
    let fits = |text: &&str| {
        (least..=MAX_SECRET).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match value.as_str().filter(fits) {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(wrong(
            &format!("{PATH}.{name}"),
            &format!("must be a text of {least} to {MAX_SECRET} visible ASCII characters"),
        )),
    }
}

fn inbound(value: &Value) -> Result<InboundBy, SettingError> {
    match value.as_str() {
        Some("stream") => Ok(InboundBy::Stream),
        Some("webhook") => Ok(InboundBy::Webhook),
        Some("poll") => Ok(InboundBy::Poll),
        _ => Err(wrong("settings.remote.inbound", "must be stream, webhook or poll")),
    }
}

pub(super) fn wrong(field: &str, message: &str) -> SettingError {
    SettingError { field: field.to_owned(), message: message.to_owned() }
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

    fn good() -> Value {
        json!({ "baseUrl": "https://wharf.example.com/up", "device": "shop", "apiKey": "k" })
    }

    #[test]
    fn what_is_needed_is_enough() {
        let read = parse(good()).unwrap();
        assert_eq!((read.inbound, read.webhook_secret), (InboundBy::Stream, None));
        assert_eq!(read.base_url.path(), "/up");
    }

    #[test]
    fn each_wrong_or_missing_setting_is_named() {
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
            let mut settings = good();
            settings[field] = value;
            assert_eq!(parse(settings), Err(format!(".{field}")));
        }
        let mut callbacks = good();
        callbacks["inbound"] = json!("webhook");
        assert_eq!(parse(callbacks), Err(".webhookSecret".to_owned()));
        assert_eq!(parse(Value::Null), Err(String::new()));
    }
}
